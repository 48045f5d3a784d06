"""Owns the flow ``drift_check``: look at the newest rows, decide, and retrain where the policy says so."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from prefect import flow

from evertrain.config.files import load_config
from evertrain.datasets import Ingested
from evertrain.drift_records import DriftOutcome, PerformanceMeasured, RegretMeasured
from evertrain.pipelines import config_path, open_pipeline, parse_as_of
from evertrain.realised_records import Realised
from evertrain.records import TrainOutcome
from evertrain.settings import read_settings
from flows.owners import own_run
from flows.run_log import tell_in_words
from flows.telling import tell_crashed, tell_end, tell_failed
from flows.training import training_flow
from flows.turns import await_turn, in_utc, name_run
from flows.up.record import service_address
from flows.zombies import mark_others
from tasks.check import Check
from tasks.decide import decide_task
from tasks.drift import Found, measure_drift_task
from tasks.drift_report import drift_report_task
from tasks.new_labels import count_new_labels_task
from tasks.pipeline_page import pipeline_page_task
from tasks.probe import ingest_newest_task, measure_performance_task, probe_regret_task
from tasks.realised import from_predictions, measure_realised_task, realised_performance_task
from tasks.retrain import retrain_once


@flow(
    name="drift_check",
    flow_run_name=name_run,
    persist_result=False,
    on_completion=[tell_end, mark_others],
    on_failure=[tell_failed, mark_others],
    on_crashed=[tell_crashed],
)
def drift_check_flow(
    config: str,
    as_of: datetime | None = None,
    retrain: bool = True,
    overrides: list[str] | None = None,
    delay_seconds: int = 0,
) -> DriftOutcome:
    """Check one pipeline's champion for drift, and retrain it where its policy says so.

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
        as_of: Everything later is hidden; UTC without a zone. Empty: now.
        retrain: Whether a retrain may be started, where the policy says so.
        overrides: Values that replace the YAML's, for this run: ``drift.max_share=0.5``.
        delay_seconds: How long after its scheduled moment the check begins, at the earliest.
    """
    tell_in_words()
    await_turn(delay_seconds)
    settings = read_settings()
    loaded = load_config(config_path(config), settings, tuple(overrides or ()))
    pipeline = open_pipeline(loaded, settings)
    own_run(pipeline)
    check = Check(pipeline, in_utc(as_of), {})

    def train(moment: str) -> TrainOutcome:
        # The log ends now; the source may end earlier, and a training run then begins there.
        seen = check.as_of if from_predictions(check) else parse_as_of(moment)
        return training_flow(config, as_of=seen, trigger="drift", overrides=overrides)

    found = measure_drift_task(check)
    realised = measure_realised_task(check)
    labels = measure_on_labels(check, found, realised)
    outcome = decide_task(
        check, found, labels.performance, labels.regret, retrain, new_labels=labels.new_labels
    )
    outcome = with_realised(outcome, realised)
    if outcome.retrain == "started":
        outcome = retrain_once(check, outcome, train)
    drift_report_task(check, found, outcome)
    pipeline_page_task(pipeline, check.seconds, service_address(settings))
    return outcome


class OnLabels(NamedTuple):
    """What the newest labels showed; None for what wasn't asked, a reason for what couldn't be measured."""

    performance: PerformanceMeasured | str | None = None
    regret: RegretMeasured | str | None = None
    new_labels: int | None = None


def with_realised(outcome: DriftOutcome, realised: Realised | str | None) -> DriftOutcome:
    """Add what came of the service's answers, or why that can't be told."""
    if isinstance(realised, str):
        return outcome.model_copy(update={"notes": (*outcome.notes, f"realised: {realised}")})
    return outcome.model_copy(update={"realised": realised})


def measure_on_labels(check: Check, found: Found, realised: Realised | str | None) -> OnLabels:
    """Measure what needs labels, as far as the YAML asks for it and the newest rows have any."""
    wanted = check.config.drift
    if found.drift is None or not (wanted.performance or wanted.regret or wanted.min_new_labels):
        return OnLabels()
    if from_predictions(check):
        return measure_on_answers(check, realised)
    newest = ingest_newest_task(check)
    new_labels = count_new_labels_task(check, newest) if wanted.min_new_labels else None
    if not isinstance(newest, Ingested):
        return OnLabels(newest if wanted.performance else None, newest if wanted.regret else None, new_labels)
    return OnLabels(
        measure_performance_task(check, newest) if wanted.performance else None,
        probe_regret_task(check, newest) if wanted.regret else None,
        new_labels,
    )


def measure_on_answers(check: Check, realised: Realised | str | None) -> OnLabels:
    """Measure the same on what the service answered: performance needs no row but the champion's own."""
    wanted = check.config.drift
    performance = realised_performance_task(check, realised) if wanted.performance else None
    if not (wanted.regret or wanted.min_new_labels):
        return OnLabels(performance)
    newest = ingest_newest_task(check)
    new_labels = count_new_labels_task(check, newest) if wanted.min_new_labels else None
    if not isinstance(newest, Ingested):
        return OnLabels(performance, newest if wanted.regret else None, new_labels)
    return OnLabels(performance, probe_regret_task(check, newest) if wanted.regret else None, new_labels)
