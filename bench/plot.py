"""The plots of the document: SVG that reads on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_SCALE, _RIGHT, _LINE, _TOP = 450, 110, 26, 34
_CHARACTER = 7.2
"""The width of one, in the widest of the fonts that may stand in."""
_INK, _FAINT, _OURS, _THEIRS, _MISSED = "#7d8590", "#7d859040", "#2a9d8f", "#8d99ae", "#d1495b"


@dataclass(frozen=True)
class Spread:
    """One line of a plot: what several runs measured of one thing."""

    label: str
    values: tuple[float, ...]
    is_marked: bool
    """A missed target among distances, Interlock's own figure among bars."""
    text: str


def distances(spreads: Sequence[Spread]) -> str:
    """A dot for each run, on a logarithmic scale around 1, the target; left of it the target is met."""
    far = max(2.0, *(max(value, 1 / value) for spread in spreads for value in spread.values))
    reach = math.log(far) * 1.1
    left = _left(spreads)

    def at(value: float) -> float:
        return left + _SCALE * (0.5 + math.log(value) / (2 * reach))

    marks = [
        *_legend(at(1), "target"),
        *(
            f'<circle cx="{at(value):.1f}" cy="{_middle(line)}" r="5" fill-opacity="0.75" '
            f'fill="{_MISSED if spread.is_marked else _OURS}"/>'
            for line, spread in enumerate(spreads)
            for value in spread.values
        ),
        f'<line x1="{at(1):.1f}" x2="{at(1):.1f}" y1="{_TOP - 8}" y2="{_TOP + _LINE * len(spreads)}" '
        f'stroke="{_INK}" stroke-width="1.5" stroke-dasharray="4 3"/>',
    ]
    return _drawing(spreads, marks)


def bars(spreads: Sequence[Spread]) -> str:
    """A bar from 0 to the middle run of each, and a whisker over all runs."""
    most = max(value for spread in spreads for value in spread.values)
    left = _left(spreads)

    def at(value: float) -> float:
        return left + _SCALE * value / most

    marks = []
    for line, spread in enumerate(spreads):
        middle = sorted(spread.values)[len(spread.values) // 2]
        colour = _OURS if spread.is_marked else _THEIRS
        marks += [
            f'<rect x="{left}" y="{_middle(line) - 8}" width="{at(middle) - left:.1f}" height="16" '
            f'rx="2" fill="{colour}"/>',
            f'<line x1="{at(min(spread.values)):.1f}" x2="{at(max(spread.values)):.1f}" '
            f'y1="{_middle(line)}" y2="{_middle(line)}" stroke="{_INK}" stroke-width="2"/>',
        ]
    return _drawing(spreads, marks)


def _legend(middle: float, what: str) -> list[str]:
    return [
        _text(middle, _TOP - 14, what, "middle"),
        _text(middle - 60, _TOP - 14, "← met", "end"),
        _text(middle + 60, _TOP - 14, "missed →", "start"),
    ]


def _drawing(spreads: Sequence[Spread], marks: Sequence[str]) -> str:
    left, height = _left(spreads), _TOP + _LINE * len(spreads) + 10
    right = left + _SCALE
    lines = [
        part
        for line, spread in enumerate(spreads)
        for part in (
            f'<line x1="{left}" x2="{right}" y1="{_middle(line)}" y2="{_middle(line)}" stroke="{_FAINT}"/>',
            _text(left - 12, _middle(line) + 4, spread.label, "end"),
            _text(right + 12, _middle(line) + 4, spread.text, "start"),
        )
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + _RIGHT} {height}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            *lines,
            *marks,
            "</svg>\n",
        )
    )


def _left(spreads: Sequence[Spread]) -> int:
    return 24 + round(_CHARACTER * max(len(spread.label) for spread in spreads))


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{_INK}" text-anchor="{anchor}">{escape(text)}</text>'


def _middle(line: int) -> int:
    return _TOP + _LINE * line + _LINE // 2
