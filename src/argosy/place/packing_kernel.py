# ruff: noqa: PLR0917  compiled functions take their arrays by position
"""The mathematics of the packing layer: which node and which devices one ask gets. Arrays only, compiled by numba.

Every policy is a score per (class, node), lower is better, infinite where the class does not fit. Scores are cached:
after a change only the changed node is scored again, for all classes at once (P2.3). `packing` calls this and gives the
arrays their meaning; nothing here knows a vendor, a kind of work or a data set.

Numbers are integers of thousandths (milli-CPU, milli-accelerator) and MiB, so that what is taken and given back sums
exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]
Lookups = npt.NDArray[np.float32]

WHOLE = 1000
RANDOM, BEST_FIT, DOT_PRODUCT, CLUSTERING, PACKING, FRAGMENTATION = range(6)
NOWHERE = -1


class Nodes(NamedTuple):
    """What the nodes have left. N nodes, D devices on the largest, G affinity groups. Changed in place."""

    cpu: Ints
    """(N,) milli-CPU free."""
    memory: Ints
    """(N,) MiB free."""
    free: Ints
    """(N, D) milli-accelerator free on each device; 0 where there is no device."""
    devices: Ints
    """(N,) number of devices."""
    silicon: Ints
    """(N,) type of chip."""
    domain: Ints
    """(N,) topology domain."""
    running: Ints
    """(N, G) asks running, by affinity group."""


class Classes(NamedTuple):
    """Distinct requests. C classes, K types of chip, P accelerator profiles."""

    cpu: Ints
    """(C,) milli-CPU of one member."""
    memory: Ints
    """(C,) MiB of one member."""
    count: Ints  # type: ignore[assignment]  # hides tuple.count
    """(C,) devices of one member."""
    milli: Ints
    """(C,) milli-accelerator of each device; WHOLE when the device is not shared."""
    allowed: Bools
    """(C, K) types of chip it may run on."""
    profile: Ints
    """(C,) position of (count, milli) in the profiles."""
    group: Ints
    """(C,) affinity group, for clustering."""
    order: Ints
    """(C,) classes, those of one profile together."""
    start: Ints
    """(P + 1,) where each profile begins in `order`."""
    members: Ints
    """(C,) members of the gang, each on a node with its own request; all or nothing, in one domain."""


class Typical(NamedTuple):
    """What is expected to come, as the lookups of P2.1. B buckets of CPU and of memory, S slots counted at most."""

    cpu: Lookups
    """(K, B, P * (S + 1)) share of the arrivals of a profile that the CPU in a bucket carries, by slots to fill."""
    memory: Lookups
    """(K, B, P * (S + 1)) the same for memory."""
    cpu_shift: int
    """A CPU bucket is 2 ** cpu_shift wide."""
    memory_shift: int
    """A memory bucket is 2 ** memory_shift wide."""
    count: Ints  # type: ignore[assignment]  # hides tuple.count
    """(P,) devices of the profile."""
    milli: Ints
    """(P,) milli-accelerator of each device."""
    whole: Counts
    """(P, D + 1) asks of a profile of several devices that so many devices with room carry; 0 for other profiles."""
    device: Counts
    """(WHOLE + 1, 3 P) what a device with so much free adds for each profile: whether it has room, what is free on it
    then, and how many asks of a profile of one device it carries."""


class Scores(NamedTuple):
    """The cache."""

    value: Floats
    """(C, N) score, lower is better; inf where it does not fit."""
    device: Ints
    """(C, N) device for a shared request; NOWHERE otherwise."""
    scale: Floats
    """(3,) largest CPU, memory and accelerators of a node, for policies that normalise."""
    lean: Floats
    """(2,) P2.4: what a full node's worth of free accelerators and of free CPU adds to a score, in milli."""


jit = numba.njit(cache=True, nogil=True)


@jit
def fits(nodes: Nodes, classes: Classes, c: int, n: int) -> bool:
    """Whether one member of class c fits on node n now."""
    if nodes.cpu[n] < classes.cpu[c] or nodes.memory[n] < classes.memory[c]:
        return False
    need = classes.count[c]
    if need == 0:
        return True
    if not classes.allowed[c, nodes.silicon[n]]:
        return False
    for d in range(nodes.devices[n]):
        if nodes.free[n, d] >= classes.milli[c]:
            need -= 1
            if need == 0:
                return True
    return False


@jit
def _best_device(nodes: Nodes, n: int, milli: int) -> int:
    """The fullest device that still has room."""
    best, left = NOWHERE, WHOLE + 1
    for d in range(nodes.devices[n]):
        if milli <= nodes.free[n, d] < left:
            best, left = d, nodes.free[n, d]
    return best


@jit
def _take_devices(free: Ints, devices: int, count: int, milli: int, device: int) -> None:
    """Take devices of one node: `device` for a shared request, else the first ones with room."""
    if count == 0:
        return
    if device >= 0:
        free[device] -= milli
        return
    for d in range(devices):
        if count > 0 and free[d] >= milli:
            free[d] -= milli
            count -= 1


@jit
def _change(typical: Typical, state: Counts, old: int, new: int, times: int) -> None:
    """Adjust what the devices of a node hold when so many of them go from `old` to `new` free."""
    was, will = typical.device[old], typical.device[new]
    for k in range(len(state)):
        state[k] += times * (will[k] - was[k])


@jit
def _use(typical: Typical, state: Counts, usable: Floats, at: Ints) -> int:
    """What each profile could use of the free accelerators, and where the lookups have it.

    Only those that could use any are written; returns how many.
    """
    profiles, number = len(typical.count), 0
    width = typical.cpu.shape[2] // profiles
    for p in range(profiles):
        slots = max(typical.whole[p, state[p]], state[2 * profiles + p])
        usable[number], at[number] = state[profiles + p], p * width + min(slots, width - 1)
        number += slots > 0
    return number


@jit
def _expected(by_cpu: Lookups, by_memory: Lookups, usable: Floats, at: Ints, number: int) -> float:
    """P2.1: what the expected arrivals can use, given the CPU and memory that go with it."""
    wanted = 0.0
    for i in range(number):
        wanted += min(by_cpu[at[i]], by_memory[at[i]]) * usable[i]
    return wanted


@jit
def _state(nodes: Nodes, typical: Typical, n: int, state: Counts) -> None:
    """What `_change` changes, for node n as it is."""
    state[:] = 0
    for d in range(nodes.devices[n]):
        _change(typical, state, 0, nodes.free[n, d], 1)


@jit
def fragmentation(nodes: Nodes, typical: Typical, n: int) -> float:
    """F_n of P2.1: milli-accelerators of node n that the expected arrivals could not use."""
    state = np.zeros(3 * len(typical.count), np.int32)
    usable, at = np.zeros(len(typical.count) + 1), np.zeros(len(typical.count) + 1, np.int64)
    _state(nodes, typical, n, state)
    number = _use(typical, state, usable, at)
    chip = nodes.silicon[n]
    by_cpu = typical.cpu[chip, nodes.cpu[n] >> typical.cpu_shift]
    by_memory = typical.memory[chip, nodes.memory[n] >> typical.memory_shift]
    return float(nodes.free[n].sum()) - _expected(by_cpu, by_memory, usable, at, number)


@jit
def _score_fragmentation(nodes: Nodes, classes: Classes, typical: Typical, scores: Scores, n: int) -> None:
    """P2.2 for node n and every class: what placing there adds to the fragmentation, plus the lean of P2.4.

    What the devices look like afterwards depends on the profile only and differs from now in the devices that are
    taken; what goes with them depends on the CPU and memory of the class. So the first is computed once per profile and
    device, the second is a lookup and a short sum, the same for classes of the same buckets.
    """
    profiles, devices, chip = len(typical.count), nodes.devices[n], nodes.silicon[n]
    cpu_free, memory_free, free = nodes.cpu[n], nodes.memory[n], nodes.free[n]
    state, after = np.empty(3 * profiles, np.int32), np.empty(3 * profiles, np.int32)
    usable, at = np.empty((devices + 1, profiles + 1)), np.empty((devices + 1, profiles + 1), np.int64)
    which, length, wanted = np.empty(devices + 1, np.int64), np.empty(devices + 1, np.int64), np.empty(devices + 1)
    total = 0
    for d in range(devices):
        total += free[d]
    _state(nodes, typical, n, state)
    number = _use(typical, state, usable[0], at[0])
    by_cpu = typical.cpu[chip, cpu_free >> typical.cpu_shift]
    by_memory = typical.memory[chip, memory_free >> typical.memory_shift]
    before = total - _expected(by_cpu, by_memory, usable[0], at[0], number)
    lean_accelerators, lean_cpu = scores.lean[0] / scores.scale[2], scores.lean[1] / scores.scale[0]
    for p in range(profiles):
        count, milli, options = typical.count[p], typical.milli[p], 0
        shared = count == 1 and milli < WHOLE
        if shared and state[p] >= 1:
            for d in range(devices):
                seen = free[d] < milli
                for e in range(d):
                    seen = seen or free[e] == free[d]
                if not seen:
                    after[:] = state
                    _change(typical, after, free[d], free[d] - milli, 1)
                    length[options], which[options] = _use(typical, after, usable[options], at[options]), d
                    options += 1
        elif state[p] >= count:
            after[:] = state
            need = count
            for d in range(devices):
                if need > 0 and free[d] >= milli:
                    need -= 1
                    _change(typical, after, free[d], free[d] - milli, 1)
            length[0], which[0], options = _use(typical, after, usable[0], at[0]), NOWHERE, 1
        left = (1.0 + lean_accelerators) * (total - count * milli) - before
        last_b, last_m = -1, -1
        for k in range(classes.start[p], classes.start[p + 1]):
            c = classes.order[k]
            best, device = np.inf, NOWHERE
            cpu, memory = cpu_free - classes.cpu[c], memory_free - classes.memory[c]
            if options > 0 and cpu >= 0 and memory >= 0 and (count == 0 or classes.allowed[c, chip]):
                b, m = cpu >> typical.cpu_shift, memory >> typical.memory_shift
                if b != last_b or m != last_m:
                    last_b, last_m = b, m
                    for o in range(options):
                        # _expected, written out: slices here cost more than the sum.
                        much = 0.0
                        for j in range(length[o]):
                            i = at[o, j]
                            much += min(typical.cpu[chip, b, i], typical.memory[chip, m, i]) * usable[o, j]
                        wanted[o] = much
                for o in range(options):
                    value = left + lean_cpu * cpu - wanted[o]
                    if value < best:
                        best, device = value, which[o]
            scores.value[c, n] = best
            if shared:
                scores.device[c, n] = device


@jit
def _score_simple(policy: int, nodes: Nodes, classes: Classes, scores: Scores, n: int, c: int) -> None:
    """Scores of the other policies for one class that fits on node n."""
    count, milli = classes.count[c], classes.milli[c]
    shared = count == 1 and milli < WHOLE
    scores.device[c, n] = _best_device(nodes, n, milli) if shared else NOWHERE
    left = 0
    for d in range(nodes.devices[n]):
        left += nodes.free[n, d]
    cpu_scale, accelerator_scale = scores.scale[0], scores.scale[2]
    if policy == RANDOM:
        scores.value[c, n] = 0.0
    elif policy == BEST_FIT:
        after = left - count * milli
        scores.value[c, n] = 0.5 * (nodes.cpu[n] - classes.cpu[c]) / cpu_scale + 0.5 * after / accelerator_scale
    elif policy == DOT_PRODUCT:
        there = left
        if shared:
            there = nodes.free[n, scores.device[c, n]]
        elif count > 0:
            there = 0
            for d in range(nodes.devices[n]):
                there += nodes.free[n, d] if nodes.free[n, d] >= milli else 0
        scores.value[c, n] = (nodes.cpu[n] / cpu_scale) * (classes.cpu[c] / cpu_scale) + (there / accelerator_scale) * (
            count * milli / accelerator_scale
        )
    elif policy == CLUSTERING:
        used, same = 0, nodes.running[n, classes.group[c]] > 0
        for g in range(nodes.running.shape[1]):
            used += nodes.running[n, g] > 0
        if count == 0:
            scores.value[c, n] = 0.0
        else:
            kind = (0.0 if used == 1 else 1.0) if same else (2.0 if used == 0 else 3.0)
            scores.value[c, n] = kind + 0.999 * left / accelerator_scale
    else:
        scores.value[c, n] = _packing_score(nodes, n, count, milli, accelerator_scale)


@jit
def _packing_score(nodes: Nodes, n: int, count: int, milli: int, scale: float) -> float:
    """Shared devices first, then whole devices of a node in use, then the smallest empty node."""
    if count == 0:
        return 0.0
    whole = 0
    for d in range(nodes.devices[n]):
        whole += nodes.free[n, d] == WHOLE
    if whole == nodes.devices[n]:
        return 2.0 + whole * WHOLE / scale
    partly, need = 0, count
    for d in range(nodes.devices[n]):
        if need > 0 and milli <= nodes.free[n, d] < WHOLE:
            need -= 1
            partly += nodes.free[n, d]
    if need > 0:
        return 1.0 + 0.999 * need * WHOLE / scale
    return 0.999 * partly / (count * WHOLE)


@jit
def rescore(policy: int, nodes: Nodes, classes: Classes, typical: Typical, scores: Scores, n: int) -> None:
    """P2.3: score node n for every class."""
    if policy == FRAGMENTATION:
        _score_fragmentation(nodes, classes, typical, scores, n)
        return
    for c in range(len(classes.cpu)):
        if fits(nodes, classes, c, n):
            _score_simple(policy, nodes, classes, scores, n, c)
        else:
            scores.value[c, n] = np.inf


@jit
def take(nodes: Nodes, classes: Classes, c: int, n: int, device: int, taken: Ints) -> None:
    """Put one member of class c on node n; `taken` (D,) receives what each device gives."""
    nodes.cpu[n] -= classes.cpu[c]
    nodes.memory[n] -= classes.memory[c]
    nodes.running[n, classes.group[c]] += 1
    taken[:] = nodes.free[n]
    _take_devices(nodes.free[n], nodes.devices[n], classes.count[c], classes.milli[c], device)
    taken -= nodes.free[n]


@jit
def give_back(nodes: Nodes, classes: Classes, c: int, n: int, taken: Ints) -> None:
    """The inverse of `take`."""
    nodes.cpu[n] += classes.cpu[c]
    nodes.memory[n] += classes.memory[c]
    nodes.running[n, classes.group[c]] -= 1
    nodes.free[n] += taken


@jit
def choose(policy: int, scores: Scores, c: int, chance: float) -> int:
    """The node with the lowest score, the first of equal ones; any node that fits for the random policy."""
    value = scores.value[c]
    if policy == RANDOM:
        number = 0
        for n in range(len(value)):
            number += value[n] < np.inf
        pick = int(chance * number)
        for n in range(len(value)):
            if value[n] < np.inf:
                if pick == 0:
                    return n
                pick -= 1
        return NOWHERE
    # Four minima side by side keep the processor busy; the first node that has the lowest is looked up afterwards.
    a = b = e = d = np.inf
    whole = len(value) & ~3
    for n in range(0, whole, 4):
        a, b, e, d = min(a, value[n]), min(b, value[n + 1]), min(e, value[n + 2]), min(d, value[n + 3])
    for n in range(whole, len(value)):
        a = min(a, value[n])
    lowest = min(a, b, e, d)
    if lowest == np.inf:
        return NOWHERE
    n = 0
    while value[n] != lowest:
        n += 1
    return n


@jit
def place_gang(
    policy: int, nodes: Nodes, classes: Classes, typical: Typical, scores: Scores, c: int, where: Ints, taken: Ints
) -> bool:
    """P2.5: all members of a gang in one domain, or nothing. `where` (M,) and `taken` (M, D) receive the places.

    Every domain is tried on paper, members one after the other where the score is lowest; the domain with the lowest
    sum wins, the smaller one of equal ones.
    """
    members = classes.members[c]
    best_domain, best_sum = NOWHERE, np.inf
    for attempt in range(2):
        last = nodes.domain.max() if attempt == 0 else best_domain
        for domain in range(0 if attempt == 0 else max(0, best_domain), last + 1):
            total, m = 0.0, 0
            while m < members:
                n, lowest = NOWHERE, np.inf
                for i in range(len(nodes.domain)):
                    if nodes.domain[i] == domain and scores.value[c, i] < lowest:
                        n, lowest = i, scores.value[c, i]
                if n == NOWHERE:
                    break
                total += lowest
                where[m] = n
                take(nodes, classes, c, n, scores.device[c, n], taken[m])
                rescore(policy, nodes, classes, typical, scores, n)
                m += 1
            if attempt == 1 and m == members:
                return True
            if m == members and total < best_sum:
                best_domain, best_sum = domain, total
            while m > 0:
                m -= 1
                give_back(nodes, classes, c, where[m], taken[m])
                rescore(policy, nodes, classes, typical, scores, where[m])
        if best_domain == NOWHERE:
            return False
    return False


@jit
def run(
    policy: int,
    nodes: Nodes,
    classes: Classes,
    typical: Typical,
    scores: Scores,
    arrivals: Ints,
    chance: Floats,
    where: Ints,
    taken: Ints,
) -> int:
    """Place arrivals (A,) of classes in order; nothing leaves. `where` (A,) and `taken` (A, D); returns how many.

    An arrival that fits nowhere is refused and changes nothing.
    """
    placed = 0
    for a in range(len(arrivals)):
        c = arrivals[a]
        where[a] = NOWHERE
        n = choose(policy, scores, c, chance[a])
        if n == NOWHERE:
            continue
        device = scores.device[c, n]
        if policy == RANDOM and device >= 0:
            device = _any_device(nodes, n, classes.milli[c], chance[a])
        take(nodes, classes, c, n, device, taken[a])
        rescore(policy, nodes, classes, typical, scores, n)
        where[a] = n
        placed += 1
    return placed


@jit
def _any_device(nodes: Nodes, n: int, milli: int, chance: float) -> int:
    """Any device with room; the digits of `chance` behind those that chose the node choose it."""
    number = 0
    for d in range(nodes.devices[n]):
        number += nodes.free[n, d] >= milli
    pick = int((chance * 1e6 % 1.0) * number)
    for d in range(nodes.devices[n]):
        if nodes.free[n, d] >= milli:
            if pick == 0:
                return d
            pick -= 1
    return NOWHERE
