from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.backtest.sweeps import mark_frontier, spread_sweeps
from evertrain.backtest_records import StrategyResult
from evertrain.errors import ConfigError


def result(metric: float, retrains: int) -> StrategyResult:
    return StrategyResult(
        name="any",
        metrics={"roc_auc": metric, "log_loss": metric},
        retrains=retrains,
        promotions=0,
        train_seconds=0.0,
        check_seconds=0.0,
        periods=(),
    )


def test_sweeps_span_their_product() -> None:
    """Each value of one goes with each of the other; values are YAML, lists and durations too."""
    assert spread_sweeps(["drift.max_share=0.2,0.5", "drift.current.window=7d,30d"]) == (
        ("drift.max_share=0.2", "drift.current.window=7d"),
        ("drift.max_share=0.2", "drift.current.window=30d"),
        ("drift.max_share=0.5", "drift.current.window=7d"),
        ("drift.max_share=0.5", "drift.current.window=30d"),
    )
    assert spread_sweeps(["drift.retrain_on=[],[data, regret]"]) == (
        ("drift.retrain_on=[]",),
        ("drift.retrain_on=[data, regret]",),
    )
    assert spread_sweeps(["data.positive='1',1"]) == (('data.positive="1"',), ("data.positive=1",))
    assert spread_sweeps([]) == ()


@pytest.mark.parametrize("text", ["drift.max_share", "=1", "drift.max_share=", "a.b=[1", "a.b={x: 1"])
def test_what_spans_nothing_is_refused(text: str) -> None:
    """Before any work."""
    with pytest.raises(ConfigError):
        spread_sweeps([text])


def test_too_many_variants_are_refused() -> None:
    """64 are replayed, 65 are not."""
    assert len(spread_sweeps(["a=1,2,3,4,5,6,7,8", "b=1,2,3,4,5,6,7,8"])) == 64
    with pytest.raises(ConfigError, match="spans 65 variants; at most 64"):
        spread_sweeps(["a=1,2,3,4,5", "b=1,2,3,4,5,6,7,8,9,10,11,12,13"])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_frontier_is_what_none_betters(points: list[tuple[int, int]]) -> None:
    """Marked are those for which nobody has a metric as good with as few retrains, and one of both better."""
    marked = mark_frontier([result(metric / 10, retrains) for metric, retrains in points], "roc_auc")

    for (metric, retrains), each in zip(points, marked, strict=True):
        bettered = any(
            other >= metric and fewer <= retrains and (other, fewer) != (metric, retrains)
            for other, fewer in points
        )
        assert each.frontier is not bettered


def test_the_frontier_knows_the_metric_s_direction() -> None:
    """Of losses the lesser is better; what couldn't be scored is on no frontier."""
    unscored = result(0.0, 0).model_copy(update={"metrics": {}})
    marked = mark_frontier([result(0.2, 1), result(0.4, 1), unscored], "log_loss")

    assert [each.frontier for each in marked] == [True, False, False]
