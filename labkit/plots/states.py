# SPDX-License-Identifier: MIT
"""The states of workers and servers and what changes them: a picture made of the protocol's table.

python -m labkit.plots.states > states.svg
"""

from __future__ import annotations

import math
from html import escape

from labkit.model.states import TRANSITIONS
from labkit.plots.style import PLACE_COLOURS
from labkit.plots.timeline_parts import INK

_WIDTH, _HEIGHT = 560, 390
_AT = {"none": (90, 60), "running": (430, 120), "idle": (430, 350), "blocked": (110, 270)}
_FILL = {
    "none": ("#ffffff", INK),
    "running": (PLACE_COLOURS["RUNNING"], "#ffffff"),
    "idle": (PLACE_COLOURS["IDLE"], INK),
    "blocked": (PLACE_COLOURS["BLOCKED"], "#ffffff"),
}
_HALF_W, _HALF_H, _LINE = 48, 18, 13

#: Where the words of an arrow stand: x, y of their first line, and which end they are anchored at.
_WORDS = {
    ("worker", "none", "blocked"): (86, 165, "end"),
    ("worker", "running", "none"): (250, 62, "middle"),
    ("worker", "idle", "running"): (450, 215, "start"),
    ("worker", "running", "idle"): (408, 190, "end"),
    ("worker", "running", "blocked"): (245, 150, "middle"),
    ("worker", "blocked", "idle"): (190, 352, "middle"),
    ("worker", "blocked", "running"): (236, 244, "start"),
    ("worker", "idle", "blocked"): (290, 262, "middle"),
    ("server", "none", "running"): (225, 128, "middle"),
    ("server", "running", "none"): (255, 62, "middle"),
    ("server", "idle", "running"): (450, 190, "start"),
    ("server", "running", "idle"): (408, 210, "end"),
}


def states_svg() -> str:
    """The picture, of both roles."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {_HEIGHT}" '
        f'width="{2 * _WIDTH}" height="{_HEIGHT}" role="img" '
        'aria-label="States of workers and servers, and what changes them" '
        'font-family="system-ui, DejaVu Sans, sans-serif">',
        f'<rect width="{2 * _WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>',
    ]
    for i, role in enumerate(("worker", "server")):
        parts.append(f'<g transform="translate({i * _WIDTH} 0)">{_role(role)}</g>')
    return "".join([*parts, "</svg>"])


def _role(role: str) -> str:
    edges: dict[tuple[str, str], list[str]] = {}
    for _, kind, old, new, by in (t for t in TRANSITIONS if t.role == role):
        edges.setdefault((old, new), []).append(f"{kind} ({by})")
    parts = [
        f'<text x="{_WIDTH / 2}" y="24" font-size="17" font-weight="600" text-anchor="middle" '
        f'fill="{INK}">{role}</text>'
    ]
    for (old, new), words in edges.items():
        parts.append(_arrow(old, new))
        x, y, anchor = _WORDS[role, old, new]
        parts += [
            f'<text x="{x}" y="{y + i * _LINE}" font-size="11.5" text-anchor="{anchor}" '
            f'fill="{INK}">{escape(word)}</text>'
            for i, word in enumerate(words)
        ]
    for name in dict.fromkeys(state for edge in edges for state in edge):
        x, y = _AT[name]
        fill, ink = _FILL[name]
        parts.append(
            f'<rect x="{x - _HALF_W}" y="{y - _HALF_H}" width="{2 * _HALF_W}" '
            f'height="{2 * _HALF_H}" rx="9" fill="{fill}" stroke="{INK}"/>'
            f'<text x="{x}" y="{y + 5}" font-size="14" font-weight="600" text-anchor="middle" '
            f'fill="{ink}">{name.upper()}</text>'
        )
    return "".join(parts)


def _arrow(old: str, new: str) -> str:
    """From border to border; the two of a pair run beside each other."""
    (x0, y0), (x1, y1) = _AT[old], _AT[new]
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    reach = min(_HALF_W / abs(ux) if ux else math.inf, _HALF_H / abs(uy) if uy else math.inf) + 3
    aside = 9
    a = (x0 + ux * reach - uy * aside, y0 + uy * reach + ux * aside)
    b = (x1 - ux * reach - uy * aside, y1 - uy * reach + ux * aside)
    return (
        f'<path d="M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" stroke="{INK}" '
        'stroke-width="1.3" fill="none" marker-end="url(#to)"/>'
    )


if __name__ == "__main__":
    print(states_svg())
