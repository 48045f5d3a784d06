"""Owns a backtest's page: the strategies beside each other, over time, and what each retrain bought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evertrain.backtest_records import BacktestOutcome, StrategyResult
from evertrain.metrics import METRICS
from evertrain.reports.backtest_plots import DASHES, frontier_svg, over_time_svg
from evertrain.reports.pages import render_page

WORDS = {
    "none": "nothing",
    "first": "first champion",
    "promoted": "retrained and promoted",
    "held": "retrained and held",
    "refused": "rows refused",
    "failed": "training failed",
}
TONES = {
    "first": "good",
    "promoted": "good",
    "refused": "bad",
    "failed": "bad",
    "none": "quiet",
    "held": "quiet",
}
MOST_TOLD = 4
MOST_TURNS = 250


def render_backtest(outcome: BacktestOutcome, description: str) -> str:
    """Write a backtest's page.

    Args:
        outcome: What the backtest came to.
        description: The pipeline's.

    Returns:
        HTML of one page, under 1 MB, that asks nothing of the network.
    """
    drawn = choose_drawn(outcome.strategies, outcome.metric)
    policy = find_strategy(outcome.strategies, "policy")
    others = [each for each in drawn if each is not policy]
    return render_page(
        "backtest",
        title=f"{outcome.pipeline}: backtest",
        description=description,
        outcome=outcome,
        periods=len(policy.periods),
        headline=f"The policy retrained {policy.retrains} times in {len(policy.periods)} periods.",
        tone="good" if policy.frontier else "",
        lines=tuple(compare_policy(outcome)),
        metrics=list(policy.metrics),
        drawn=[each.name for each in drawn],
        dashes=DASHES,
        over_time=over_time_svg(drawn, outcome.metric),
        frontier=frontier_svg(outcome.strategies, outcome.metric),
        better="greater" if METRICS[outcome.metric].greater_is_better else "less",
        told=[policy, *others][:MOST_TOLD],
        most_turns=MOST_TURNS,
        words=WORDS,
        tones=TONES,
    )


def find_strategy(strategies: Sequence[StrategyResult], name: str) -> StrategyResult:
    """The strategy called *name*, which must be there."""
    return next(each for each in strategies if each.name == name)


def choose_drawn(strategies: Sequence[StrategyResult], metric: str) -> list[StrategyResult]:
    """Choose the lines of the picture: the policy, the two ends, and the best of what was swept."""
    named = [find_strategy(strategies, name) for name in ("policy", "never", "always", "always, no gates")]
    swept = [each for each in strategies if each.settings and each.frontier and metric in each.metrics]
    sign = METRICS[metric].sign
    return [*named, *sorted(swept, key=lambda each: -sign * each.metrics[metric])[:1]]


def compare_policy(outcome: BacktestOutcome) -> Iterator[str]:
    """Say how the policy did beside never retraining and retraining at each period."""
    policy = find_strategy(outcome.strategies, "policy")
    for name in ("never", "always", "always, no gates"):
        other = find_strategy(outcome.strategies, name)
        gains = [
            f"{metric} {METRICS[metric].sign * (policy.metrics[metric] - other.metrics[metric]):+.5f}"
            for metric in policy.metrics
            if metric in other.metrics
        ]
        yield f"beside {name!r} ({other.retrains} retrains, {other.promotions} promotions), gains: " + (
            ", ".join(gains) or "not measured"
        )
