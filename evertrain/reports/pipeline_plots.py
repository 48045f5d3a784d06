"""Owns the pictures of a pipeline's page: trends over time and the lineage of its versions, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

WIDTH, HEIGHT = 340.0, 150.0
LEFT, RIGHT, TOP, FOOT = 42.0, 8.0, 16.0, 18.0
MARK_GAP = 16.0
LANE, LANE_WIDTH, LANE_LEFT, LANE_RIGHT = 24.0, 680.0, 44.0, 22.0
GRID = 'stroke="var(--line)" stroke-width="1"'


@dataclass(frozen=True)
class Dot:
    """One point of a trend: its moment, its value, whether it fired, what a pointer is told.

    ``low`` and ``high`` are the ends of its interval; ``bar`` is the limit that it was held against.
    """

    at: datetime
    value: float
    fired: bool
    told: str
    low: float | None = None
    high: float | None = None
    bar: float | None = None


@dataclass(frozen=True)
class Span:
    """A stretch of a lane: from when to when, and whether the version served or was only tried."""

    since: datetime
    until: datetime
    served: bool
    told: str


@dataclass(frozen=True)
class Lane:
    """A version in the lineage: its moments (a sign, and what it means) and its stretches."""

    name: str
    spans: Sequence[Span]
    signs: Sequence[tuple[datetime, str, str]]


@dataclass(frozen=True)
class Scale:
    """From times and values to places in a picture."""

    start: datetime
    end: datetime
    low: float
    high: float

    def x(self, at: datetime) -> float:
        """Where the moment *at* lies."""
        share = (at - self.start) / ((self.end - self.start) or timedelta(seconds=1))
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, value: float) -> float:
        """Where *value* lies."""
        return HEIGHT - FOOT - (HEIGHT - FOOT - TOP) * (value - self.low) / (self.high - self.low)


def trend_svg(
    dots: Sequence[Dot], marks: Sequence[tuple[datetime, str]], label: str, *, floor: float | None = None
) -> str:
    """Draw *dots* over time as an ``<svg>`` element, the newest last; empty where there are none.

    Args:
        dots: Oldest first.
        marks: What happened when, as dotted lines; only a few are named.
        label: What a reader who can't see it is told.
        floor: A value that the axis shows whatever the dots are.
    """
    if not dots:
        return ""
    scale = _fit(dots, floor)
    drawn = [
        *_draw_values(scale),
        *_draw_times(scale.start, scale.end, scale.x, HEIGHT, LEFT, WIDTH - RIGHT),
        *_draw_marks(marks, scale),
        *_draw_bars(dots, scale),
        *_draw_line(dots, scale),
        *(_draw_dot(each, scale) for each in dots),
    ]
    return _svg(WIDTH, HEIGHT, label, drawn)


def bars_svg(bars: Sequence[tuple[str, float, str]], label: str) -> str:
    """Draw counts side by side as an ``<svg>`` element: name, count, what a pointer is told."""
    if not bars:
        return ""
    now = datetime.min
    scale = Scale(now, now, 0.0, max(*(count for _, count, _ in bars), 1.0) * 1.08)
    step = (WIDTH - LEFT - RIGHT) / len(bars)
    every = -(-len(bars) // 10)
    foot = scale.y(0)
    drawn = list(_draw_values(scale))
    for place, (name, count, told) in enumerate(bars):
        spelled = escape(name)
        left, wide = LEFT + step * place + step * 0.12, min(step * 0.76, 60.0)
        left += (step * 0.76 - wide) / 2
        drawn.append(
            f'<rect x="{left:.1f}" y="{scale.y(count):.1f}" width="{wide:.1f}" '
            f'height="{foot - scale.y(count):.1f}" fill="var(--hue0)">{_title(told)}</rect>'
        )
        if place % every == 0:
            drawn.append(
                f'<text x="{left + wide / 2:.1f}" y="{HEIGHT - 4:g}" text-anchor="middle">{spelled}</text>'
            )
    return _svg(WIDTH, HEIGHT, label, drawn)


def lineage_svg(lanes: Sequence[Lane], start: datetime, end: datetime, label: str) -> str:
    """Draw versions one below the other over time as an ``<svg>`` element; empty where there are none."""
    if not lanes:
        return ""
    height = LANE * len(lanes) + FOOT + 6

    def x(at: datetime) -> float:
        share = (min(max(at, start), end) - start) / ((end - start) or timedelta(seconds=1))
        return LANE_LEFT + (LANE_WIDTH - LANE_LEFT - LANE_RIGHT) * share

    right = LANE_WIDTH - LANE_RIGHT
    drawn = list(_draw_times(start, end, x, height, LANE_LEFT, right))
    for place, lane in enumerate(lanes):
        middle = LANE * place + LANE / 2
        drawn.append(
            f'<line x1="{LANE_LEFT:g}" x2="{right:g}" y1="{middle:g}" y2="{middle:g}" {GRID}/>'
            f'<text x="{LANE_LEFT - 10:g}" y="{middle + 4:g}" text-anchor="end">{escape(lane.name)}</text>'
        )
        drawn += [_draw_span(each, x, middle) for each in lane.spans]
        drawn += [_draw_sign(x(at), middle, sign, told) for at, sign, told in lane.signs]
    return _svg(LANE_WIDTH, height, label, drawn)


def _draw_span(span: Span, x: Callable[[datetime], float], middle: float) -> str:
    left, tall = x(span.since), 10 if span.served else 4
    hue = 0 if span.served else 4
    return (
        f'<rect x="{left:.1f}" y="{middle - tall / 2:g}" width="{max(x(span.until) - left, 2.0):.1f}" '
        f'height="{tall}" rx="2" fill="var(--hue{hue})">{_title(span.told)}</rect>'
    )


def _draw_sign(x: float, middle: float, sign: str, told: str) -> str:
    """A ring where it was registered, a cross where it was held or ended, an arrow where it was left."""
    at = f"{x:.1f}"
    # Most are held where they are registered: both signs are to be seen.
    x += 11.0 if sign == "cross" else 0.0
    paths = {
        "ring": f'<circle cx="{at}" cy="{middle:g}" r="4" fill="var(--page)" stroke="var(--ink)" '
        f'stroke-width="1.5">{_title(told)}</circle>',
        "cross": f'<path d="M{x - 4:.1f} {middle - 4:g}l8 8m0 -8l-8 8" stroke="var(--bad)" stroke-width="2" '
        f'fill="none">{_title(told)}</path>',
        "back": f'<path d="M{x + 4:.1f} {middle - 6:g}l-8 6l8 6z" fill="var(--bad)">{_title(told)}</path>',
    }
    return paths[sign]


def _fit(dots: Sequence[Dot], floor: float | None) -> Scale:
    ends = (value for each in dots for value in (each.value, each.low, each.high, each.bar))
    shown = [value for value in ends if value is not None]
    shown += [] if floor is None else [floor]
    low, high = min(shown), max(shown)
    room = (high - low) * 0.1 or max(abs(high) * 0.1, 0.01)
    under = low if floor is not None and low == floor else low - room
    return Scale(dots[0].at, dots[-1].at, under, high + room)


def _draw_values(scale: Scale) -> Iterator[str]:
    """Lines across at round values."""
    step = _round_step(scale.high - scale.low)
    for number in range(math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9) + 1):
        y = scale.y(number * step)
        yield f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" {GRID}/>'
        spelled = _spell_tick(number * step)
        yield f'<text x="{LEFT - 5:g}" y="{y + 3.5:.1f}" text-anchor="end">{spelled}</text>'


def _round_step(span: float) -> float:
    """The least of 1, 2, 5, 10 … that divides *span* into four parts at most."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * each for each in (1, 2, 5, 10) if span / (power * each) <= 4 + 1e-9)


def _spell_tick(value: float) -> str:
    thousands = abs(value) >= 10_000
    return f"{value / 1000:g}k" if thousands else f"{value + 0.0:.6g}"


def _draw_times(
    start: datetime, end: datetime, x: Callable[[datetime], float], height: float, left: float, right: float
) -> Iterator[str]:
    """The axis' moments: its ends, and its middle where there is room."""
    spell = _spell_within(end - start)
    if start == end:
        yield f'<text x="{left:g}" y="{height - 4:g}">{spell(start)}</text>'
        return
    middle = start + (end - start) / 2
    yield f'<text x="{left:g}" y="{height - 4:g}">{spell(start)}</text>'
    yield f'<text x="{x(middle):.1f}" y="{height - 4:g}" text-anchor="middle">{spell(middle)}</text>'
    yield f'<text x="{right:g}" y="{height - 4:g}" text-anchor="end">{spell(end)}</text>'


def _spell_within(span: timedelta) -> Callable[[datetime], str]:
    if span >= timedelta(days=3):
        return lambda at: f"{at:%Y-%m-%d}"
    return lambda at: f"{at:%m-%d %H:%M}" if span >= timedelta(minutes=3) else f"{at:%H:%M:%S}"


def _draw_marks(marks: Sequence[tuple[datetime, str]], scale: Scale) -> Iterator[str]:
    last = LEFT - MARK_GAP
    for at, name in marks:
        x = scale.x(at)
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4:g}" y2="{HEIGHT - FOOT:g}" stroke="var(--soft)" '
            'stroke-width="0.8" stroke-dasharray="1.5 2.5"/>'
        )
        if x - last >= MARK_GAP:
            last = x
            yield f'<text x="{x:.1f}" y="{TOP - 6:g}" text-anchor="middle">{escape(name)}</text>'


def _draw_bars(dots: Sequence[Dot], scale: Scale) -> Iterator[str]:
    """The limits that the dots were held against, as a dashed stair; and a line at no gain."""
    stair, is_open = [], False
    for each in dots:
        if each.bar is not None:
            x, y = f"{scale.x(each.at):.1f}", f"{scale.y(each.bar):.1f}"
            stair.append(f"H{x}V{y}" if is_open else f"M{x} {y}")
        is_open = each.bar is not None
    if stair:
        end = f"H{WIDTH - RIGHT:g}" if is_open else ""
        yield (
            f'<path d="{"".join(stair)}{end}" fill="none" stroke="var(--soft)" stroke-width="1.2" '
            'stroke-dasharray="5 3"/>'
        )
    if scale.low < 0 < scale.high:
        y = f"{scale.y(0):.1f}"
        yield f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y}" y2="{y}" stroke="var(--soft)"/>'


def _draw_line(dots: Sequence[Dot], scale: Scale) -> Iterator[str]:
    points = " ".join(f"{scale.x(each.at):.1f},{scale.y(each.value):.1f}" for each in dots)
    yield f'<polyline points="{points}" fill="none" stroke="var(--hue0)" stroke-width="1.4"/>'


def _draw_dot(each: Dot, scale: Scale) -> str:
    x, hue = scale.x(each.at), 1 if each.fired else 0
    interval = ""
    if each.low is not None and each.high is not None:
        interval = (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{scale.y(each.low):.1f}" y2="{scale.y(each.high):.1f}" '
            f'stroke="var(--hue{hue})" stroke-width="1.6"/>'
        )
    return (
        f'{interval}<circle cx="{x:.1f}" cy="{scale.y(each.value):.1f}" r="{3.4 if each.fired else 2.6}" '
        f'fill="var(--hue{hue})">{_title(each.told)}</circle>'
    )


def _title(told: str) -> str:
    return f"<title>{escape(told[:200])}</title>"


def _svg(width: float, height: float, label: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label[:300], quote=True)}" viewBox="0 0 {width:g} {height:g}" '
        f'font-size="{10.5 if width > WIDTH else 10:g}" fill="currentColor">{"".join(drawn)}</svg>'
    )
