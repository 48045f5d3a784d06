"""Owns the words of notices: what people and programs are told of a decision, a failure, a rollback."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evertrain.drift_records import DriftOutcome
from evertrain.errors import ConfigError, Conflict, EvertrainError
from evertrain.notifiers import Notice
from evertrain.records import TrainOutcome
from evertrain.summaries.markdown import one_line, spell_number

MOST_CHARACTERS = 600
MOST_COLUMNS = 20
MOST_ALERTS = 3
DATA_REFUSED = 3
TRAIN_TITLES = {
    "promoted": "version {version} promoted",
    "rollout": "rollout of version {version} begun",
    "held": "version {version} held",
}
RETRAIN_TITLES = {"none": "not retrained", "failed": "the retrain failed"}
FAILED_TITLES = {"refused": "{what} ended, the data was refused", "failed": "{what} failed"}


@dataclass(frozen=True)
class Subject:
    """What a notice is about: a pipeline's run, where its pages are, and how its YAML is named."""

    pipeline: str
    config: str
    owner: str | None = None
    run_id: str | None = None
    run_name: str | None = None
    run_url: str | None = None
    report: str | None = None


def tell_train(outcome: TrainOutcome, subject: Subject) -> Notice:
    """Tell what a training run decided."""
    title = TRAIN_TITLES[outcome.decision].format(version=outcome.version)
    back = f"evertrain rollback {outcome.pipeline}, should it do badly"
    commands = {
        "held": f"evertrain audit show {outcome.pipeline}",
        "promoted": back if outcome.champion else f"evertrain serve {outcome.pipeline}",
        "rollout": f"evertrain rollout status {outcome.pipeline}",
    }
    return _notice(
        f"evertrain.train.{outcome.decision}",
        title,
        _train_lines(outcome),
        commands[outcome.decision],
        subject,
        summary=_train_summary(outcome),
    )


def tell_check(outcome: DriftOutcome, subject: Subject) -> Notice:
    """Tell what a drift check found, and what became of the retrain that it started, if it did."""
    titles = {"steady": "steady", "too_little_data": "too little new data to tell drift"}
    trained = outcome.train
    retrained = RETRAIN_TITLES.get(outcome.retrain, f"retrain: {outcome.retrain}")
    if trained:
        retrained = f"retrained: version {trained.version} {trained.decision}"
    summary = outcome.model_dump(mode="json", exclude={"columns", "predictions", "quality", "train"})
    summary["drifted_columns"] = [column.name for column in outcome.columns if column.drifted][:MOST_COLUMNS]
    summary["quality_alerts"] = _quality_alerts(outcome)
    summary["train"] = trained and _train_summary(trained)
    wants_train = outcome.train is None and outcome.decision == "drifted"
    return _notice(
        f"evertrain.drift.{outcome.decision}",
        titles.get(outcome.decision, f"drifted, {retrained}"),
        [*_drift_lines(outcome), *(_train_lines(trained) if trained else [])],
        f"evertrain train {subject.config}" if wants_train else f"evertrain audit show {outcome.pipeline}",
        subject,
        summary=summary,
    )


def tell_failure(what: str, error: BaseException, subject: Subject) -> Notice:
    """Tell that *what* failed (train, drift, score); of an error that isn't ours, its kind alone."""
    if isinstance(error, EvertrainError):
        message, exit_code = error.message, error.exit_code
    else:
        # The text of anybody else's error may hold what isn't for everybody's eyes.
        message, exit_code = f"{type(error).__name__}: see the run's log", EvertrainError.exit_code
    kind = failure_kind(error)
    commands = {
        ConfigError.exit_code: f"evertrain check {subject.config}",
        DATA_REFUSED: f"evertrain check {subject.config} --data",
    }
    return _notice(
        f"evertrain.{what}.{kind}",
        FAILED_TITLES.get(kind, f"{{what}} {kind}").format(what=what),
        [_shorten(message)],
        commands.get(exit_code, _again(what, subject)),
        subject,
        error={"type": type(error).__name__, "message": _shorten(message), "exit": exit_code},
    )


def failure_kind(error: BaseException) -> str:
    """Say what the failure *error* is called: ``refused`` (the data), ``busy`` (another runs), ``failed``."""
    if isinstance(error, Conflict) and "claim" in error.attributes:
        return "busy"
    return "refused" if getattr(error, "exit_code", None) == DATA_REFUSED else "failed"


def tell_crash(what: str, message: str, subject: Subject) -> Notice:
    """Tell that *what*, ``train``, ``drift`` or ``score``, ended without a word of its own."""
    return _notice(
        f"evertrain.{what}.crashed",
        f"{what} crashed",
        [_shorten(message), "What it had done is kept: the next run goes on from there."],
        _again(what, subject),
        subject,
        error={"type": "Crashed", "message": _shorten(message), "exit": None},
    )


def tell_rollback(to: int, was: int, reason: str, subject: Subject) -> Notice:
    """Tell that an earlier champion was made the champion again."""
    return _notice(
        "evertrain.rollback.done",
        f"rolled back to version {to}",
        [f"Version {to} serves again; version {was} did.", *([f"Why: {_shorten(reason)}"] if reason else [])],
        f"evertrain audit show {subject.pipeline}",
        subject,
        summary={"version": to, "from": was, "reason": reason},
    )


def tell_rollout_end(
    version: int, outcome: str, champion: int | None, reason: str, subject: Subject
) -> Notice:
    """Tell how a rollout ended: ``promoted``, ``rolled_back`` or ``aborted``."""
    return _notice(
        f"evertrain.rollout.{outcome}",
        f"version {version} {outcome.replace('_', ' ')}",
        [f"Version {champion} answers all requests.", f"Why: {_shorten(reason)}"],
        f"evertrain audit show {subject.pipeline}",
        subject,
        summary={"version": version, "decision": outcome, "champion": champion, "reason": reason},
    )


def _again(what: str, subject: Subject) -> str:
    if what == "rollout":
        return f"evertrain rollout run {subject.pipeline}"
    return f"evertrain {what} {subject.config}"


def _notice(
    event: str, title: str, lines: Iterable[str], command: str, subject: Subject, **facts: Any
) -> Notice:
    title = f"{subject.pipeline}: {title}"
    text = "\n".join(
        [
            *lines,
            *([f"Run: {subject.run_url}"] if subject.run_url else []),
            *([f"Report: {subject.report}"] if subject.report else []),
            f"Next: {command}",
        ]
    )
    body = {
        "event": event,
        "id": str(uuid.uuid4()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pipeline": subject.pipeline,
        "owner": subject.owner,
        "title": title,
        "text": text,
        "run": {"id": subject.run_id, "name": subject.run_name, "url": subject.run_url},
        "report": subject.report,
    }
    return Notice(title, text, {**body, **facts})


def _train_lines(outcome: TrainOutcome) -> list[str]:
    champion = outcome.champion
    lines = [f"Why: {_why(outcome)}"]
    for name, value in list(outcome.metrics.items())[:1]:
        line = f"{name}: {spell_number(value)}"
        if champion and name in champion.metrics:
            line += f"; the champion's, version {champion.version}: {spell_number(champion.metrics[name])}"
        lines.append(line)
    return lines


def _why(outcome: TrainOutcome) -> str:
    """Give the first gate that failed, or else the first that compared with the champion."""
    if outcome.reasons:
        more = f" (and {len(outcome.reasons) - 1} more)" if len(outcome.reasons) > 1 else ""
        return f"{_shorten(outcome.reasons[0])}{more}"
    compared = [gate for gate in outcome.gates if gate.gain is not None]
    if compared:
        return _shorten(f"{compared[0].type}: {compared[0].reason}")
    return "all gates passed" if outcome.champion else "it is the first version"


def _drift_lines(outcome: DriftOutcome) -> list[str]:
    drifted = [column.name for column in outcome.columns if column.drifted]
    listed = ", ".join(drifted[:MOST_COLUMNS]) or "none"
    lines = [f"Version {outcome.champion} as of {outcome.as_of:%Y-%m-%d %H:%M}: {_shorten(outcome.why)}"]
    if outcome.share is not None:
        said = f"{outcome.share:.0%} of the columns drifted, {outcome.max_share:.0%} may: {listed}"
        lines.append(_shorten(said))
    lines += [_shorten(f"Quality: {told}") for told in _quality_alerts(outcome)]
    if outcome.failure:
        lines.append(f"The retrain failed: {_shorten(outcome.failure.message)}")
    return lines


def _quality_alerts(outcome: DriftOutcome) -> list[str]:
    return [found.words for found in outcome.quality if found.alert][:MOST_ALERTS]


def _train_summary(outcome: TrainOutcome) -> dict[str, Any]:
    # A gate's slices may be hundreds.
    return outcome.model_dump(mode="json", exclude={"gates": {"__all__": {"slices"}}})


def _shorten(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
