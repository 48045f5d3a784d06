"""Owns what a configuration's check must know of an estimator, whoever says it: its class, or the table."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from evertrain.config.faults import Fault, fault_at, name_known, spell_value
from evertrain.records import Record

ESTIMATOR = ("training", "estimator")
PARAMS = ("training", "params")

# So alike (1: the same) is a typo; LightGBM's own other names, such as num_leaf, are less so.
MISSPELLED = 0.9

Trait = Literal["classifier", "regressor", "single_output", "multiclass", "probabilities", "scores"]


class Takes(Record):
    """What an estimator's constructor and ``fit`` take; ``open_ended``: also parameters it doesn't name."""

    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...] = ()
    open_ended: bool = False
    weights: bool = False

    def may_take(self, name: str) -> bool:
        """Whether *name* is a parameter: one it names, or where it is open-ended, no misspelling of one."""
        if name in self.parameters or not self.open_ended:
            return name in self.parameters
        return not difflib.get_close_matches(name, self.parameters, n=1, cutoff=MISSPELLED)


class EstimatorFacts(Record):
    """An estimator with the parameters of a YAML.

    ``traits`` and ``parameters`` (all that it will be given, its defaults among them, as JSON can say them)
    stand only where there are no ``faults``; ``traits`` None: it wraps another estimator, and there is none.
    """

    takes: Takes
    faults: tuple[Fault, ...] = ()
    traits: frozenset[Trait] | None = frozenset()
    parameters: dict[str, Any] = {}


def find_parameter_faults(
    takes: Takes, params: Mapping[str, Any], problem_of: Callable[[str], str | None]
) -> list[Fault]:
    """Find each of *params* that the estimator doesn't know or take, and what it needs and a YAML can't give.

    Args:
        takes: What the estimator takes.
        params: The parameters of the YAML.
        problem_of: Says of the parameter of that name what its value must be; None: it is right.
    """
    unknown = [name for name in params if not takes.may_take(name)]
    faults = [
        fault_at((*PARAMS, name), f"{takes.name} has no such parameter", name_known(name, takes.parameters))
        for name in unknown
    ]
    needed = [name for name in takes.required if name not in params]
    if needed:
        found = f"{takes.name} needs {', '.join(needed)}, which are estimators or other objects"
        return [*faults, fault_at(ESTIMATOR, found, "an estimator whose parameters a YAML can give")]
    for name, value in params.items():
        problem = None if name in unknown else problem_of(name)
        if problem:
            faults.append(fault_at((*PARAMS, name), spell_value(value), problem))
    return faults


def as_json(value: Any) -> Any:
    """Give *value* as JSON can say it: what it has no word for as Python spells it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value if value is None or isinstance(value, str | int | dict) else repr(value)
