"""Owns the picture of slices: each slice's gain with its interval beside no gain and the margin, as SVG."""

from __future__ import annotations

from html import escape

from evertrain.records import SliceGain, SliceGains

WIDTH, LABEL_WIDTH, ROW, FOOT = 640.0, 190.0, 18.0, 22.0
LONGEST_LABEL = 28
MOST_ROWS = 30
COLOURS = {"pass": "var(--hue0)", "fail": "var(--hue1)"}


def slices_svg(seen: SliceGains) -> str:
    """Draw the worst thirty of the slices that are shown as an ``<svg>`` element; empty where none is."""
    shown = [each for each in seen.slices if each.verdict != "not_shown"][:MOST_ROWS]
    if not shown:
        return ""
    ends = [end for each in shown for end in (each.low, each.high) if end is not None]
    low, high = min(*ends, 0.0, -seen.max_regression), max(*ends, 0.0)
    scale = (WIDTH - LABEL_WIDTH - 12) / ((high - low) or 1.0)
    places = {value: LABEL_WIDTH + (value - low) * scale for value in (0.0, -seen.max_regression)}
    height = len(shown) * ROW + FOOT
    lines = [
        f'<line x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{height - FOOT:g}" stroke="currentColor" '
        f'stroke-width="{0.8 if value == 0 else 1.2}" stroke-dasharray="{"none" if value == 0 else "4 3"}"/>'
        f'<text x="{place:.1f}" y="{height - 7:g}" text-anchor="middle">{value + 0.0:g}</text>'
        for value, place in places.items()
    ]
    rows = [_draw_slice(each, row * ROW + ROW / 2, low, scale) for row, each in enumerate(shown)]
    label = escape(f"Gain in {seen.metric} by slice", quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" '
        f'height="{height:g}" font-size="11" fill="currentColor">{"".join([*lines, *rows])}</svg>'
    )


def _draw_slice(each: SliceGain, middle: float, low: float, scale: float) -> str:
    assert each.low is not None
    assert each.high is not None
    assert each.gain is not None
    start, dot, end = (LABEL_WIDTH + (value - low) * scale for value in (each.low, each.gain, each.high))
    name, colour = f"{each.column} = {each.value}", COLOURS[each.verdict]
    short = name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
    return (
        f'<text x="{LABEL_WIDTH - 8:g}" y="{middle + 4:g}" text-anchor="end">'
        f"<title>{escape(name[:200])}</title>{escape(short)}</text>"
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{middle:g}" y2="{middle:g}" stroke="{colour}" '
        f'stroke-width="2"/><circle cx="{dot:.1f}" cy="{middle:g}" r="3.5" fill="{colour}"/>'
    )
