"""Owns the flow ``training``: the order of the steps from source rows to a served champion."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from evertrain.claims import claim
from evertrain.config.files import check_trainable, load_config
from evertrain.outcomes import recall_outcome, remember_outcome
from evertrain.pipelines import Pipeline, config_path, open_pipeline, parse_as_of
from evertrain.records import TrainOutcome, Trigger
from evertrain.settings import read_settings
from tasks.evaluate import evaluate_task
from tasks.ingest import ingest_task
from tasks.package import package_task
from tasks.promote import promote_task
from tasks.register import mirror_aliases_task, register_task
from tasks.report import report_task
from tasks.run import Run
from tasks.train import train_in_time
from tasks.validate import validate_task

TRAIN = "train"


def name_run() -> str:
    """Name the run after its pipeline's file, as Prefect's UI lists it."""
    return Path(str(flow_run.parameters["config"])).stem


@flow(name="training", flow_run_name=name_run, persist_result=False)
def training_flow(
    config: str,
    as_of: str | None = None,
    trigger: Trigger = "manual",
    overrides: list[str] | None = None,
) -> TrainOutcome:
    """Ingest, validate, train, evaluate, register and promote one pipeline.

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
        as_of: ISO time; everything later is hidden. Empty: now.
        trigger: Who asks.
        overrides: ``a.b=VALUE`` pairs that replace what the YAML says.
    """
    settings = read_settings()
    path = config_path(config)
    loaded = load_config(path, settings, tuple(overrides or ()))
    pipeline = open_pipeline(loaded, settings)
    has_champion = pipeline.journal.read()[1].champion is not None
    check_trainable(loaded, settings, str(path), has_champion=has_champion)
    with claim(pipeline.journal, pipeline.store, TRAIN) as held:
        return train_pipeline(pipeline, as_of, trigger, held.number)


def train_pipeline(pipeline: Pipeline, as_of: str | None, trigger: Trigger, fence: int) -> TrainOutcome:
    """Walk the steps under the claim *fence*; an unchanged run ends after ``ingest``."""
    seconds: dict[str, float] = {}
    time = parse_as_of(as_of)
    ingested = ingest_task(pipeline, time, seconds)
    run = Run(pipeline, ingested, trigger=trigger, as_of=time, fence=fence, seconds=seconds)
    outcome = recall_outcome(run.records, pipeline.journal.read()[1])
    if outcome is not None:
        return outcome
    mirror_aliases_task(pipeline, repair=True)
    report = validate_task(run)
    trained = train_in_time(run)
    bundle = package_task(run, trained)
    judgement = evaluate_task(run, bundle)
    version = register_task(run, report, trained, bundle, judgement)
    outcome = promote_task(run, version, judgement, bundle)
    mirror_aliases_task(pipeline, repair=False)
    report_task(run, outcome, judgement, report)
    outcome = outcome.model_copy(update={"seconds": dict(seconds)})
    remember_outcome(run.records, outcome)
    return outcome
