from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from evertrain.backtest_records import BacktestOutcome, StrategyResult, Turn
from evertrain.reports.backtest_plots import frontier_svg, over_time_svg
from evertrain.reports.backtest_report import render_backtest

MAY = datetime(2013, 5, 1, tzinfo=UTC)
VOID = ("meta", "line", "circle", "path", "br", "link")


def turn(place: int, metric: float | None, action: str = "none", reason: str = "not its turn") -> Turn:
    return Turn(
        since=MAY + timedelta(days=30 * place),
        until=MAY + timedelta(days=30 * (place + 1)),
        action=action,
        reason=reason,
        version=1,
        rows=1234,
        metrics={} if metric is None else {"roc_auc": metric},
        unscored="no rows" if metric is None else None,
    )


def strategy(name: str, metrics: list[float | None], retrains: int = 0, **facts: object) -> StrategyResult:
    known = [each for each in metrics if each is not None]
    turns = [turn(place, each, "promoted" if place == 1 else "none") for place, each in enumerate(metrics)]
    return StrategyResult(
        name=name,
        metrics={"roc_auc": sum(known) / len(known)} if known else {},
        retrains=retrains,
        promotions=retrains,
        train_seconds=12.5,
        check_seconds=1.0,
        periods=tuple(turns),
        **facts,
    )


def outcome(*more: StrategyResult, metrics: tuple[float | None, ...] = (0.6, 0.7, 0.65)) -> BacktestOutcome:
    names = ("never", "always", "always, no gates", "policy")
    strategies = [strategy(name, list(metrics), place) for place, name in enumerate(names)]
    return BacktestOutcome(
        pipeline="flights",
        since=MAY,
        until=MAY + timedelta(days=90),
        every="30d",
        metric="roc_auc",
        strategies=(*strategies, *more),
    )


class Checker(HTMLParser):
    """Finds elements that aren't closed, and whatever is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_tells_all_strategies_and_asks_for_nothing() -> None:
    """Each stands in the table, the policy's periods below, well-formed and self-contained."""
    swept = strategy("policy, drift.max_share=<0.5>", [0.6, 0.8, 0.7], 2, settings=("x",), frontier=True)
    page = render_backtest(outcome(swept), "Will it <be> late?")
    checker = Checker()
    checker.feed(page)

    assert (checker.open, checker.fetched) == ([], [])
    assert "Will it &lt;be&gt; late?" in page
    assert "policy, drift.max_share=&lt;0.5&gt;" in page
    assert "<0.5>" not in page
    assert page.count("<h2>") == 7
    assert "The policy retrained 3 times in 3 periods." in page
    assert "beside &#39;never&#39; (0 retrains, 0 promotions), gains: roc_auc +0.00000" in page
    assert page.count('stroke-width="2.2"') == 5


def test_a_page_of_many_variants_and_periods_stays_small() -> None:
    """64 variants of 1,000 periods are a page under 1 MB that a browser can show."""
    long = tuple(0.6 + place % 7 / 100 for place in range(1000))
    swept = [
        strategy(f"policy, a={place}", list(long), place, settings=("x",)).model_copy(update={"periods": ()})
        for place in range(64)
    ]
    page = render_backtest(outcome(*swept, metrics=long), "")
    assert len(page) < 1_000_000
    assert page.count("… and 750 more") == 4


@pytest.mark.parametrize("metrics", [(0.6, None, 0.7), (None, None, None), (0.6,), (0.5, 0.5, 0.5)])
def test_what_could_not_be_scored_breaks_no_picture(metrics: tuple[float | None, ...]) -> None:
    """A period without rows interrupts the line; where nothing was scored there is no picture."""
    found = outcome(metrics=metrics)
    page = render_backtest(found, "")
    known = [each for each in metrics if each is not None]

    assert "nan" not in page.lower().replace("nano", "")
    assert ("no rows" in page) is (None in metrics)
    drawn = over_time_svg(found.strategies[:1], "roc_auc")
    assert drawn.count("M") - drawn.count("MM") == (2 if metrics == (0.6, None, 0.7) else bool(known))
    assert bool(frontier_svg(found.strategies, "roc_auc")) is bool(known)


def test_points_on_the_frontier_are_filled() -> None:
    """Of two strategies the one that is bettered is hollow; one that stands on another is named by title."""
    two = [strategy("one", [0.6], 1, frontier=True), strategy("two", [0.5], 1)]
    drawn = frontier_svg([*two, strategy("three", [0.6], 1, frontier=True)], "roc_auc")

    assert drawn.count('fill="var(--hue0)"') == 2
    assert drawn.count('fill="none"') == 1
    assert "<title>three</title>" in drawn
    assert ">three</text>" not in drawn
