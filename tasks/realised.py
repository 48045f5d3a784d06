"""Owns the tasks on what came of the service's answers: realised metrics, and the champion's performance."""

from __future__ import annotations

from evertrain.config import PerformanceConfig
from evertrain.drift_records import PerformanceMeasured
from evertrain.errors import SourceError
from evertrain.metrics import METRICS
from evertrain.progress import step
from evertrain.realised import has_labels, measure_realised
from evertrain.realised_records import Realised
from tasks.check import Check
from tasks.steps import step_task


@step_task("realised")
def measure_realised_task(check: Check) -> Realised | str | None:
    """Measure what was answered in the newest window, where labels of answers are to be had.

    Returns:
        What came of it; why that can't be told; None where no answer has a label, or none was logged.
    """
    until = check.as_of or check.now
    since = until - check.config.drift.current.window
    if not (from_predictions(check) or has_labels(check.pipeline.store, check.config, since, until)):
        return None
    with step("realised", check.seconds) as note:
        try:
            found = measure_realised(
                check.pipeline.store, check.config, since=since, until=until, as_of=until
            )
        except SourceError as refused:
            return refused.message
        total = found and found.total
        note.text = f"{total.labelled:,} of {total.rows:,} answers labelled" if total else "no answers"
    return found


def from_predictions(check: Check) -> bool:
    """Whether the newest rows are those that the service answered."""
    return check.config.drift.current.from_ == "predictions"


@step_task("measure performance")
def realised_performance_task(check: Check, realised: Realised | str | None) -> PerformanceMeasured | str:
    """Hold what came of the champion's own answers against its hold-out value.

    Returns:
        Both; or why the champion can't be measured.
    """
    wanted = check.config.drift.performance
    assert wanted is not None
    holdout = check.holdout_metrics().get(wanted.metric)
    if holdout is None:
        return f"the champion's hold-out value of {wanted.metric} wasn't kept; train again"
    if isinstance(realised, str):
        return realised
    part = realised.version(check.champion.version) if realised else None
    if part is None:
        return "the champion has answered nothing in the newest window"
    if wanted.metric not in part.metrics:
        return "; ".join(part.missing)
    return measure_drop(wanted, part.metrics[wanted.metric].value, holdout, part.labelled)


def measure_drop(wanted: PerformanceConfig, value: float, holdout: float, rows: int) -> PerformanceMeasured:
    """Hold a metric's *value*, on so many labelled *rows*, against what it was on the hold-out."""
    drop = METRICS[wanted.metric].sign * (holdout - value)
    return PerformanceMeasured(
        metric=wanted.metric,
        value=value,
        holdout=holdout,
        drop=drop,
        max_drop=wanted.max_drop,
        rows=rows,
        fired=drop > wanted.max_drop,
    )
