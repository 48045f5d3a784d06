"""Owns the pictures of a backtest: a metric over time, and what it costs, as SVG to set in a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from evertrain.backtest_records import StrategyResult

WIDTH, HEIGHT = 860.0, 300.0
LEFT, RIGHT, TOP, FOOT = 64.0, 18.0, 12.0, 28.0
DASHES = ("none", "7 4", "2 3", "9 3 2 3", "none")
TICKS = 5
MOST_DATES = 10


class _Scale:
    """From values to places on one axis."""

    def __init__(self, values: Sequence[float], start: float, end: float, margin: float = 0.06) -> None:
        low, high = min(values), max(values)
        room = (high - low) * margin or abs(high) * margin or 1.0
        self.low, self.high = low - room, high + room
        self._start, self._by = start, (end - start) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) * self._by

    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * step / (TICKS - 1) for step in range(TICKS)]


def over_time_svg(results: Sequence[StrategyResult], metric: str) -> str:
    """Draw *metric* of up to five strategies, period by period, as an ``<svg>`` element.

    A line is broken where a period couldn't be scored; empty where none could.
    """
    values = [turn.metrics[metric] for each in results for turn in each.periods if metric in turn.metrics]
    if not values:
        return ""
    dates = [turn.since for turn in results[0].periods]
    across = _Scale([0.0, max(1.0, len(dates) - 1.0)], LEFT, WIDTH - RIGHT, margin=0.02)
    up = _Scale(values, HEIGHT - FOOT, TOP)
    drawn = [
        *_draw_grid(up),
        *(_draw_line(each, metric, place, across, up) for place, each in enumerate(results)),
    ]
    every = -(-len(dates) // MOST_DATES)
    drawn += [
        f'<text x="{across(place):.1f}" y="{HEIGHT - 8:g}" text-anchor="middle">{date:%Y-%m-%d}</text>'
        for place, date in enumerate(dates)
        if place % every == 0
    ]
    return _frame(f"{metric} over time", drawn)


def frontier_svg(results: Sequence[StrategyResult], metric: str) -> str:
    """Draw each strategy's mean of *metric* by its retrains as an ``<svg>`` element; empty without any."""
    shown = [each for each in results if metric in each.metrics]
    if not shown:
        return ""
    across = _Scale([0.0, max(1.0, *(float(each.retrains) for each in shown))], LEFT, WIDTH - RIGHT - 120)
    up = _Scale([each.metrics[metric] for each in shown], HEIGHT - FOOT, TOP)
    most = max(each.retrains for each in shown)
    drawn = [*_draw_grid(up)]
    drawn += [
        f'<text x="{across(count):.1f}" y="{HEIGHT - 8:g}" text-anchor="middle">{count}</text>'
        for count in range(0, most + 1, 1 + most // MOST_DATES)
    ]
    taken: list[tuple[float, float]] = []
    for each in sorted(shown, key=lambda one: not one.frontier):
        drawn.append(_draw_point(each, across(each.retrains), up(each.metrics[metric]), taken))
    return _frame(f"mean {metric} by retrains", drawn)


def _draw_grid(up: _Scale) -> list[str]:
    return [
        f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{up(tick):.1f}" y2="{up(tick):.1f}" '
        f'stroke="currentColor" stroke-opacity=".15"/><text x="{LEFT - 8:g}" y="{up(tick) + 4:.1f}" '
        f'text-anchor="end">{tick:.4g}</text>'
        for tick in up.ticks()
    ]


def _draw_line(each: StrategyResult, metric: str, place: int, across: _Scale, up: _Scale) -> str:
    colour = f"var(--hue{place})"
    pieces, pen = [], "M"
    for number, turn in enumerate(each.periods):
        if metric not in turn.metrics:
            pen = "M"
            continue
        pieces.append(f"{pen}{across(number):.1f} {up(turn.metrics[metric]):.1f}")
        pen = "L"
    rings = [
        f'<circle cx="{across(number):.1f}" cy="{up(turn.metrics[metric]):.1f}" r="5.5" fill="none" '
        f'stroke="{colour}" stroke-width="2"><title>{escape(each.name)}: champion {turn.version}</title>'
        f"</circle>"
        for number, turn in enumerate(each.periods)
        if turn.action == "promoted" and metric in turn.metrics
    ]
    return (
        f'<path d="{"".join(pieces)}" fill="none" stroke="{colour}" stroke-width="2.2" '
        f'stroke-dasharray="{DASHES[place]}"/>{"".join(rings)}'
    )


def _draw_point(each: StrategyResult, x: float, y: float, taken: list[tuple[float, float]]) -> str:
    # The name of one that stands nearly where another does is left to its title.
    crowded = any(abs(x - left) < 130 and abs(y - top) < 12 for left, top in taken)
    taken.append((x, y))
    name = each.name if len(each.name) <= 34 else f"{each.name[:33]}…"
    text = "" if crowded else f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(name)}</text>'
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" stroke="var(--hue0)" stroke-width="1.8" '
        f'fill="{"var(--hue0)" if each.frontier else "none"}"><title>{escape(each.name)}</title></circle>'
        f"{text}"
    )


def _frame(label: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label, quote=True)}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" '
        f'width="{WIDTH:g}" height="{HEIGHT:g}" font-size="11" fill="currentColor">{"".join(drawn)}</svg>'
    )
