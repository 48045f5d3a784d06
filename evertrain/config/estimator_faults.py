"""Owns the rules that only the estimator's class can show: does it fit task, metrics, weights and search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evertrain.config.estimators import (
    ESTIMATOR,
    EstimatorClass,
    build,
    find_estimator,
    parameter_faults,
    parameter_names,
    takes_weights,
)
from evertrain.config.faults import Fault, fault_at, name_known, spell_value
from evertrain.config.rules.metrics import named_metrics
from evertrain.config.rules.raw import Raw, mappings, pick, pick_text
from evertrain.metrics import CLASSIFICATION, DEFAULT_METRICS, METRICS, metrics_for
from evertrain.settings import Settings


def find_estimator_faults(raw: Raw, settings: Settings) -> list[Fault]:
    """Hold *raw* against the estimator that it names; imports the estimator's package, if it is allowed."""
    path = pick_text(raw, *ESTIMATOR)
    if path is None or "." not in path:
        return []
    kind, faults = find_estimator(path, settings)
    if kind is None:
        return faults
    params = pick(raw, "training", "params")
    params = params if isinstance(params, dict) else {}
    faults += parameter_faults(kind, params)
    faults += _search_faults(raw, kind)
    faults += _weight_faults(raw, kind)
    return faults if faults else list(_nature_faults(raw, kind, build(kind, params)))


def _search_faults(raw: Raw, kind: EstimatorClass) -> Iterator[Fault]:
    known, open_ended = parameter_names(kind)
    for path, _ in mappings(raw, "training", "search", "space"):
        if path[-1] not in known and not open_ended:
            yield fault_at(path, f"{kind.__name__} has no such parameter", name_known(str(path[-1]), known))


def _weight_faults(raw: Raw, kind: EstimatorClass) -> Iterator[Fault]:
    if takes_weights(kind):
        return
    weight = pick_text(raw, "data", "weight")
    if weight is not None:
        yield fault_at(
            ("data", "weight"),
            f"{spell_value(weight)}, but {kind.__name__} takes no sample weights",
            "null, or an estimator that takes them",
        )
    if pick(raw, "training", "class_weight") == "balanced" and "class_weight" not in parameter_names(kind)[0]:
        yield fault_at(
            ("training", "class_weight"),
            f"balanced, but {kind.__name__} takes neither class nor sample weights",
            "none, or an estimator that takes them",
        )


def _nature_faults(raw: Raw, kind: EstimatorClass, instance: Any) -> Iterator[Fault]:
    task = pick_text(raw, "evaluation", "task")
    misfit = _misfit(task, instance)
    if misfit:
        yield fault_at(ESTIMATOR, f"{kind.__name__} {misfit}", f"an estimator for {task}")
    elif task in CLASSIFICATION:
        yield from _probability_faults(raw, kind, instance)


def _misfit(task: str | None, instance: Any) -> str | None:
    from sklearn.base import is_classifier, is_regressor

    try:
        tags = instance.__sklearn_tags__()
        fits = {
            "regression": is_regressor(instance),
            **dict.fromkeys(CLASSIFICATION, is_classifier(instance)),
        }
    except (AttributeError, TypeError, ValueError):
        # A wrapper asks the estimator inside it, and there is none.
        return "wraps another estimator, which a YAML can't give"
    if task not in fits:
        return None
    if not fits[task]:
        return "is no regressor" if task == "regression" else "is no classifier"
    if not tags.target_tags.single_output:
        return "learns several targets at once"
    two_only = tags.classifier_tags is not None and not tags.classifier_tags.multi_class
    return "knows two classes only" if two_only and task == "multiclass_classification" else None


def _probability_faults(raw: Raw, kind: EstimatorClass, instance: Any) -> Iterator[Fault]:
    calibration = pick(raw, "training", "calibration")
    if calibration in ("sigmoid", "isotonic"):
        if not hasattr(instance, "decision_function") and not hasattr(instance, "predict_proba"):
            yield fault_at(("training", "calibration"), f"{kind.__name__} has no scores to calibrate", "none")
        return
    if hasattr(instance, "predict_proba"):
        return
    others = [name for name in metrics_for("binary_classification") if not METRICS[name].needs_probabilities]
    expected = f"one of {', '.join(others)}, training.calibration, or an estimator with predict_proba"
    for path, name in named_metrics(raw) or _default_metrics(raw):
        if METRICS[name].needs_probabilities:
            with_params = f"{kind.__name__} with these params has no probabilities"
            yield fault_at(path, f"{name} needs probabilities; {with_params}", expected)


def _default_metrics(raw: Raw) -> list[tuple[tuple[str | int, ...], str]]:
    task = pick_text(raw, "evaluation", "task")
    return [
        (("evaluation", "metrics"), name)
        for known in DEFAULT_METRICS
        if known == task
        for name in DEFAULT_METRICS[known]
    ]
