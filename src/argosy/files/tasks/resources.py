"""Resources: the `resources:` block of a task file as the choices that would do.

`any_of` and `ordered` are laid over the block itself, field by field, as SkyPilot does; several accelerators make
several choices. What is said once for the whole task (recovery, ports, labels, priority) may stand in any of them but
must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from argosy.files.tasks import quantities
from argosy.files.tasks.fields import Field
from argosy.files.tasks.schema import CHOICE, JOB_RECOVERY, RESOURCES, STRATEGIES
from argosy.model.task import Choice

MAX_CHOICES = 500
SHARED = ("ports", "labels", "job_recovery", "priority")

_VENDOR = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ALIASES = {"k8s": "kubernetes"}


@dataclass(slots=True)
class Wanted:
    """What the block says."""

    choices: list[Choice] = field(default_factory=list)
    ordered: bool = False
    shared: dict[str, Any] = field(default_factory=dict)
    """Fields of the task that stand in the block."""
    max_usd_per_node_hour: float | None = None


def read(block: Field) -> Wanted:
    """The choices of a block; problems go to its findings."""
    wanted = Wanted()
    given = block.fields(RESOURCES)
    lists = [given[key] for key in ("any_of", "ordered") if key in given]
    if len(lists) == 2:
        lists[1].refuse("any_of and ordered exclude each other; keep one")
    own = {key: value for key, value in given.items() if key not in ("any_of", "ordered")}
    sets = [own]
    if lists:
        wanted.ordered = "ordered" in given
        parts = list(lists[0].items())
        if isinstance(lists[0].value, tuple) and not parts:
            lists[0].refuse("the list is empty; name a set of resources or delete it", "field.length")
        sets = [_laid_over(own, part.fields(CHOICE)) for part in parts]
        for fields in sets if "any_of" in given else ():
            if "accelerators" in fields and isinstance(fields["accelerators"].value, tuple):
                fields["accelerators"].note("within any_of a list is no order: the cheapest is taken")
    seen: dict[str, tuple[Any, Field]] = {}
    for fields in sets:
        for key in SHARED:
            if key in fields:
                _agree(key, fields[key], seen)
        for choice in _choices(fields, wanted):
            if len(wanted.choices) < MAX_CHOICES:
                wanted.choices.append(choice)
            elif len(wanted.choices) == MAX_CHOICES:
                block.refuse(f"more than {MAX_CHOICES} choices once all are written out", "field.length")
                return wanted
    if "any_of" in given:
        wanted.ordered = False
    wanted.shared = _shared({key: value for key, (_, value) in seen.items()})
    return wanted


def _laid_over(own: dict[str, Field], part: dict[str, Field]) -> dict[str, Field]:
    """A set over the block; a place in the set replaces the whole place of the block."""
    base = own
    if any(key in part for key in ("infra", "cloud", "region", "zone")):
        kept = ("infra",) if "infra" in part else ()
        base = {key: value for key, value in own.items() if key != "infra" and not (kept and key in _PLACES)}
    return base | part


_PLACES = ("cloud", "region", "zone")


def _agree(key: str, given: Field, seen: dict[str, tuple[Any, Field]]) -> None:
    if key in seen and seen[key][0] != given.value:
        given.refuse(f"differs from another set of resources; {key} holds for the whole task and is written once")
    seen.setdefault(key, (given.value, given))


def _choices(fields: dict[str, Field], wanted: Wanted) -> list[Choice]:
    """One set of resources for each accelerator and image that it names."""
    base: dict[str, Any] = _place(fields)
    if "cpus" in fields:
        base["cpus"] = fields["cpus"].at_least(100_000)
    if "memory" in fields:
        base["memory_gib"] = _memory(fields["memory"], base.get("cpus"))
    for key in ("disk_size", "ephemeral_storage"):
        if key in fields:
            base["disk_gib"] = fields[key].size_gib(10_000_000)
    if "instance_type" in fields:
        base["instance_type"] = fields["instance_type"].text(200)
    if "use_spot" in fields:
        base["spot"] = fields["use_spot"].flag() or False
    if "max_hourly_cost" in fields:
        cost = fields["max_hourly_cost"].number(1e9)
        wanted.max_usd_per_node_hour = min(filter(None, (cost, wanted.max_usd_per_node_hour)), default=None)
    chips = [(None, 0.0)] if "accelerators" not in fields else _accelerators(fields["accelerators"], wanted)
    images = [({}, None)] if "image_id" not in fields else _images(fields["image_id"], base)
    return [
        Choice(**{**base, **place}, silicon=name, accelerators=count, image=image)
        for place, image in images for name, count in chips
    ]  # fmt: skip


def _place(fields: dict[str, Field]) -> dict[str, Any]:
    """Vendor, region and zone, from `infra` or from the three older fields."""
    found: dict[str, Any] = {}
    if "infra" not in fields:
        for key, name in (("cloud", "vendor"), ("region", "region"), ("zone", "zone")):
            if key in fields:
                text = fields[key].text(100)
                found[name] = None if text is None else _part(fields[key], name, text)
        return found
    infra = fields["infra"]
    for key in _PLACES:
        if key in fields:
            fields[key].refuse(f"infra says where; delete {key}")
    text = infra.text(200)
    if text is None:
        return found
    head, _, rest = text.strip("/").partition("/")
    # A context of Kubernetes is one name and may hold slashes.
    parts = [rest] if head.lower() in ("k8s", "kubernetes") and rest else rest.split("/") if rest else []
    if len(parts) > 2:
        infra.refuse("is vendor, vendor/region or vendor/region/zone")
        return found
    for name, word in zip(("vendor", "region", "zone"), [head, *parts], strict=False):
        found[name] = _part(infra, name, word)
    return found


def _part(given: Field, name: str, word: str) -> str | None:
    if word == "*":
        return None
    text = word if name == "zone" else word.lower()
    pattern = {"vendor": _VENDOR, "region": _PLACE, "zone": _ZONE}[name]
    if not pattern.fullmatch(text):
        given.refuse(f"{word!r} cannot be a {name}; letters, digits and . _ - are allowed, or * for any")
        return None
    return _ALIASES.get(text, text) if name == "vendor" else text


def _memory(given: Field, cpus: float | None) -> float | None:
    factor = quantities.times(given.word) if isinstance(given.value, str) else None
    if factor is None:
        return given.size_gib(10_000_000)
    if cpus is None:
        given.refuse("memory for each core needs `cpus` beside it")
        return None
    if not 0 < factor * cpus <= 10_000_000:
        given.refuse(f"is {factor * cpus:,.6g} GiB; right is above 0 up to 10,000,000", "field.range")
        return None
    return factor * cpus


def _accelerators(given: Field, wanted: Wanted) -> list[tuple[str | None, float]]:
    """Type and count; a list is in order of preference."""
    if isinstance(given.value, dict):
        found = [_entry(name, count) for name, count in given.entries().items()]
        if not found:
            given.refuse("names no accelerator; write H100:8, or delete it", "field.length")
        return [one for one in found if one is not None]
    if isinstance(given.value, tuple):
        if not given.value:
            given.refuse("names no accelerator; write H100:8, or delete it", "field.length")
        wanted.ordered = wanted.ordered or len(given.value) > 1
        return [one for item in given.items() if (one := _one(item)) is not None]
    single = _one(given)
    return [] if single is None else [single]


_RIGHT = "is not a type with a count, such as H100, H100:8 or H100:0.5 (above one it is a whole number)"


def _one(given: Field) -> tuple[str | None, float] | None:
    text = given.text(100)
    found = None if text is None else quantities.accelerator(text)
    if text is not None and found is None:
        given.refuse(f"{text!r} {_RIGHT}")
    return found


def _entry(name: str, count: Field) -> tuple[str | None, float] | None:
    """`H100: 8`, or `H100:8` with nothing behind it, which is how a set reads."""
    found = quantities.accelerator(name)
    if found is None or (count.value is not None and ":" in name):
        count.refuse(f"{name!r} {_RIGHT}")
        return None
    if count.value is None:
        return found
    number = count.number(100_000)
    if number is None:
        return None
    if not quantities.is_count(number):
        count.refuse(f"{number:g} {_RIGHT}")
        return None
    return found[0], number


def _images(given: Field, base: dict[str, Any]) -> list[tuple[dict[str, Any], str | None]]:
    """One image, or one for each region that has one; other regions then would not do."""
    if not isinstance(given.value, dict):
        return [({}, given.text())]
    found: list[tuple[dict[str, Any], str | None]] = []
    for region, image in given.entries().items():
        place = _part(image, "region", region)
        if base.get("region") in (None, place):
            found.append(({"region": place}, image.text()))
    if not found:
        given.refuse(f"has no image for the region {base.get('region')}")
    return found


def _shared(fields: dict[str, Field]) -> dict[str, Any]:
    """Fields of the task that stand in the block."""
    found: dict[str, Any] = {}
    if "ports" in fields:
        ports = fields["ports"]
        ports.note("opened by the skypilot driver alone; elsewhere a port is as reachable as its machine")
        each = list(ports.items()) if isinstance(ports.value, tuple) else [ports]
        found["ports"] = tuple(text for port in each if (text := _port(port)) is not None)
    if "labels" in fields:
        fields["labels"].note("given to machines by the skypilot driver alone; other engines do not get them")
        labels = {key: value.text(500, loose=True) for key, value in fields["labels"].entries().items()}
        found["labels"] = {key: value for key, value in labels.items() if value is not None}
    if "priority" in fields:
        found["priority"] = fields["priority"].whole(-1000, 1000) or 0
    if "job_recovery" in fields:
        found["recovery"] = _recovery(fields["job_recovery"])
    return found


def _port(given: Field) -> str | None:
    text = given.text(20, loose=isinstance(given.value, int) and not isinstance(given.value, bool))
    if text is not None and not quantities.ports(text):
        given.refuse(f"{text!r} is not a port from 1 to 65535 or a range such as 8000-8010")
        return None
    return text


def _recovery(given: Field) -> dict[str, Any]:
    if not isinstance(given.value, dict):
        return {"eager_next_region": given.one_of(STRATEGIES) == "EAGER_NEXT_REGION"}
    fields, found = given.fields(JOB_RECOVERY), dict[str, Any]()
    if "strategy" in fields:
        found["eager_next_region"] = fields["strategy"].one_of(STRATEGIES) == "EAGER_NEXT_REGION"
    if "max_restarts_on_errors" in fields:
        found["max_restarts_on_errors"] = fields["max_restarts_on_errors"].whole(0, 1_000_000) or 0
    if "recover_on_exit_codes" in fields:
        codes = fields["recover_on_exit_codes"]
        each = list(codes.items()) if isinstance(codes.value, tuple) else [codes]
        found["exit_codes"] = tuple(code for item in each if (code := item.whole(0, 255)) is not None)
    return found
