"""Owns who hears how a flow run ended: Prefect's hooks that make an event and a notice of each decision."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any, TypeAlias

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from prefect.settings import PREFECT_UI_URL

from evertrain.config.files import load_config
from evertrain.drift_records import DriftOutcome
from evertrain.errors import EvertrainError
from evertrain.notifiers import Notice, send_to_all
from evertrain.pipelines import Pipeline, config_path, open_pipeline
from evertrain.records import TrainOutcome
from evertrain.settings import Settings, read_settings
from evertrain.summaries.notices import (
    Subject,
    failure_kind,
    tell_check,
    tell_crash,
    tell_failure,
    tell_train,
)
from flows.events import emit
from flows.owners import forget_run
from tasks.report import report_key

WHAT = {"training": "train", "drift_check": "drift", "batch_scoring": "score", "rollout": "rollout"}
INTERRUPTED = "Execution was aborted by an interrupt signal."
LOOPBACK = "http://127.0.0.1:"
NEWS = ("started", "failed")
Hook: TypeAlias = Callable[[Flow[..., Any], FlowRun, State[Any]], None]
logger = logging.getLogger("evertrain.notices")


def quietly(hook: Hook) -> FlowStateHook[..., Any]:
    """Have a hook fail without a word: how the run ended stands, whoever hears of it."""

    @functools.wraps(hook)
    def call(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        try:
            hook(flow, flow_run, state)
        except Exception as cause:
            logger.debug("Nobody was told how %s ended: %s", flow_run.name, cause, exc_info=True)

    return call


@quietly
def tell_end(_: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Tell what a run that completed decided; an answer that was given before is no news."""
    outcome = state.result(raise_on_failure=False)
    pipeline = find_pipeline(run)
    if pipeline is None:
        return
    if isinstance(outcome, TrainOutcome) and not outcome.cached:
        report = f"{pipeline.store.where}/{report_key(outcome.pipeline, outcome.version)}"
        tell(tell_train(outcome, describe(run, pipeline, report)), pipeline, run)
    elif isinstance(outcome, DriftOutcome):
        notice = tell_check(outcome, describe(run, pipeline, outcome.report))
        tell(notice, pipeline, run, news=is_news(outcome, pipeline))


@quietly
def tell_failed(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Tell why a run failed; that another one runs is no news: it will tell its own end."""
    error = state.result(raise_on_failure=False)
    pipeline = find_pipeline(run)
    if pipeline is None or not isinstance(error, BaseException):
        return
    notice = tell_failure(WHAT[flow.name], error, describe(run, pipeline))
    tell(notice, pipeline, run, news=failure_kind(error) != "busy")


@quietly
def tell_crashed(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """Tell that a run was ended from outside; whoever interrupts it at the keyboard knows."""
    pipeline = find_pipeline(run)
    if pipeline is None:
        return
    message = state.message or "It ended without a word."
    notice = tell_crash(WHAT[flow.name], message, describe(run, pipeline))
    tell(notice, pipeline, run, news=message != INTERRUPTED)


def tell_dead(what: str, run: FlowRun, message: str, settings: Settings) -> None:
    """Tell of a run that somebody else found dead; never raises.

    Args:
        what: The name of its flow, as ``WHAT`` has it.
        run: The run.
        message: How it ended.
        settings: Where this installation keeps things.
    """
    try:
        pipeline = load_pipeline(run, settings)
        if pipeline is not None:
            tell(tell_crash(WHAT[what], message, describe(run, pipeline)), pipeline, run)
    except Exception as cause:
        logger.debug("Nobody was told that %s is dead: %s", run.name, cause, exc_info=True)


def tell(notice: Notice, pipeline: Pipeline, run: FlowRun, *, news: bool = True) -> None:
    """Make an event of *notice*, and send it where it is news and the run isn't part of another one."""
    emit(notice)
    if news and run.parent_task_run_id is None:
        send_to_all(pipeline.config.notify, notice, os.environ)


def is_news(outcome: DriftOutcome, pipeline: Pipeline) -> bool:
    """Whether people are to hear of a check: it drifted and a retrain came of it, or none was allowed.

    Where none was allowed, drift is news once, until what drifted, or the champion, changes. That it waits
    for confirmation or a cooldown, or for a retrain that runs, isn't.
    """
    if outcome.decision != "drifted" or outcome.retrain in NEWS:
        return outcome.decision == "drifted"
    if outcome.retrain != "none":
        return False
    *earlier, now = pipeline.journal.read()[1].checks
    return not earlier or (earlier[-1].triggers, earlier[-1].generation) != (now.triggers, now.generation)


def find_pipeline(run: FlowRun) -> Pipeline | None:
    """Find the pipeline that this process ran under *run*, or else by what the run was asked for."""
    return forget_run(run.id) or load_pipeline(run, read_settings())


def load_pipeline(run: FlowRun, settings: Settings) -> Pipeline | None:
    """Load the pipeline that *run* was asked for; None where its YAML can't be read here."""
    config = run.parameters.get("config")
    overrides = run.parameters.get("overrides") or ()
    for changes in (tuple(overrides), ()):
        try:
            return open_pipeline(load_config(config_path(str(config)), settings, changes), settings)
        except EvertrainError as cause:
            logger.debug("Who is to hear of %s can't be told: %s", run.name, cause)
    return None


def describe(run: FlowRun, pipeline: Pipeline, report: str | None = None) -> Subject:
    """Say what a notice of *run* is about, and where its pages are."""
    return Subject(
        pipeline=pipeline.name,
        config=str(run.parameters.get("config")),
        owner=pipeline.config.owner,
        run_id=str(run.id),
        run_name=run.name,
        run_url=find_run_url(run),
        report=report,
    )


def find_run_url(run: FlowRun) -> str | None:
    """Find *run*'s page in Prefect's UI; None where a CI job's own server will have ended by then."""
    ui = PREFECT_UI_URL.value()
    ends = os.environ.get("CI", "").lower() in ("true", "1") and ui and ui.startswith(LOOPBACK)
    return f"{ui}/runs/flow-run/{run.id}" if ui and not ends else None
