"""Owns the plan that ``check`` shows: what a run would do, in words, and what to beware of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from evertrain.config import DataConfig, DriftConfig, PipelineConfig, ServingConfig
from evertrain.config.estimators import describe_estimator
from evertrain.config.faults import refuse
from evertrain.config.query_syntax import computed_columns
from evertrain.durations import spell_duration
from evertrain.notifiers import spell_notifiers
from evertrain.records import Label, Record, Task
from evertrain.settings import Settings


class Plan(Record):
    """What a run would do. ``features`` None: the default plan, which only the data can fill in."""

    pipeline: str
    config: str
    source: str
    query: str | None
    labels: str | None
    target: str
    positive: Label | None
    timestamp: str | None
    entity: tuple[str, ...]
    weight: str | None
    features: dict[str, tuple[str, ...]] | None
    split: str
    validation: tuple[str, ...]
    estimator: str
    parameters: dict[str, Any]
    task: Task
    metrics: tuple[str, ...]
    gates: tuple[str, ...]
    strategy: str
    approval: str
    drift: str
    schedule: str
    serving: str
    notify: tuple[str, ...]
    warnings: tuple[str, ...]


def build_plan(config: PipelineConfig, settings: Settings) -> Plan:
    """Say what a run of *config* would do; reads no data.

    Raises:
        ConfigError: The estimator isn't allowed, isn't found, or doesn't take its parameters.
    """
    data = config.data
    return Plan(
        pipeline=config.name,
        config=config.digest(),
        source=_spell_kind(data.source),
        query=data.query,
        labels=_spell_labels(config),
        target=data.target,
        positive=data.positive,
        timestamp=data.timestamp,
        entity=data.entity,
        weight=data.weight,
        features=None if data.features is None else _features_by_kind(data),
        split=_spell_split(data),
        validation=_spell_validation(config),
        estimator=config.training.estimator,
        parameters=_effective_parameters(config, settings),
        task=config.evaluation.task,
        metrics=config.evaluation.metrics,
        gates=tuple(_spell_kind(gate) for gate in config.evaluation.gates),
        strategy=_spell_kind(config.promotion.strategy),
        approval=config.promotion.approval,
        drift=_spell_drift(config.drift, config.schedule.timezone),
        schedule=_spell_schedule(config.schedule.train, config.schedule.timezone),
        serving=_spell_serving(config.serving),
        notify=spell_notifiers(config.notify, os.environ),
        warnings=tuple(_find_warnings(config)),
    )


def _spell_kind(kind: BaseModel) -> str:
    """Spell a gate, strategy or source as its type, its arguments, and the manual's first sentences on it."""
    facts = kind.model_dump(mode="json", by_alias=True, exclude_none=True)
    name = facts.pop("type")
    arguments = ", ".join(f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items())
    first, *_ = (type(kind).__doc__ or "").split("\n\n")
    manual = " ".join(first.replace("``", "").split()).removesuffix(".")
    return f"{name}{f' ({arguments})' if arguments else ''}: {manual}"


def _spell_labels(config: PipelineConfig) -> str | None:
    labels = config.labels
    if labels is None:
        return None
    delay = spell_duration(labels.delay)
    known = f"once {labels.arrived_at} has passed" if labels.arrived_at else f"{delay} after the row's time"
    if not labels.gives_target:
        used = "joined to the service's answers by prediction_id, beside those of the feedback route"
    else:
        used = f"in the place of {config.data.target}, joined by {', '.join(labels.join)}"
    return f"{labels.column} of {_spell_kind(labels.source)}; {used}; known {known}"


def _features_by_kind(data: DataConfig) -> dict[str, tuple[str, ...]]:
    assert data.features is not None
    return {kind: names for kind, names in data.features.model_dump().items() if names}


def _spell_split(data: DataConfig) -> str:
    if data.window is not None:
        holdout, train = spell_duration(data.window.holdout), spell_duration(data.window.train)
        return f"the newest {holdout} before as-of are held out, the {train} before them are learnt from"
    if data.timestamp is not None:
        return f"the newest 20 % by {data.timestamp} are held out, the older 80 % are learnt from"
    by = ", ".join(data.entity) or "all source columns"
    return f"about 20 % are held out, by SHA-256 of {by}; a row's side is the same for ever"


def _spell_validation(config: PipelineConfig) -> tuple[str, ...]:
    expectations = config.validation.expectations
    words = [f"{item.type} {json.dumps(item.arguments, ensure_ascii=False)}" for item in expectations]
    return (*words, f"on failure: {config.validation.on_failure}") if words else ()


def _effective_parameters(config: PipelineConfig, settings: Settings) -> dict[str, Any]:
    training = config.training
    facts, faults = describe_estimator(training.estimator, training.params, settings)
    refuse("the configuration", [*faults, *(facts.faults if facts else ())])
    assert facts is not None
    parameters = dict(facts.parameters)
    if "random_state" in parameters and "random_state" not in training.params:
        parameters["random_state"] = training.seed
    return dict(sorted(parameters.items()))


def _spell_drift(drift: DriftConfig, timezone: str) -> str:
    current, confirm = drift.current, drift.confirm
    window = spell_duration(current.window)
    return (
        f"{_spell_schedule(drift.schedule, timezone)}; the newest {window} of {current.from_} "
        f"({current.min_rows} rows at least) against {drift.reference}; drifted where over "
        f"{drift.max_share:.0%} of the columns did, confirmed by {confirm.checks} of {confirm.of} checks; "
        f"retrain on {', '.join(drift.retrain_on) or 'nothing'}, cooldown {spell_duration(drift.cooldown)}"
        + "".join(f"; {name} {said}" for name, said in spell_limits(drift))
    )


def spell_limits(drift: DriftConfig) -> Iterator[tuple[str, str]]:
    """Spell what a policy sets beyond confirmation and cooldown, each by its name."""
    if drift.budget is not None:
        yield "budget", f"{drift.budget.retrains} retrains in {spell_duration(drift.budget.per)}"
    if drift.min_new_labels:
        yield "minimum of new labels", f"{drift.min_new_labels:,}"
    if drift.max_age is not None:
        yield "maximum age", spell_duration(drift.max_age)
    if drift.rearm is not None:
        times = f"{1 + drift.rearm.growth:g} times"
        yield "one cause again", f"once it was gone, or grew to {times} what was answered"


def _spell_schedule(cron: str | None, timezone: str) -> str:
    return "no schedule" if cron is None else f"{cron} ({timezone})"


def _spell_serving(serving: ServingConfig) -> str:
    if not serving.log_predictions:
        return "predictions are not logged"
    return f"predictions are logged, {serving.sample:.0%} of them"


def _find_warnings(config: PipelineConfig) -> Iterator[str]:
    for name in _computed_features(config.data):
        yield f"data.query computes the feature {name}: callers must send it as it stands after the query"
    for trigger in ("performance", "regret"):
        if trigger in config.drift.retrain_on and getattr(config.drift, trigger) is None:
            yield f"drift.retrain_on names {trigger}, but drift.{trigger} is not given: it starts nothing"
    if config.drift.regret is not None and config.data.window is None:
        yield "drift.regret needs data.window.train to know what its probe learns from"
    if config.drift.current.from_ == "predictions" and not config.serving.log_predictions:
        yield "drift.current.from is predictions, but serving.log_predictions is false: none will be there"
    yield from _warn_of_labels(config)
    if config.data.positive is not None and config.evaluation.task != "binary_classification":
        yield f"data.positive has no meaning for {config.evaluation.task}"


def _warn_of_labels(config: PipelineConfig) -> Iterator[str]:
    labels, timestamp = config.labels, config.data.timestamp
    if labels is None:
        return
    if labels.arrived_at is not None and labels.delay:
        yield "labels.delay has no meaning beside labels.arrived_at"
    if labels.gives_target and timestamp is not None and timestamp not in labels.join:
        yield f"labels.join is without {timestamp}: all rows of one {', '.join(labels.join)} have one label"


def _computed_features(data: DataConfig) -> list[str]:
    computed = computed_columns(data.query) if data.query is not None else frozenset()
    if data.features is not None:
        return [name for name in data.features.names if name in computed]
    return sorted(computed - {data.target, data.timestamp, data.weight, *data.entity})
