"""Owns the tasks on the newest labels: the champion's performance, and its regret beside a fresh probe."""

from __future__ import annotations

import re

from evertrain.config import PipelineConfig, RegretConfig
from evertrain.datasets import Ingested, ingest
from evertrain.datasets.logged_rows import ingest_logged
from evertrain.drift_records import PerformanceMeasured, RegretMeasured
from evertrain.errors import DataRefused
from evertrain.evaluation.newest import aim_at_newest, judge_by, score_newest
from evertrain.gates import BeatsChampion
from evertrain.policy import look_level, looks_a_year
from evertrain.progress import step
from evertrain.runs import StepRecords
from tasks.check import Check
from tasks.realised import from_predictions, measure_drop
from tasks.regret import fit_probe_in_time, probe_records
from tasks.steps import step_task

HELD_OUT = re.compile(r"data\.window(\.holdout)?(?!\.\w)")


@step_task("ingest newest labels")
def ingest_newest_task(check: Check) -> Ingested | str:
    """Read the newest window as held-out rows and what lies before it as rows to learn from.

    Returns:
        The rows; or why there are none to judge by.
    """
    with step("new labels", check.seconds) as note:
        config = aim_at_newest(check.config)
        try:
            newest = take_newest(check, config)
        except DataRefused as refused:
            note.text = "none to judge by"
            return tell_refused(refused)
        note.text = f"{newest.snapshot.holdout_rows:,} labelled rows"
    return newest


def take_newest(check: Check, config: PipelineConfig) -> Ingested:
    """Take the newest rows as *config* splits them: of the source, or those that the service answered.

    Raises:
        DataRefused: There are too few labelled rows to learn from, or to judge by.
    """
    store = check.pipeline.store
    if not from_predictions(check):
        return ingest(config, store, as_of=check.as_of, now=check.now)
    if config.data.timestamp is None:
        raise DataRefused("data.timestamp: only it tells which rows the answered ones come after; name it.")
    features = check.bundle().signature.features
    return ingest_logged(config, store, features, as_of=check.as_of or check.now, now=check.now)


@step_task("measure performance")
def measure_performance_task(check: Check, newest: Ingested) -> PerformanceMeasured | str:
    """Hold the champion's metric on the newest labels against its hold-out value.

    Returns:
        Both; or why the champion can't be measured.
    """
    wanted = check.config.drift.performance
    assert wanted is not None
    with step("performance", check.seconds) as note:
        holdout = check.holdout_metrics().get(wanted.metric)
        if holdout is None:
            return f"the champion's hold-out value of {wanted.metric} wasn't kept; train again"
        config = judge_by(check.config, wanted.metric)
        scored = score_newest(check.pipeline.store, config, newest, check.bundle(), None)
        value = scored.metrics[wanted.metric].value
        note.text = f"{wanted.metric} {value:.4f}, {holdout:.4f} when it was held out"
    return measure_drop(wanted, value, holdout, scored.rows)


@step_task("probe regret")
def probe_regret_task(check: Check, newest: Ingested) -> RegretMeasured | str:
    """Train a probe on what lies before the newest window, and hold it against the champion there.

    Where the same champion was held against the same rows before, that is recalled.

    Returns:
        Both on the newest labels; or why they can't be compared.
    """
    wanted = check.config.drift.regret
    assert wanted is not None
    with step("probe", check.seconds) as note:
        level = look_level(wanted.confidence, looks_a_year(check.config.drift))
        records = probe_records(check, judge_by(check.config, wanted.metric), newest)
        name = f"regret-{check.champion.bundle}"
        regret = records.read(name, RegretMeasured)
        if regret is None or asked_otherwise(regret, wanted, level):
            measured = measure_regret(check, newest, records, level)
            if isinstance(measured, str):
                return measured
            regret = measured
            records.write(name, regret)
        note.text = f"{regret.metric} {regret.gain:+.4f} ({regret.low:+.4f} to {regret.high:+.4f})"
    return regret


def asked_otherwise(known: RegretMeasured, wanted: RegretConfig, level: float) -> bool:
    """Whether what was measured before answers another question than the YAML asks now."""
    return (known.metric, known.min_gain, known.level) != (wanted.metric, wanted.min_gain, level)


def measure_regret(
    check: Check, newest: Ingested, records: StepRecords, level: float
) -> RegretMeasured | str:
    """Hold a probe against the champion at *level*, two-sided; or say why that can't be."""
    wanted = check.config.drift.regret
    assert wanted is not None
    gate = BeatsChampion(
        type="beats_champion", metric=wanted.metric, min_gain=wanted.min_gain, confidence=level
    )
    config = judge_by(check.config, wanted.metric, gate)
    probe = fit_probe_in_time(check, config, newest, records)
    if isinstance(probe, str):
        return probe
    champion = (check.champion.version, check.bundle())
    scored = score_newest(check.pipeline.store, config, newest, probe.bundle, champion)
    if scored.champion is None:
        return scored.champion_missing or "the champion can't be scored on the newest rows"
    (gain,) = scored.gains
    return RegretMeasured(
        metric=wanted.metric,
        champion=scored.champion.metrics[wanted.metric].value,
        probe=scored.metrics[wanted.metric].value,
        gain=gain.gain,
        low=gain.low,
        high=gain.high,
        min_gain=wanted.min_gain,
        rows=scored.rows,
        fired=gain.low > wanted.min_gain,
        level=level,
        looks=looks_a_year(check.config.drift),
        learnt_rows=probe.learnt_rows,
    )


def tell_refused(refused: DataRefused) -> str:
    """Spell why the newest rows judge nothing; what is held out here is ``drift.current.window``."""
    return HELD_OUT.sub("drift.current.window", refused.message)
