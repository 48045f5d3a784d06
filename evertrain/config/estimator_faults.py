"""Owns the rules that only the estimator's class can show: does it fit task, metrics, weights and search."""

from __future__ import annotations

from collections.abc import Iterator

from evertrain.config.estimator_facts import ESTIMATOR, EstimatorFacts, Takes, Trait
from evertrain.config.estimators import describe_estimator
from evertrain.config.faults import Fault, fault_at, name_known, spell_value
from evertrain.config.rules.metrics import named_metrics
from evertrain.config.rules.raw import Raw, mappings, pick, pick_text
from evertrain.metrics import CLASSIFICATION, DEFAULT_METRICS, METRICS, metrics_for
from evertrain.settings import Settings

Traits = frozenset[Trait]


def find_estimator_faults(raw: Raw, settings: Settings) -> list[Fault]:
    """Hold *raw* against the estimator that it names, if its package is allowed."""
    path = pick_text(raw, *ESTIMATOR)
    if path is None or "." not in path:
        return []
    params = pick(raw, "training", "params")
    facts, faults = describe_estimator(path, params if isinstance(params, dict) else {}, settings)
    if facts is None:
        return faults
    faults += facts.faults
    faults += _search_faults(raw, facts.takes)
    faults += _weight_faults(raw, facts.takes)
    return faults if faults else list(_nature_faults(raw, facts))


def _search_faults(raw: Raw, takes: Takes) -> Iterator[Fault]:
    for path, _ in mappings(raw, "training", "search", "space"):
        name = str(path[-1])
        if name not in takes.parameters and not takes.open_ended:
            yield fault_at(path, f"{takes.name} has no such parameter", name_known(name, takes.parameters))


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
