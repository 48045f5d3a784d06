"""Owns which classes may learn: found by name in the allowed packages, constructed, never fitted.

What the table of scikit-learn's estimators knows is answered from it; anything else by importing the class.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import itertools
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from evertrain.config.estimator_facts import (
    ESTIMATOR,
    EstimatorFacts,
    Takes,
    Trait,
    as_json,
    find_parameter_faults,
)
from evertrain.config.estimator_table import look_up
from evertrain.config.faults import Fault, fault_at, refuse, spell_value
from evertrain.errors import ConfigError
from evertrain.settings import Settings

EstimatorClass = type[Any]
# Packages that come with an extra of evertrain's.
EXTRAS = ("lightgbm", "xgboost")


def resolve_estimator(path: str, params: Mapping[str, Any], settings: Settings) -> EstimatorClass:
    """Find the class at *path*, and see that it takes *params*.

    Returns:
        A public subclass of scikit-learn's BaseEstimator, from an allowed package.

    Raises:
        ConfigError: Not allowed, not installed, not found, no estimator, or a parameter that it doesn't take.
    """
    kind, faults = find_estimator(path, settings)
    if kind is not None:
        faults += parameter_faults(kind, params)
    refuse("the configuration", faults)
    assert kind is not None
    return kind


def describe_estimator(
    path: str, params: Mapping[str, Any], settings: Settings
) -> tuple[EstimatorFacts | None, list[Fault]]:
    """Say what there is to know of the estimator at *path* with *params*; nothing is imported needlessly.

    Returns:
        The facts, or the fault of *path*.
    """
    found = look_up(path, params) if _may_be_used(path, settings) else None
    if found is not None:
        return found, []
    kind, faults = find_estimator(path, settings)
    return (None if kind is None else ask_class(kind, params)), faults


def find_estimator(path: str, settings: Settings) -> tuple[EstimatorClass | None, list[Fault]]:
    """Find the class at *path*; nothing outside the allowed packages is ever imported."""
    allowed = f"a public class of {', '.join(settings.allowed_packages)} (EVERTRAIN_ALLOWED_PACKAGES)"
    if not _may_be_used(path, settings):
        return None, [_fault(spell_value(path), allowed)]
    module_name, _, name = path.rpartition(".")
    try:
        kind = getattr(_import(module_name), name, None)
    except ConfigError as error:
        expected = error.attributes["expected"] or _suggest(path)
        return None, [_fault(f"{spell_value(path)}: {error.message}", expected)]
    if not isinstance(kind, type):
        return None, [_fault(f"{spell_value(path)}: no such class", _suggest(path))]
    if not _is_estimator(kind):
        return None, [
            _fault(f"{spell_value(path)} is no estimator", "a class with fit and predict, a BaseEstimator")
        ]
    if not _is_allowed(kind.__module__, settings.allowed_packages):
        return None, [_fault(f"{spell_value(path)} comes from {kind.__module__}", allowed)]
    return kind, []


def parameter_faults(kind: EstimatorClass, params: Mapping[str, Any]) -> list[Fault]:
    """Find each of *params* that *kind* doesn't know or take, and what it needs and a YAML can't give."""
    takes = describe_class(kind)
    required = {name: params[name] for name in takes.required if name in params}
    return find_parameter_faults(
        takes, params, lambda name: _try_value(kind, {**required, name: params[name]}, name)
    )


def describe_class(kind: EstimatorClass) -> Takes:
    """Say what *kind*'s constructor and its ``fit`` take."""
    named, open_ended = _constructor_parameters(kind)
    parents = kind.__mro__[1:] if open_ended else ()
    inherited = (item.name for parent in parents for item in _constructor_parameters(parent)[0])
    fitted = inspect.signature(kind.fit).parameters.values()
    return Takes(
        name=kind.__name__,
        parameters=tuple(dict.fromkeys((*(item.name for item in named), *inherited))),
        required=tuple(item.name for item in named if item.default is item.empty),
        open_ended=open_ended,
        weights=any(item.name == "sample_weight" or item.kind == item.VAR_KEYWORD for item in fitted),
    )


def _constructor_parameters(kind: type) -> tuple[list[inspect.Parameter], bool]:
    items = inspect.signature(kind).parameters.values()
    named = [item for item in items if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)]
    return named, any(item.kind == item.VAR_KEYWORD for item in items)


def ask_class(kind: EstimatorClass, params: Mapping[str, Any]) -> EstimatorFacts:
    """Say what there is to know of *kind* with *params*; it is constructed, where it can be."""
    takes = describe_class(kind)
    faults = parameter_faults(kind, params)
    if faults:
        return EstimatorFacts(takes=takes, faults=tuple(faults))
    instance = build(kind, params)
    parameters = {name: as_json(value) for name, value in instance.get_params(deep=False).items()}
    return EstimatorFacts(takes=takes, traits=_traits(instance), parameters=parameters)


def build(kind: EstimatorClass, params: Mapping[str, Any]) -> Any:
    """Construct *kind*; what it warns of is said again when it is fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**params)


def _fault(found: str, expected: str) -> Fault:
    return fault_at(ESTIMATOR, found, expected)


def _may_be_used(path: str, settings: Settings) -> bool:
    is_public = not any(part.startswith("_") for part in path.split("."))
    return is_public and _is_allowed(path.rpartition(".")[0], settings.allowed_packages)


def _is_allowed(module_name: str, packages: Collection[str]) -> bool:
    return any(f"{module_name}.".startswith(f"{package}.") for package in packages)


def _import(module_name: str) -> Any:
    top = module_name.partition(".")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module_name)
    except Exception as error:
        # A module of an allowed package can fail in any way when it is imported.
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent == top:
            package = f"'evertrain[{top}]'" if top in EXTRAS else top
            message, expected = f"{top} is not installed", f"{top} to be installed: pip install {package}"
        elif absent is not None and f"{module_name}.".startswith(f"{absent}."):
            message, expected = "no such module", None
        else:
            message = f"{module_name} can't be imported ({type(error).__name__}: {error})"
            expected = "a package that can be imported"
        raise ConfigError(message, expected=expected) from error


def _suggest(path: str) -> str:
    """Name what *path* may have been meant for: a class of that name elsewhere, or the nearest spelling."""
    known = _public_paths(path.partition(".")[0])
    name = path.rpartition(".")[2]
    same = [other for other in known if other.rpartition(".")[2] == name]
    near = same or difflib.get_close_matches(path, known, n=3)
    return " or ".join(near) if near else f"a class such as {known[0]}" if known else "a class that exists"


def _public_paths(package: str) -> list[str]:
    if package == "sklearn":
        from sklearn.utils import all_estimators

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [kind for _, kind in all_estimators(type_filter=["classifier", "regressor"])]
    else:
        found = [item for item in vars(_import(package)).values() if _is_estimator(item)]
    return sorted(_public_path(kind) for kind in found)


def _public_path(kind: EstimatorClass) -> str:
    public = itertools.takewhile(lambda part: not part.startswith("_"), kind.__module__.split("."))
    return ".".join((*public, kind.__name__))


def _is_estimator(item: Any) -> bool:
    from sklearn.base import BaseEstimator

    return (
        isinstance(item, type)
        and issubclass(item, BaseEstimator)
        and hasattr(item, "fit")
        and hasattr(item, "predict")
    )


def _traits(instance: Any) -> frozenset[Trait] | None:
    from sklearn.base import is_classifier, is_regressor

    try:
        tags = instance.__sklearn_tags__()
        found: dict[Trait, bool] = {
            "classifier": is_classifier(instance),
            "regressor": is_regressor(instance),
            "single_output": tags.target_tags.single_output,
            "multiclass": tags.classifier_tags is None or tags.classifier_tags.multi_class,
            "probabilities": hasattr(instance, "predict_proba"),
            "scores": hasattr(instance, "decision_function"),
        }
    except (AttributeError, TypeError, ValueError):
        # A wrapper asks the estimator inside it, and there is none.
        return None
    return frozenset(trait for trait, holds in found.items() if holds)


def _try_value(kind: EstimatorClass, params: dict[str, Any], name: str) -> str | None:
    """Ask scikit-learn's own constraint of this one parameter; other packages check when they fit."""
    constraints = getattr(kind, "_parameter_constraints", {})
    try:
        build(kind, params)
        if name in constraints:
            from sklearn.utils._param_validation import validate_parameter_constraints

            validate_parameter_constraints({name: constraints[name]}, {name: params[name]}, kind.__name__)
    except (TypeError, ValueError) as error:
        # "The 'n' parameter of X must be an int. Got 'a' instead." says twice what the fault says already.
        words = str(error).partition(". Got ")[0]
        return words.removeprefix(f"The {name!r} parameter of {kind.__name__} must be ")
    return None
