"""Owns a probe's bounds: fitted once for the same rows, on so many of them, within its time."""

from __future__ import annotations

from typing import NamedTuple

from prefect.task_engine import TaskRunTimeoutError

from evertrain.bundles import Bundle, load_bundle
from evertrain.canonical import digest_of
from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested
from evertrain.durations import spell_duration
from evertrain.errors import BundleRefused
from evertrain.packaging import package
from evertrain.records import Record
from evertrain.runs import StepRecords, code_digest, run_key
from evertrain.training import train
from tasks.check import Check
from tasks.steps import step_task

PROBE = "probe"


class Probe(Record):
    """A fitted probe: its bundle, and how many rows it learnt from."""

    bundle: str
    learnt_rows: int


class FittedProbe(NamedTuple):
    """The same, loaded as the service would load a champion."""

    bundle: Bundle
    learnt_rows: int


def probe_records(check: Check, config: PipelineConfig, newest: Ingested) -> StepRecords:
    """Open what is known of the probe of *newest*: the same rows and settings, the same probe."""
    assert check.config.drift.regret is not None
    parts = config.model_dump(mode="json", by_alias=True, include={"data", "validation", "training"})
    settings = digest_of([PROBE, parts, config.evaluation.task, check.config.drift.regret.max_rows])
    key = run_key(config.name, settings, newest.snapshot.digest, code_digest())
    return StepRecords(check.pipeline.store, key)


def fit_probe_in_time(
    check: Check, config: PipelineConfig, newest: Ingested, records: StepRecords
) -> FittedProbe | str:
    """Fit and package a probe, or recall it, within ``drift.regret.timeout`` and ``training.timeout``.

    Returns:
        The probe; or why there is none.
    """
    wanted = check.config.drift.regret
    assert wanted is not None
    known = recall_probe(check, records)
    if known is not None:
        return known
    limit = min(wanted.timeout, config.training.timeout)
    fit = fit_probe_task.with_options(timeout_seconds=limit.total_seconds())
    try:
        probe = fit(check, config, newest, wanted.max_rows)
    except TaskRunTimeoutError:
        return (
            f"the probe wasn't fitted within {spell_duration(limit)}; raise drift.regret.timeout or "
            "training.timeout, or lower drift.regret.max_rows"
        )
    records.write(PROBE, probe)
    return FittedProbe(load_bundle(check.pipeline.store, probe.bundle), probe.learnt_rows)


def recall_probe(check: Check, records: StepRecords) -> FittedProbe | None:
    """Load the probe that an earlier check fitted; None if there is none, or its bundle is gone."""
    known = records.read(PROBE, Probe)
    if known is None:
        return None
    try:
        return FittedProbe(load_bundle(check.pipeline.store, known.bundle), known.learnt_rows)
    except BundleRefused:
        return None


@step_task("fit probe")
def fit_probe_task(check: Check, config: PipelineConfig, newest: Ingested, most_rows: int) -> Probe:
    """Fit and package a probe as a candidate would be; it is registered nowhere."""
    store = check.pipeline.store
    trained = train(config, newest, store, check.pipeline.settings, most_rows=most_rows)
    bundle = package(config, newest, trained, store, {"pipeline": config.name, "is": PROBE})
    return Probe(bundle=bundle.digest, learnt_rows=trained.train_rows)
