"""Owns the tasks on the newest labels: the champion's performance, and its regret beside a fresh probe."""

from __future__ import annotations

import re
from datetime import timedelta

from evertrain.bundles import Bundle, load_bundle
from evertrain.config import EvaluationConfig, PipelineConfig, WindowConfig
from evertrain.datasets import Ingested, ingest, read_side, to_columns
from evertrain.drift_records import PerformanceMeasured, RegretMeasured
from evertrain.errors import DataRefused
from evertrain.evaluation import evaluate
from evertrain.gates import BeatsChampion
from evertrain.metrics import METRICS, MetricName
from evertrain.packaging import package
from evertrain.progress import step
from evertrain.records import Evaluation
from evertrain.training import train
from tasks.check import Check
from tasks.steps import step_task

ALL_BEFORE = timedelta(days=36_500)
"""What a probe learns from where the YAML names no window."""
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
            newest = ingest(config, check.pipeline.store, as_of=check.as_of, now=check.now)
        except DataRefused as refused:
            note.text = "none to judge by"
            return tell_refused(refused)
        note.text = f"{newest.snapshot.holdout_rows:,} labelled rows"
    return newest


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
        scored = score_newest(check, config, newest, check.bundle(), None)
        value = scored.metrics[wanted.metric].value
        drop = METRICS[wanted.metric].sign * (holdout - value)
        note.text = f"{wanted.metric} {value:.4f}, {holdout:.4f} when it was held out"
    return PerformanceMeasured(
        metric=wanted.metric,
        value=value,
        holdout=holdout,
        drop=drop,
        max_drop=wanted.max_drop,
        rows=scored.rows,
        fired=drop > wanted.max_drop,
    )


@step_task("probe regret")
def probe_regret_task(check: Check, newest: Ingested) -> RegretMeasured | str:
    """Train a probe on what lies before the newest window, and hold it against the champion there.

    Returns:
        Both on the newest labels; or why they can't be compared.
    """
    wanted = check.config.drift.regret
    assert wanted is not None
    with step("probe", check.seconds) as note:
        gate = BeatsChampion(
            type="beats_champion",
            metric=wanted.metric,
            min_gain=wanted.min_gain,
            confidence=wanted.confidence,
        )
        config = judge_by(check.config, wanted.metric, gate)
        probe = train_probe(check, config, newest)
        scored = score_newest(check, config, newest, probe, (check.champion.version, check.bundle()))
        if scored.champion is None:
            return scored.champion_missing or "the champion can't be scored on the newest rows"
        (gain,) = scored.gains
        note.text = f"{wanted.metric} {gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
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
    )


def tell_refused(refused: DataRefused) -> str:
    """Spell why the newest rows judge nothing; what is held out here is ``drift.current.window``."""
    return HELD_OUT.sub("drift.current.window", refused.message)


def aim_at_newest(config: PipelineConfig) -> PipelineConfig:
    """Hold out the newest ``drift.current.window``; learn from the ``window.train`` before it."""
    window = config.data.window
    learnt = window.train if window else ALL_BEFORE
    aimed = WindowConfig(train=learnt, holdout=config.drift.current.window)
    return config.model_copy(update={"data": config.data.model_copy(update={"window": aimed})})


def judge_by(config: PipelineConfig, metric: MetricName, *gates: BeatsChampion) -> PipelineConfig:
    """The same pipeline without a search, judged by one metric."""
    evaluation = EvaluationConfig(task=config.evaluation.task, metrics=(metric,), gates=gates)
    training = config.training.model_copy(update={"search": None})
    return config.model_copy(update={"evaluation": evaluation, "training": training})


def train_probe(check: Check, config: PipelineConfig, newest: Ingested) -> Bundle:
    """Fit and package a probe as a candidate would be; it is registered nowhere."""
    store = check.pipeline.store
    trained = train(config, newest, store, check.pipeline.settings)
    made_from = {"pipeline": config.name, "probe_of": check.champion.bundle}
    return load_bundle(store, package(config, newest, trained, store, made_from).digest)


def score_newest(
    check: Check,
    config: PipelineConfig,
    newest: Ingested,
    candidate: Bundle,
    champion: tuple[int, Bundle] | None,
) -> Evaluation:
    """Measure both on the newest labelled rows."""
    target = config.data.target
    bundles = [candidate] + ([champion[1]] if champion else [])
    wanted = {feature.name for bundle in bundles for feature in bundle.signature.features}
    names = [column.name for column in newest.snapshot.columns if column.name in wanted]
    table = read_side(check.pipeline.store, newest.snapshot, "holdout", target=target, columns=names)
    return evaluate(
        config,
        candidate,
        champion,
        to_columns(table, names),
        to_columns(table, [target])[target],
        newest.classes,
        seed=config.training.seed,
    )
