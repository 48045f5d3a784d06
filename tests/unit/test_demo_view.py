"""Tests of how the demo closes in a terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evertrain.cli.demo_loop import Month, Story
from evertrain.cli.demo_view import WIDTH, show_closing
from evertrain.records import BundleSummary, SnapshotSummary, TrainOutcome

MONTHS = (
    Month("2013-05", 28_128, 0.22, 1, 0.656, 0.656, 0.0, 0.0339, "v2 promoted"),
    Month("2013-07", 28_293, 0.31, 2, 0.696, 0.638, 0.0, -0.002, "steady"),
    Month("2013-09", 27_010, 0.13, 4, 0.651, 0.592),
)
FIRST = TrainOutcome(
    pipeline="flights",
    decision="promoted",
    version=1,
    run_id="r",
    run_key="k",
    metrics={},
    gates=(),
    snapshot=SnapshotSummary(digest="s", rows=1, unlabelled=0, quarantined=0),
    bundle=BundleSummary(digest="b", runtime="onnx"),
    generation=1,
)
STORY = Story(Path("home"), Path("home/report.html"), MONTHS, FIRST, ())


@pytest.mark.parametrize("width", [80, 120])
def test_the_whole_story_fits_a_terminal(width: int) -> None:
    """At 80 columns as at 120 each month's line of dots is whole, and no line of prose runs over."""
    console = Console(file=StringIO(), width=width, soft_wrap=True)

    show_closing(STORY, console)

    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    drawn = [line for line in lines if line.startswith(("May", "Jul", "Sep"))]
    assert [sum(line.count(dot) for dot in "·○●") for line in drawn] == [WIDTH] * 3
    assert ["○" in line for line in drawn] == [False, True, True]
    assert "v2 promoted" in drawn[0]
    assert max(len(line) for line in lines) <= width
