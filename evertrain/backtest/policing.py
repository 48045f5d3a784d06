"""Owns how a backtest asks the retraining policy: the very one that checks ask, with what they would know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from evertrain.backtest.pieces import CheckMade
from evertrain.backtest.standing import Standing
from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck
from evertrain.metrics import METRICS
from evertrain.policy import Action, decide_action


def ask_policy(
    drift: DriftConfig, checked: CheckMade, standing: Standing, as_of: datetime
) -> tuple[Action, Standing]:
    """Ask what a check that found *checked* does about it.

    Returns:
        The action, whose reason also says what was measured; and the standing that remembers the check.
    """
    triggers = tuple(name for name in find_fired(drift, checked, standing) if name in drift.retrain_on)
    check = PastCheck(as_of=as_of.isoformat(), generation=standing.generation, triggers=triggers)
    action = decide_action(
        drift,
        check,
        standing.checks,
        generation=standing.generation,
        retrained_as_of=standing.retrained_as_of,
    )
    told = "; ".join([action.reason, *tell_measured(drift, checked)])
    return action._replace(reason=told), replace(standing, checks=(*standing.checks, check))


def find_fired(drift: DriftConfig, checked: CheckMade, standing: Standing) -> Iterator[str]:
    """Name what fired; nothing does where the newest rows are too few."""
    if checked.share is None:
        return
    if checked.share > drift.max_share:
        yield "data"
    performance, regret = drift.performance, drift.regret
    if performance is not None and checked.value is not None and standing.champion is not None:
        held_out = standing.champion.metrics.get(performance.metric)
        sign = METRICS[performance.metric].sign
        if held_out is not None and sign * (held_out - checked.value) > performance.max_drop:
            yield "performance"
    if regret is not None and checked.regret is not None and checked.regret.low > regret.min_gain:
        yield "regret"


def tell_measured(drift: DriftConfig, checked: CheckMade) -> Iterator[str]:
    """Say what the check measured."""
    if checked.share is None:
        yield f"{checked.rows:,} rows are too few to say anything"
        return
    yield f"{checked.share:.0%} of the columns drifted"
    if checked.value is not None and drift.performance is not None:
        yield f"{drift.performance.metric} {checked.value:.4f}"
    if checked.regret is not None:
        probe = checked.regret
        yield f"a probe gains {probe.gain:+.4f} ({probe.low:+.4f} to {probe.high:+.4f})"
