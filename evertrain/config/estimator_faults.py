"""Owns the rules that only the estimator's class can show: does it fit task, metrics, weights and search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from evertrain.config.estimator_facts import ESTIMATOR, EstimatorFacts, Takes, Trait
from evertrain.config.estimators import describe_estimator
from evertrain.config.faults import Fault, Path, fault_at, name_known, spell_value
from evertrain.config.rules.metrics import named_metrics
from evertrain.config.rules.raw import Raw, is_number, mappings, pick, pick_text
from evertrain.metrics import CLASSIFICATION, DEFAULT_METRICS, METRICS, metrics_for
from evertrain.settings import Settings

Traits = frozenset[Trait]


def find_estimator_faults(raw: Raw, settings: Settings) -> list[Fault]:
    """Hold *raw* against the estimator that it names, if its package is allowed."""
    path = pick_text(raw, *ESTIMATOR)
    if path is None or "." not in path:
        return []
    given = pick(raw, "training", "params")
    params: dict[str, Any] = given if isinstance(given, dict) else {}
    facts, faults = describe_estimator(path, params, settings)
    if facts is None:
        return faults
    faults += facts.faults
    faults += _search_faults(raw, facts.takes)
    if not facts.faults:
        faults += _range_faults(
            raw,
            facts.takes,
            lambda name, value: describe_estimator(path, {**params, name: value}, settings)[0],
        )
    faults += _weight_faults(raw, facts.takes)
    return faults if faults else list(_nature_faults(raw, facts))


def _search_faults(raw: Raw, takes: Takes) -> Iterator[Fault]:
    for path, _ in mappings(raw, "training", "search", "space"):
        name = str(path[-1])
        if not takes.may_take(name):
            yield fault_at(path, f"{takes.name} has no such parameter", name_known(name, takes.parameters))


def _range_faults(
    raw: Raw, takes: Takes, describe: Callable[[str, Any], EstimatorFacts | None]
) -> Iterator[Fault]:
    """Find ends of a range, and choices, that the estimator doesn't take."""
    for path, space in mappings(raw, "training", "search", "space"):
        name = str(path[-1])
        for place, value in _space_values(space) if name in takes.parameters else ():
            facts = describe(name, value)
            for fault in facts.faults if facts else ():
                yield fault_at((*path, *place), fault.found, fault.expected)


def _space_values(space: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    if space.get("type") == "categorical":
        choices = space.get("choices")
        values = choices if isinstance(choices, list | tuple) else ()
        yield from ((("choices", place), value) for place, value in enumerate(values))
        return
    for end in ("low", "high"):
        value = space.get(end)
        if is_number(value) and math.isfinite(value):
            yield (end,), int(value) if space.get("type") == "int" else float(value)


def _weight_faults(raw: Raw, takes: Takes) -> Iterator[Fault]:
    if takes.weights:
        return
    weight = pick_text(raw, "data", "weight")
    if weight is not None:
        yield fault_at(
            ("data", "weight"),
            f"{spell_value(weight)}, but {takes.name} takes no sample weights",
            "null, or an estimator that takes them",
        )
    if pick(raw, "training", "class_weight") == "balanced" and "class_weight" not in takes.parameters:
        yield fault_at(
            ("training", "class_weight"),
            f"balanced, but {takes.name} takes neither class nor sample weights",
            "none, or an estimator that takes them",
        )


def _nature_faults(raw: Raw, facts: EstimatorFacts) -> Iterator[Fault]:
    task = pick_text(raw, "evaluation", "task")
    misfit = _misfit(task, facts.traits)
    if misfit:
        yield fault_at(ESTIMATOR, f"{facts.takes.name} {misfit}", f"an estimator for {task}")
    elif task in CLASSIFICATION:
        yield from _probability_faults(raw, facts.takes.name, facts.traits or frozenset())


def _misfit(task: str | None, traits: Traits | None) -> str | None:
    if traits is None:
        return "wraps another estimator, which a YAML can't give"
    if task != "regression" and task not in CLASSIFICATION:
        return None
    wanted: Trait = "regressor" if task == "regression" else "classifier"
    if wanted not in traits:
        return f"is no {wanted}"
    if "single_output" not in traits:
        return "learns several targets at once"
    two_only = "multiclass" not in traits and task == "multiclass_classification"
    return "knows two classes only" if two_only else None


def _probability_faults(raw: Raw, name: str, traits: Traits) -> Iterator[Fault]:
    calibration = pick(raw, "training", "calibration")
    if calibration in ("sigmoid", "isotonic"):
        if not traits & {"scores", "probabilities"}:
            yield fault_at(("training", "calibration"), f"{name} has no scores to calibrate", "none")
        return
    if "probabilities" in traits:
        return
    others = [each for each in metrics_for("binary_classification") if not METRICS[each].needs_probabilities]
    expected = f"one of {', '.join(others)}, training.calibration, or an estimator with predict_proba"
    for path, metric in named_metrics(raw) or _default_metrics(raw):
        if METRICS[metric].needs_probabilities:
            with_params = f"{name} with these params has no probabilities"
            yield fault_at(path, f"{metric} needs probabilities; {with_params}", expected)


def _default_metrics(raw: Raw) -> list[tuple[tuple[str | int, ...], str]]:
    task = pick_text(raw, "evaluation", "task")
    return [
        (("evaluation", "metrics"), name)
        for known in DEFAULT_METRICS
        if known == task
        for name in DEFAULT_METRICS[known]
    ]
