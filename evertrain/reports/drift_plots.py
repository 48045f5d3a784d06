"""Owns the small pictures of drifted columns: reference filled, current outlined, as SVG to set in a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from evertrain.drift_records import DriftShape

WIDTH, HEIGHT, FOOT, ROW = 260.0, 64.0, 14.0, 15.0
LABEL_WIDTH = 108.0
LONGEST_LABEL = 16
REFERENCE = "var(--hue0)"
CURRENT = "var(--hue1)"


def shape_svg(shape: DriftShape, name: str) -> str:
    """Draw how the column *name* is spread on both sides as an ``<svg>`` element of one or two kilobytes."""
    height, drawn = _draw_categories(shape) if shape.labels else _draw_numbers(shape)
    label = escape(f"{name}: reference and current shares", quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" '
        f'height="{height:g}" font-size="10" fill="currentColor">{"".join(drawn)}</svg>'
    )


def _draw_numbers(shape: DriftShape) -> tuple[float, Iterable[str]]:
    low, high = shape.edges[0], shape.edges[-1]
    places = [WIDTH * (edge - low) / (high - low) for edge in shape.edges]
    highest = max(*shape.reference, *shape.current)
    filled, outlined = (_trace(places, side, highest) for side in (shape.reference, shape.current))
    base = f"{HEIGHT + FOOT - 3:g}"
    # Bins of one are whole numbers in their middles.
    inset = 0.5 if shape.edges[1] - low == 1 else 0.0
    return HEIGHT + FOOT, (
        f'<path d="{filled}Z" fill="{REFERENCE}" fill-opacity=".35"/>',
        f'<path d="{outlined}" fill="none" stroke="{CURRENT}" stroke-width="1.6"/>',
        f'<text x="0" y="{base}">{low + inset:.4g}</text>',
        f'<text x="{WIDTH:g}" y="{base}" text-anchor="end">{high - inset:.4g}</text>',
    )


def _trace(places: Sequence[float], shares: Sequence[float], highest: float) -> str:
    """The path along the tops of a histogram, from its foot to its foot."""
    tops = [HEIGHT - (HEIGHT - 2) * share / highest for share in shares]
    steps = [f"V{top:.1f}H{right:.1f}" for top, right in zip(tops, places[1:], strict=True)]
    return f"M{places[0]:.1f} {HEIGHT:g}{''.join(steps)}V{HEIGHT:g}"


def _draw_categories(shape: DriftShape) -> tuple[float, Iterable[str]]:
    scale = (WIDTH - LABEL_WIDTH - 34) / max(*shape.reference, *shape.current)
    rows = zip(shape.labels, shape.reference, shape.current, strict=True)
    drawn = [_draw_category(place * ROW, scale, *row) for place, row in enumerate(rows)]
    return ROW * len(drawn), drawn


def _draw_category(top: float, scale: float, label: str, reference: float, current: float) -> str:
    short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    end = LABEL_WIDTH + scale * max(reference, current) + 4
    return (
        f'<text x="{LABEL_WIDTH - 5:g}" y="{top + 11:g}" text-anchor="end">'
        f"<title>{escape(label[:200])}</title>{escape(short)}</text>"
        f'<rect x="{LABEL_WIDTH:g}" y="{top + 2:g}" width="{scale * reference:.1f}" height="{ROW - 4:g}" '
        f'fill="{REFERENCE}" fill-opacity=".35"/>'
        f'<rect x="{LABEL_WIDTH:g}" y="{top + 2:g}" width="{scale * current:.1f}" height="{ROW - 4:g}" '
        f'fill="none" stroke="{CURRENT}" stroke-width="1.6"/>'
        f'<text x="{end:.1f}" y="{top + 11:g}">{current:.0%}</text>'
    )
