"""Owns how a backtest asks the retraining policy: the very one that checks ask, with what they would know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from evertrain.backtest.pieces import CheckMade
from evertrain.backtest.standing import Standing
from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck
from evertrain.metrics import METRICS
from evertrain.policy import AGE, Action, decide_action, is_too_old, remember


def ask_policy(
    drift: DriftConfig, checked: CheckMade, standing: Standing, as_of: datetime
) -> tuple[Action, Standing]:
    """Ask what a check that found *checked* does about it.

    Returns:
        The action, whose reason also says what was measured; and the standing that remembers the check.
    """
    if checked.share is None:
        # A window without enough rows is no opinion, and isn't remembered.
        return Action("none", f"{checked.rows:,} rows are too few to say anything"), standing
    sizes = measure_causes(drift, checked, standing)
    fired = [name for name, limit in find_limits(drift).items() if name in sizes and sizes[name][1] > limit]
    aged = [AGE] if is_too_old(drift, as_of, standing.known_until) else []
    check = PastCheck(
        as_of=as_of.isoformat(),
        generation=standing.generation,
        triggers=(*(name for name in fired if name in drift.retrain_on), *aged),
        sizes={name: size for name, (size, _) in sizes.items() if name in drift.retrain_on},
        new_labels=checked.new_labels,
    )
    action = decide_action(
        drift,
        check,
        standing.checks,
        generation=standing.generation,
        retrained_as_of=standing.retrained_as_of,
        past=standing.retrains,
    )
    told = "; ".join([action.reason, *tell_measured(drift, checked)])
    return action._replace(reason=told), standing.after_check(remember(check, action))


def measure_causes(
    drift: DriftConfig, checked: CheckMade, standing: Standing
) -> dict[str, tuple[float, float]]:
    """Give, by each cause that was measured, how large it is, and what of it is held against its limit.

    Of regret the gain is its size, and the interval's low end what has to be above ``min_gain``.
    """
    found = {} if checked.share is None else {"data": (checked.share, checked.share)}
    performance, champion = drift.performance, standing.champion
    if performance is not None and checked.value is not None and champion is not None:
        held_out = champion.metrics.get(performance.metric)
        if held_out is not None:
            drop = METRICS[performance.metric].sign * (held_out - checked.value)
            found["performance"] = (drop, drop)
    if checked.regret is not None:
        found["regret"] = (checked.regret.gain, checked.regret.low)
    return found


def find_limits(drift: DriftConfig) -> dict[str, float]:
    """Say above what each cause fires."""
    limits = {"data": drift.max_share}
    if drift.performance is not None:
        limits["performance"] = drift.performance.max_drop
    if drift.regret is not None:
        limits["regret"] = drift.regret.min_gain
    return limits


def tell_measured(drift: DriftConfig, checked: CheckMade) -> Iterator[str]:
    """Say what the check measured."""
    yield f"{checked.share or 0.0:.0%} of the columns drifted"
    if checked.value is not None and drift.performance is not None:
        yield f"{drift.performance.metric} {checked.value:.4f}"
    if checked.regret is not None:
        probe = checked.regret
        yield f"a probe gains {probe.gain:+.4f} ({probe.low:+.4f} to {probe.high:+.4f})"
