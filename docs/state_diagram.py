"""The diagrams of states of a job and a run: drawn from the steps that the code allows, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from argosy.model.job import JOB_ENDS, JOB_STEPS, RUN_ENDS, RUN_STEPS

WIDE, HIGH = 128, 34
Place = tuple[float, float]
JOB_PLACES: dict[str, Place] = {
    "PENDING": (90, 120), "STARTING": (290, 120), "RUNNING": (490, 120), "RECOVERING": (390, 30),
    "CANCELLING": (390, 215),
}  # fmt: skip
RUN_PLACES: dict[str, Place] = {
    "LEASED": (90, 120), "PROVISIONING": (290, 120), "RUNNING": (490, 120), "UNREACHABLE": (390, 30),
    "TERMINATING": (390, 215),
}  # fmt: skip
STYLE = """
    .box { fill: #fff; stroke: #1b2a41; stroke-width: 1.3 } .end { fill: #eef1f5 }
    .way { fill: none; stroke: #5a6b82; stroke-width: 1.2 } text { fill: #1b2a41; font: 12px sans-serif }
    .small { font-size: 11px }
    @media (prefers-color-scheme: dark) {
      .box { fill: #16202e; stroke: #c9d4e3 } .end { fill: #223047 } .way { stroke: #8fa3bd } text { fill: #e4ebf5 }
      marker path { fill: #8fa3bd }
    }
"""


def diagrams() -> str:
    """Both diagrams in one SVG."""
    job = _diagram("Job", JOB_PLACES, {k: set(v) for k, v in JOB_STEPS.items()}, sorted(JOB_ENDS), 0)
    run = _diagram("Run", RUN_PLACES, {k: set(v) for k, v in RUN_STEPS.items()}, sorted(RUN_ENDS), 300)
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 590" width="860" height="590" role="img"',
        '     aria-label="States of a job and of a run, with the steps between them; the tables below say the same.">',
        f"  <style>{STYLE}  </style>",
        '  <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5"',
        '    markerWidth="7" markerHeight="7" orient="auto">',
        '    <path d="M0 0 L10 5 L0 10 z" fill="#5a6b82"/></marker></defs>',
        *job, *run, "</svg>", "",
    ])  # fmt: skip


def _diagram(
    title: str, places: Mapping[str, Place], steps: Mapping[str, set[str]], ends: list[str], down: float
) -> list[str]:
    out = [
        f'  <g transform="translate(0 {down:g})">',
        f'  <text x="20" y="24"><tspan font-weight="700">{title}</tspan></text>',
    ]
    for start, at in places.items():
        for end in sorted(steps[start] & set(places)):
            out.append(_arrow(at, places[end], both=start in steps[end]))
    for name, (x, y) in places.items():
        out.append(_box(name, x, y, "box"))
    for i, name in enumerate(ends):
        y = 125 + (i - (len(ends) - 1) / 2) * 42
        from_all = all(name in steps[start] for start in places)
        out.append(_box(name, 770, y, "box end"))
        if not from_all:
            missing = ", ".join(start for start in places if name not in steps[start])
            out.append(
                f'  <text class="small" x="698" y="{y + 4:g}" text-anchor="end">not from {escape(missing)}</text>'
            )
    out.append(
        '  <text class="small" x="698" y="265" text-anchor="end">ends: from every state on the left, unless said</text>'
    )
    return [*out, "  </g>"]


def _box(name: str, x: float, y: float, style: str) -> str:
    return (
        f'  <rect class="{style}" x="{x - WIDE / 2:g}" y="{y - HIGH / 2:g}" width="{WIDE}" height="{HIGH}" rx="6"/>'
        f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle">{escape(name)}</text>'
    )


def _arrow(start: Place, end: Place, *, both: bool) -> str:
    """A line from border to border; of two that lead both ways each keeps to its right."""
    (x, y), (u, v) = start, end
    length = ((u - x) ** 2 + (v - y) ** 2) ** 0.5
    side = 7 if both else 0
    dx, dy = -(v - y) / length * side, (u - x) / length * side
    ax, ay = _border(x, y, u, v)
    bx, by = _border(u, v, x, y)
    return f'  <path class="way" marker-end="url(#tip)" d="M{ax + dx:.1f} {ay + dy:.1f} L{bx + dx:.1f} {by + dy:.1f}"/>'


def _border(x: float, y: float, u: float, v: float) -> Place:
    """Where the line from the middle of a box leaves it."""
    part = min(
        (WIDE / 2 + 2) / abs(u - x) if u != x else 9.0,
        (HIGH / 2 + 2) / abs(v - y) if v != y else 9.0,
    )
    return x + (u - x) * part, y + (v - y) * part
