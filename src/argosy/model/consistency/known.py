"""Known: the ids of a portfolio, and the faults that every rule about names shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from argosy.model.fault import Fault, Path
from argosy.model.pool import Pool
from argosy.model.portfolio import Portfolio
from argosy.model.silicon import Silicon
from argosy.units import Month

SUM_TOLERANCE = 1e-9


@dataclass(frozen=True)
class World:
    """The portfolio and its ids."""

    portfolio: Portfolio
    ids: Mapping[str, frozenset[str]]
    vendor_of_region: Mapping[str, str]
    pools: Mapping[str, Pool]
    silicon: Mapping[str, Silicon]

    @classmethod
    def of(cls, portfolio: Portfolio) -> World:
        """The portfolio with an index of its ids."""
        p = portfolio
        groups: dict[str, Sequence[Any]] = {
            "vendor": p.vendors, "region": p.regions, "silicon": p.silicon, "pool": p.pools, "site": p.sites,
            "dataset": p.datasets, "contract": p.contracts, "workload": p.workloads,
        }  # fmt: skip
        return cls(
            portfolio=p,
            ids={noun: frozenset(record.id for record in records) for noun, records in groups.items()},
            vendor_of_region={r.id: r.vendor for r in p.regions},
            pools={pool.id: pool for pool in reversed(p.pools)},
            silicon={chip.id: chip for chip in reversed(p.silicon)},
        )

    def unknown(self, noun: str, word: str, path: Path, *, at_key: bool = False) -> list[Fault]:
        """A fault when nothing of that noun has this id."""
        return self.unknown_of((noun,), word, path, at_key=at_key)

    def unknown_of(
        self, nouns: tuple[str, ...], word: str, path: Path, *, at_key: bool = False, also: tuple[str, ...] = ()
    ) -> list[Fault]:
        """A fault when nothing of these nouns has this id, and it is no other word allowed here."""
        if word in also or any(word in self.ids[noun] for noun in nouns):
            return []
        known = {*also, *(known for noun in nouns for known in self.ids[noun])}
        message = f"there is no {' or '.join(nouns)} {word!r}{near(word, known)}"
        return [Fault(path, "reference.unknown", message, at_key)]

    def vendor_of_pool(self, pool: str) -> str | None:
        """Vendor of the region a pool stands in; None when any of the three is unknown."""
        vendor = self.vendor_of_region.get(self.pools[pool].region) if pool in self.pools else None
        return vendor if vendor in self.ids["vendor"] else None

    def chip_of_pool(self, pool: str) -> Silicon | None:
        """Type of chip in a pool; None when the pool or the chip is unknown."""
        return self.silicon.get(self.pools[pool].silicon) if pool in self.pools else None


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...`, or what there is when it is little."""
    match = get_close_matches(word, list(known), n=1, cutoff=0.6)
    if match:
        return f"; did you mean {match[0]!r}?"
    few = sorted(known)
    return f"; known are {', '.join(few)}" if 0 < len(few) <= 8 else ""


def repeated(path: Path, words: Sequence[str], last: str | None = None) -> Iterator[Fault]:
    """A fault for every word that was there before; `last` is the field that holds it."""
    first: dict[str, int] = {}
    for i, word in enumerate(words):
        if word in first:
            where = (*path, i, last) if last else (*path, i)
            code = "id.duplicate" if last == "id" else "reference.duplicate"
            yield Fault(where, code, f"{word!r} is already entry {first[word] + 1} of this list")
        first.setdefault(word, i)


def beyond(world: World, path: Path, month: Month) -> Fault:
    """A month after the end of the plan."""
    return Fault(
        path, "date.beyond", f"{month} lies after the plan, whose last month is {world.portfolio.horizon.end.plus(-1)}"
    )
