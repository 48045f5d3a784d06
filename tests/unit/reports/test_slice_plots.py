from __future__ import annotations

import xml.etree.ElementTree as ET

from evertrain.records import SliceGain, SliceGains
from evertrain.reports.slice_plots import MOST_ROWS, slices_svg


def seen(*slices):
    shown = sum(each.verdict != "not_shown" for each in slices)
    return SliceGains(
        metric="roc_auc", max_regression=0.03, min_rows=200, shown=shown, total=len(slices), slices=slices
    )


def a_slice(value, gain=0.0, verdict="pass"):
    figures = {"gain": gain, "low": gain - 0.01, "high": gain + 0.01, "confidence": 0.99}
    return SliceGain(
        column="c", value=value, rows=300, verdict=verdict, **(figures if verdict != "not_shown" else {})
    )


def test_each_slice_is_a_dot_on_its_interval():
    """Dots stand within the picture, in the order of their gains, and what fails has a colour of its own."""
    drawn = ET.fromstring(slices_svg(seen(a_slice("<bad>", -0.1, "fail"), a_slice("fine"))))
    dots = [(float(dot.get("cx")), dot.get("fill")) for dot in drawn.iter("circle")]
    assert 190 < dots[0][0] < dots[1][0] < 640
    assert dots[0][1] != dots[1][1]
    texts = [text.text or "".join(text.itertext()) for text in drawn.iter("text")]
    assert [text for text in texts if text in ("0", "-0.03")] == ["0", "-0.03"]
    assert [title.text for title in drawn.iter("title")] == ["c = <bad>", "c = fine"]


def test_long_names_and_many_slices_are_cut():
    """A long name is shortened, in full in its title; thirty slices are drawn."""
    drawn = ET.fromstring(slices_svg(seen(*(a_slice("x" * 99) for _ in range(99)))))
    assert len(list(drawn.iter("circle"))) == MOST_ROWS
    assert next(drawn.iter("title")).tail == "c = " + "x" * 23 + "…"


def test_slices_that_are_not_shown_are_not_drawn():
    """Without a figure there is no dot, and without any dot no picture."""
    assert slices_svg(seen(a_slice("few", verdict="not_shown"))) == ""
    assert slices_svg(seen(a_slice("few", verdict="not_shown"), a_slice("many"))).count("<circle") == 1
