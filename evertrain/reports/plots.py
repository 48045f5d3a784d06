"""Owns the pictures: diagnostic curves and the months of a story, as PNG bytes or as SVG to set in a page."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from statistics import fmean
from typing import TYPE_CHECKING, Any

from evertrain.metrics import METRICS
from evertrain.records import Curve, Search

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; the second round of them is dashed.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
DASHES = ("-", "--")
MARKERS = ("o", "s", "^", "D", "v")
INK = "#010203"
"""Stands for the page's own text colour; a page may also set ``--hue0`` to ``--hue4``, say for dark mode."""
PNG_INK = "#222222"
LONGEST_LABEL = 40


def curve_png(curves: Sequence[Curve]) -> bytes:
    """Draw the diagnostic plot of a run on white, 960 by 720 pixels."""
    with _figure(PNG_INK) as figure:
        _draw_curves(figure.add_subplot(), curves, PNG_INK)
        return _as_png(figure)


def curve_svg(curves: Sequence[Curve]) -> str:
    """Draw the diagnostic plot of a run as an ``<svg>`` element without a background."""
    with _figure(INK) as figure:
        _draw_curves(figure.add_subplot(), curves, INK)
        return _as_svg(figure, "Diagnostic plot of the held-out rows")


def months_svg(
    months: Sequence[str], series: Mapping[str, Sequence[float]], marks: Mapping[int, str], label: str
) -> str:
    """Draw one line a series over months as an ``<svg>`` element.

    Args:
        months: What stands on the x axis, n of them.
        series: Values by the line's name, n each; the first line is drawn on top.
        marks: What happened at the start of a month, by its place in *months*.
        label: What the y axis shows.
    """
    with _figure(INK, size=(9, 3.6)) as figure:
        axes = figure.add_subplot()
        for place, (name, values) in enumerate(series.items()):
            axes.plot(
                range(len(months)),
                list(values),
                label=name,
                color=COLOURS[place],
                linestyle=DASHES[place % 2],
                marker=MARKERS[place],
                linewidth=2,
                zorder=9 - place,
            )
        for place, text in marks.items():
            axes.axvline(place - 0.5, color=INK, linewidth=0.8, linestyle=":")
            axes.text(place - 0.47, 0.97, text, transform=axes.get_xaxis_transform(), va="top")
        axes.set_xticks(range(len(months)), list(months))
        axes.set_xlim(-0.6, len(months) - 0.4)
        axes.margins(y=0.2)
        axes.set_ylabel(label)
        _finish(axes, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(series))
        return _as_svg(figure, f"{label} by month")


def search_png(search: Search) -> bytes:
    """Draw a search's history on white, 960 by 720 pixels: each trial's score, and the best up to it."""
    best = max if METRICS[search.metric].greater_is_better else min
    with _figure(PNG_INK) as figure:
        axes = figure.add_subplot()
        complete = [(trial.number, trial.value) for trial in search.trials if trial.value is not None]
        pruned = [(trial.number, fmean(trial.scores)) for trial in search.trials if trial.state == "pruned"]
        for place, (label, points) in enumerate({"complete": complete, "pruned": pruned}.items()):
            if points:
                axes.plot(*zip(*points, strict=True), "ox"[place], color=COLOURS[place], label=label)
        so_far = list(accumulate((value for _, value in complete), best))
        numbers = [number for number, _ in complete]
        axes.step(numbers, so_far, where="post", color=COLOURS[2], linewidth=1.8, label="best so far")
        axes.set(xlabel="trial", ylabel=f"{search.metric}, mean over the folds")
        axes.locator_params(axis="x", integer=True)
        _finish(axes)
        return _as_png(figure)


def _draw_curves(axes: Axes, curves: Sequence[Curve], ink: str) -> None:
    if not curves:
        axes.text(0.5, 0.5, "No probabilities, no curve.", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    draw = {"roc": _draw_roc, "residuals": _draw_residuals}[curves[0].kind]
    draw(axes, curves, ink)
    _finish(axes)


def _draw_roc(axes: Axes, curves: Sequence[Curve], ink: str) -> None:
    axes.plot([0, 1], [0, 1], color=ink, linewidth=0.8, linestyle=":", label="chance")
    for place, curve in enumerate(curves):
        dash = DASHES[place // len(COLOURS) % 2] if len(curves) > 2 else DASHES[place % 2]
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(curve.x, curve.y, color=colour, linestyle=dash, linewidth=1.8, label=_short(curve.label))
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))


def _draw_residuals(axes: Axes, curves: Sequence[Curve], ink: str) -> None:
    axes.axhline(0, color=ink, linewidth=0.8)
    for place, curve in enumerate(curves):
        axes.plot(
            curve.x,
            curve.y,
            color=COLOURS[place],
            linestyle="",
            marker=MARKERS[place],
            markersize=3.5,
            markeredgewidth=0,
            alpha=0.55,
            label=_short(curve.label),
        )
    axes.set(xlabel="predicted", ylabel="true minus predicted")


def _finish(axes: Axes, **legend: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, **legend)


def import_matplotlib() -> None:
    """Import the library ahead of its first use, which takes most of a second."""
    with _figure(INK):
        return


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


@contextmanager
def _figure(ink: str, size: tuple[float, float] = (6, 4.5)) -> Iterator[Figure]:
    """Give a figure of its own, *size* in inches: no pyplot, so no window, no global list of figures."""
    # A new font cache or an unwritable configuration folder is no news for the user.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
        ),
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "evertrain",
    }
    with rc_context(look), warnings.catch_warnings():
        # A class may be spelled in a script that the font lacks: it is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _as_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def _as_svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    element = text[text.index("<svg") :].replace(INK, "currentColor")
    for place, colour in enumerate(COLOURS):
        element = element.replace(colour.lower(), f"var(--hue{place}, {colour})")
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
