"""Silicon: a type of chip, what it is, and how much of each kind of work one accelerator does."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from argosy.model.source import Source
from argosy.record import Id, Record, Text
from argosy.units import Month

Profile = Literal["pretraining", "finetuning", "interactive_inference", "batch_inference", "agents"]
PROFILES: tuple[Profile, ...] = (
    "pretraining",
    "finetuning",
    "interactive_inference",
    "batch_inference",
    "agents",
)


class Throughput(Record):
    """Work of one accelerator relative to one accelerator of the profile's reference silicon."""

    profile: Profile
    """Kind of work: one chip is not equally good at all of them."""
    ratio: Annotated[float, Gt(0), Le(1000)]
    """Units of work per accelerator and month; the reference silicon (H100, or a CPU server for agents) has 1."""
    source: Source
    """The measurement behind it."""


class Silicon(Record):
    """A type of accelerator, or a CPU server for agents."""

    id: Id
    """Short name, for example h100."""
    name: Text
    """Name as its maker writes it."""
    maker: Text
    """Who designs it."""
    family: Id
    """Software family: work moves within a family without porting (cuda, rocm, neuron, tpu, cpu)."""
    memory_gib: Annotated[float, Gt(0), Le(1e6)] | None = None
    """High-bandwidth memory of one accelerator (main memory of a CPU server)."""
    peak_teraflops: dict[str, Annotated[float, Gt(0), Le(1e7)]] = {}
    """Dense peak rate by precision (fp4, fp8, bf16, fp32), without sparsity."""
    power_watts: Annotated[float, Gt(0), Le(1e5)] | None = None
    """Thermal design power of one accelerator."""
    facility_kw: Annotated[float, Gt(0), Le(100)] | None = None
    """Power of one accelerator with its share of server, network, storage and cooling."""
    domain_accelerators: Annotated[int, Ge(1), Le(100_000)] | None = None
    """Accelerators in one scale-up domain, for example 72 in an NVL72 rack."""
    vcpus: Annotated[int, Ge(1)] | None = None
    """Virtual CPUs, for CPU servers."""
    available_from: Month | None = None
    """Month of first volume shipment, where it lies ahead: no pool has it before."""
    throughput: tuple[Throughput, ...] = ()
    """Measured work per accelerator. A profile that is absent is unknown: no such work is placed there."""
    source: Source | None = None
    """Where the specification comes from."""

    def ratio(self, profile: Profile) -> float | None:
        """Units per accelerator-month for this kind of work; None when it was never measured."""
        return next((t.ratio for t in self.throughput if t.profile == profile), None)
