"""Owns the status page's plots: lines over the last half hour, as small SVG elements with their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from serving.status.history import POINTS

WIDTH, TOP, BOTTOM, HEIGHT = 320, 18, 104, 122
_STEP = WIDTH / POINTS


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Attributes:
        arm: The place of its arm among the model's: its colour.
        dashed: Whether it is the second line of that arm.
        values: The newest is the last; None leaves a gap.
    """

    arm: int
    dashed: bool
    values: Sequence[float | None]


def draw_plot(label: str, lines: Sequence[Line], least_top: float, spell: Callable[[float], str]) -> str:
    """Draw *lines* from zero up as an ``<svg>`` element; its colours are the page's.

    Args:
        label: What it shows, for those who can't see it.
        lines: At most as long as a half hour has points.
        least_top: What the axis reaches up to at least.
        spell: How the axis spells a value.
    """
    top = _round_up(max([least_top, *(value for line in lines for value in line.values if value)]))
    drawn = "".join(_draw_line(line, top) for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<path class="grid" d="M0 {TOP}H{WIDTH}M0 {(TOP + BOTTOM) // 2}H{WIDTH}"/>'
        f'<path class="floor" d="M0 {BOTTOM}H{WIDTH}"/>{drawn}'
        f'<text x="0" y="{TOP - 5}">{escape(spell(top))}</text><text x="0" y="{HEIGHT - 4}">30 min ago</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" class="end">now</text></svg>'
    )


def _draw_line(line: Line, top: float) -> str:
    start = POINTS - len(line.values)
    stretches: list[list[str]] = [[]]
    for place, value in enumerate(line.values, start):
        if value is None:
            stretches.append([])
        else:
            x, y = (place + 0.5) * _STEP, BOTTOM - (BOTTOM - TOP) * value / top
            stretches[-1].append(f"{x:.0f} {y:.1f}")
    # A value between two gaps would be a line without length: it is a dot.
    dots = "".join(f"M{each[0]}h0" for each in stretches if len(each) == 1)
    path = "".join(f"M{'L'.join(each)}" for each in stretches if len(each) > 1)
    line_style, dot_style = ("line dashed", "dots small") if line.dashed else ("line", "dots")
    return _draw_path(f"{line_style} hue{line.arm}", path) + _draw_path(f"{dot_style} hue{line.arm}", dots)


def _draw_path(style: str, path: str) -> str:
    return f'<path class="{style}" d="{path}"/>' if path else ""


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 … (and their tenths) that isn't below *value*, which is above 0."""
    unit: float = 10.0 ** floor(log10(value))
    return next(each * unit for each in (1, 2, 5, 10) if each * unit >= value * (1 - 1e-9))
