"""Owns which classes may learn: found by name in the allowed packages, constructed, never fitted."""

from __future__ import annotations

import difflib
import importlib
import inspect
import itertools
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from evertrain.config.faults import Fault, fault_at, name_known, refuse, spell_value
from evertrain.errors import ConfigError
from evertrain.settings import Settings

ESTIMATOR = ("training", "estimator")
PARAMS = ("training", "params")

EstimatorClass = type[Any]


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


def find_estimator(path: str, settings: Settings) -> tuple[EstimatorClass | None, list[Fault]]:
    """Find the class at *path*; nothing outside the allowed packages is ever imported."""
    allowed = f"a public class of {', '.join(settings.allowed_packages)} (EVERTRAIN_ALLOWED_PACKAGES)"
    module_name, _, name = path.rpartition(".")
    if not _is_allowed(module_name, settings.allowed_packages) or any(
        part.startswith("_") for part in path.split(".")
    ):
        return None, [_fault(spell_value(path), allowed)]
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
    known, open_ended = parameter_names(kind)
    unknown = [name for name in params if name not in known and not open_ended]
    faults = [
        fault_at((*PARAMS, name), f"{kind.__name__} has no such parameter", name_known(name, known))
        for name in unknown
    ]
    needed = [name for name in _required_names(kind) if name not in params]
    if needed:
        found = f"{kind.__name__} needs {', '.join(needed)}, which are estimators or other objects"
        return [*faults, _fault(found, "an estimator whose parameters a YAML can give")]
    required = {name: params[name] for name in _required_names(kind)}
    for name, value in params.items():
        problem = None if name in unknown else _try_value(kind, {**required, name: value}, name)
        if problem:
            faults.append(fault_at((*PARAMS, name), spell_value(value), problem))
    return faults


def parameter_names(kind: EstimatorClass) -> tuple[tuple[str, ...], bool]:
    """Name the parameters that *kind*'s constructor takes, and whether it takes others too."""
    takes = list(inspect.signature(kind).parameters.values())
    named = tuple(item.name for item in takes if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL))
    return named, any(item.kind == item.VAR_KEYWORD for item in takes)


def build(kind: EstimatorClass, params: Mapping[str, Any]) -> Any:
    """Construct *kind*; what it warns of is said again when it is fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**params)


def takes_weights(kind: EstimatorClass) -> bool:
    """Whether *kind* can be fitted with sample weights."""
    takes = inspect.signature(kind.fit).parameters.values()
    return any(item.name == "sample_weight" or item.kind == item.VAR_KEYWORD for item in takes)


def _fault(found: str, expected: str) -> Fault:
    return fault_at(ESTIMATOR, found, expected)


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
            message, expected = f"{top} is not installed", f"{top} to be installed: pip install {top}"
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


def _required_names(kind: EstimatorClass) -> list[str]:
    named = (item for item in inspect.signature(kind).parameters.values() if item.default is item.empty)
    return [item.name for item in named if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)]


def _try_value(kind: EstimatorClass, params: dict[str, Any], name: str) -> str | None:
    """Ask scikit-learn's own parameter constraints; other packages check when they fit."""
    try:
        instance = build(kind, params)
        if hasattr(instance, "_parameter_constraints"):
            instance._validate_params()
    except (TypeError, ValueError) as error:
        # "The 'n' parameter of X must be an int. Got 'a' instead." says twice what the fault says already.
        words = str(error).partition(". Got ")[0]
        return words.removeprefix(f"The {name!r} parameter of {kind.__name__} must be ")
    return None
