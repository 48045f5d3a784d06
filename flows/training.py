"""Owns the flow ``training``: the order of the steps from source rows to a served champion."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prefect import flow

from evertrain.claims import claim
from evertrain.config.files import load_config
from evertrain.errors import DataRefused, EvertrainError
from evertrain.outcomes import recall_outcome, remember_outcome
from evertrain.pipelines import Pipeline, config_path, open_pipeline
from evertrain.records import TrainOutcome, Trigger
from evertrain.settings import read_settings
from evertrain.validation import list_quarantined
from evertrain.validation.validator import Validator
from flows.owners import own_run
from flows.registrars import registrar_for
from flows.rollout import start_rollout_run
from flows.run_log import tell_in_words
from flows.telling import tell_crashed, tell_end, tell_failed
from flows.turns import await_turn, in_utc, name_run
from flows.up.record import service_address
from flows.validators import validator_for
from flows.zombies import mark_others
from tasks.evaluate import evaluate_task
from tasks.ingest import ingest_task
from tasks.package import package_task
from tasks.pipeline_page import pipeline_page_task
from tasks.promote import promote_task
from tasks.register import aliases_mirrored, register_task
from tasks.report import report_task
from tasks.run import Run
from tasks.train import train_in_time
from tasks.validate import ask_for_verdict, validate_task

TRAIN = "train"
logger = logging.getLogger("evertrain.validation")


@flow(
    name="training",
    flow_run_name=name_run,
    persist_result=False,
    on_completion=[tell_end, mark_others],
    on_failure=[tell_failed, mark_others],
    on_crashed=[tell_crashed],
)
def training_flow(
    config: str,
    as_of: datetime | None = None,
    trigger: Trigger = "manual",
    overrides: list[str] | None = None,
    delay_seconds: int = 0,
) -> TrainOutcome:
    """Ingest, validate, train, evaluate, register and promote one pipeline.

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
        as_of: Everything later is hidden; UTC without a zone. Empty: now.
        trigger: Who asks; the journal says so.
        overrides: Values that replace the YAML's, for this run: ``training.params.max_iter=300``.
        delay_seconds: How long after its scheduled moment the run begins, at the earliest.
    """
    tell_in_words()
    await_turn(delay_seconds)
    settings = read_settings()
    path = config_path(config)
    loaded = load_config(path, settings, tuple(overrides or ()))
    pipeline = open_pipeline(loaded, settings)
    own_run(pipeline)
    with claim(pipeline.journal, pipeline.store, TRAIN) as held:
        return train_pipeline(pipeline, in_utc(as_of), trigger, held.number)


def train_pipeline(pipeline: Pipeline, time: datetime | None, trigger: Trigger, fence: int) -> TrainOutcome:
    """Walk the steps under the claim *fence*; an unchanged run ends after ``ingest``."""
    with validator_for(pipeline.config.validation) as validator, registrar_for() as registrar:
        registrar.open(pipeline.settings)
        seconds: dict[str, float] = {}
        ingested = ingest_task(pipeline, time, seconds)
        run = Run(
            pipeline,
            ingested,
            trigger=trigger,
            as_of=time,
            fence=fence,
            seconds=seconds,
            registrar=registrar,
        )
        outcome = recall_outcome(run.records, pipeline.journal.read()[1])
        if outcome is not None:
            return outcome
        outcome = learn_and_promote(run, validator)
    if outcome.decision == "rollout":
        start_rollout_run(pipeline.name)
    return outcome


def learn_and_promote(run: Run, validator: Validator | None) -> TrainOutcome:
    """Train while *validator* judges the rows; nothing is registered before its verdict."""
    ask_for_verdict(run, validator)
    with aliases_mirrored(run, repair=True), bad_data_told_first(run, validator):
        trained = train_in_time(run)
        bundle = package_task(run, trained)
        judgement = evaluate_task(run, bundle)
    report = validate_task(run, validator)
    version = register_task(run, report, trained, bundle, judgement)
    outcome = promote_task(run, version, judgement, bundle)
    outcome = outcome.model_copy(update={"quarantined": list_quarantined(report)})
    with aliases_mirrored(run, repair=False):
        report_task(run, outcome, judgement, report)
        pipeline_page_task(run.pipeline, run.seconds, service_address(run.pipeline.settings), outcome)
    outcome = outcome.model_copy(update={"seconds": dict(run.seconds)})
    remember_outcome(run.records, outcome)
    return outcome


@contextmanager
def bad_data_told_first(run: Run, validator: Validator | None) -> Iterator[None]:
    """Await the verdict where a step fails: if the rows are refused, they are why it failed.

    Raises:
        DataRefused: An expectation failed, in place of the step's own error.
    """
    try:
        yield
    except EvertrainError as fault:
        try:
            validate_task(run, validator)
        except DataRefused:
            raise
        except EvertrainError as untold:
            logger.warning("The rows weren't judged: %s", untold.message)
        raise fault
