from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from evertrain.records import Curve, Search, Trial
from evertrain.reports.plots import curve_png, curve_svg, months_svg, search_png

PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}"


def make_roc(label="challenger"):
    return Curve(kind="roc", label=label, x=(0.0, 0.2, 1.0), y=(0.0, 0.7, 1.0))


RESIDUALS = Curve(kind="residuals", label="challenger", x=(1.0, 2.0), y=(0.5, -0.5))
CASES = [
    pytest.param((make_roc(), make_roc("champion")), id="two models"),
    pytest.param(tuple(make_roc(f"class {place}") for place in range(10)), id="ten classes"),
    pytest.param((RESIDUALS,), id="residuals"),
    pytest.param((), id="none"),
]


@pytest.mark.parametrize("curves", CASES)
def test_png_is_a_picture(curves):
    """Whatever curves there are, and where there are none, the plot is a PNG of 960 by 720 pixels."""
    picture = curve_png(curves)
    assert picture.startswith(PNG)
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (960, 720)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
@pytest.mark.parametrize("states", [("complete",), ("failed", "complete", "pruned", "complete")])
def test_a_searchs_history_is_a_picture(metric, states):
    """Whatever became of its trials, a search is a PNG of 960 by 720 pixels."""
    trials = tuple(
        Trial(
            number=number,
            params={},
            scores=() if state == "failed" else (0.5 + number / 10,),
            value=0.5 + number / 10 if state == "complete" else None,
            state=state,
            seconds=0.1,
        )
        for number, state in enumerate(states)
    )
    picture = search_png(Search(metric=metric, trials=trials, best=len(states) - 1, planned=20))
    assert picture.startswith(PNG)
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (960, 720)


@pytest.mark.parametrize("curves", CASES)
def test_svg_is_one_element_in_the_pages_own_colours(curves):
    """The SVG stands alone, has no background, asks nothing of the network and takes the page's ink."""
    text = curve_svg(curves)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert "currentColor" in text or not curves
    assert "#010203" not in text
    assert "<image" not in text
    assert "http" not in text.replace("http://www.w3.org/", "")


def test_svg_says_which_curve_is_which():
    """Each curve is named in the legend, as text that can be read and searched."""
    words = [
        text.text for text in ET.fromstring(curve_svg((make_roc(), make_roc("champion")))).iter(f"{SVG}text")
    ]
    assert {"challenger", "champion", "chance"} <= set(words)


@pytest.mark.parametrize(
    "label", ["class <script>alert(1)</script>", "class $x^", "class 東京", "class " + "x" * 99]
)
def test_odd_labels_are_drawn(label):
    """Markup, mathematics, foreign scripts and long names in a class's name are drawn as text."""
    curve = make_roc(label)
    assert curve_png((curve,)).startswith(PNG)
    text = curve_svg((curve, curve, curve))
    assert "<script" not in text
    words = [element.text or "" for element in ET.fromstring(text).iter(f"{SVG}text")]
    assert any(word == label or (word.endswith("…") and label.startswith(word[:-1])) for word in words)


def test_pictures_are_the_same_each_time():
    """The same curves give the same bytes: a report can be compared."""
    curves = (make_roc(), make_roc("champion"))
    assert curve_png(curves) == curve_png(curves)
    assert curve_svg(curves) == curve_svg(curves)


def test_months_show_series_and_marks():
    """Months, line names and what happened stand in the picture of a story."""
    text = months_svg(
        ["2013-04", "2013-05"], {"served": [0.7, 0.71], "first": [0.7, 0.66]}, {1: "promoted"}, "AUC"
    )
    words = {element.text for element in ET.fromstring(text).iter(f"{SVG}text")}
    assert {"2013-04", "2013-05", "served", "first", "promoted", "AUC"} <= words


def test_drawing_is_quiet_even_without_a_home(tmp_path):
    """With a configuration folder that can't be written nothing is printed, and no window is opened."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = (
        "import sys; from evertrain.reports.plots import curve_png; from evertrain.records import Curve\n"
        "curve_png((Curve(kind='roc', label='a', x=(0.0, 1.0), y=(0.0, 1.0)),))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MPLCONFIGDIR": str(blocked), "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
