"""Owns which expectations can be counted on callers' rows: those that look at one value alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from evertrain.records import Feature
from evertrain.spelling import spell_category

LONGEST_MATCHED = 1_000
"""Characters: longer text isn't matched, for a pattern may take long on it and hold up the service."""

Meets = Callable[[Any], bool]
AllMeet = Callable[[Sequence[Any]], bool]


class ValueRule(NamedTuple):
    """One expectation: its name, the feature that it speaks of, and whether a value that is there meets it.

    ``all_meet`` tells soon that all of some values are there and meet it, or that one has to look at each.
    ``wants_value``: a missing value breaks it; as with Great Expectations, only ``…_to_not_be_null`` does.
    """

    expectation: str
    column: str
    meets: Meets
    all_meet: AllMeet
    wants_value: bool = False


def read_rules(expectations: Iterable[Mapping[str, Any]], features: Sequence[Feature]) -> list[ValueRule]:
    """Make rules of *expectations*.

    Args:
        expectations: As the YAML has them: ``type``, ``column``, and arguments.
        features: The columns that callers send.

    Returns:
        One rule for each expectation on one feature's values that can be judged value by value: between, in
        and not in a set, null and not null, lengths, and patterns. The others (uniqueness, outliers, pairs,
        whole tables) aren't counted at serving.
    """
    named = {feature.name: feature for feature in features}
    rules = []
    for expectation in expectations:
        kind, column = str(expectation["type"]), expectation.get("column")
        make, feature = _MAKERS.get(kind), named.get(str(column))
        if make is not None and feature is not None and _can_judge(kind, feature, expectation):
            soon = _SOON.get(kind, _cannot_tell)
            rules.append(
                ValueRule(kind, str(column), make(expectation), soon(expectation), kind == _NOT_NULL)
            )
    return rules


def count_broken(rule: ValueRule, values: Sequence[Any]) -> int:
    """How many of *values*, None where missing, break *rule*; one of a type that it can't judge does, too."""
    # None can't be compared, and of nothing there is no least: then each is looked at.
    with suppress(TypeError, ValueError):
        if rule.all_meet(values):
            return 0
    broken = 0
    for value in values:
        if value is None:
            broken += rule.wants_value
            continue
        try:
            broken += not rule.meets(value)
        except TypeError:
            broken += 1
    return broken


def _can_judge(kind: str, feature: Feature, expectation: Mapping[str, Any]) -> bool:
    if expectation.get("row_condition"):
        return False
    if kind == _BETWEEN:
        return feature.type in ("integer", "float", "boolean")
    # Times are sent as text, in more than one spelling.
    return feature.kind != "datetime" or kind in (_NULL, _NOT_NULL)


def _between(arguments: Mapping[str, Any], of: Callable[[Any], Any] = lambda value: value) -> Meets:
    low, high = (
        None if (end := arguments.get(key)) is None else float(end) for key in ("min_value", "max_value")
    )
    over, under = bool(arguments.get("strict_min")), bool(arguments.get("strict_max"))

    def meets(value: Any) -> bool:
        size = of(value)
        above = low is None or (size > low if over else size >= low)
        return bool(above and (high is None or (size < high if under else size <= high)))

    return meets


def _length_between(arguments: Mapping[str, Any]) -> Meets:
    return _between(arguments, lambda value: len(str(value)))


def _length(arguments: Mapping[str, Any]) -> Meets:
    wanted = arguments["value"]
    return lambda value: bool(len(str(value)) == wanted)


def _in_set(arguments: Mapping[str, Any]) -> Meets:
    allowed = _members(arguments)
    return lambda value: value in allowed


def _not_in_set(arguments: Mapping[str, Any]) -> Meets:
    refused = _members(arguments)
    return lambda value: value not in refused


def _members(arguments: Mapping[str, Any]) -> frozenset[Any]:
    # Callers may send a category as the number that it is, or spelled.
    listed = arguments["value_set"]
    return frozenset(listed) | {spell_category(value) for value in listed}


def _finds(patterns: Sequence[str], combine: Callable[[Iterable[bool]], bool], wanted: bool) -> Meets:
    compiled = [re.compile(pattern) for pattern in patterns]

    def meets(value: Any) -> bool:
        text = str(value)
        if len(text) > LONGEST_MATCHED:
            return True
        return combine(pattern.search(text) is not None for pattern in compiled) is wanted

    return meets


def _matches(arguments: Mapping[str, Any]) -> Meets:
    return _finds([arguments["regex"]], all, True)


def _matches_not(arguments: Mapping[str, Any]) -> Meets:
    return _finds([arguments["regex"]], any, False)


def _matches_list(arguments: Mapping[str, Any]) -> Meets:
    return _finds(arguments["regex_list"], all if arguments.get("match_on") == "all" else any, True)


def _matches_none(arguments: Mapping[str, Any]) -> Meets:
    return _finds(arguments["regex_list"], any, False)


def _all_between(arguments: Mapping[str, Any]) -> AllMeet:
    meets = _between(arguments)
    return lambda values: meets(min(values)) and meets(max(values))


def _all_in_set(arguments: Mapping[str, Any]) -> AllMeet:
    return _members(arguments).issuperset


def _cannot_tell(_: Mapping[str, Any]) -> AllMeet:
    return lambda _: False


_BETWEEN = "expect_column_values_to_be_between"
_NULL = "expect_column_values_to_be_null"
_NOT_NULL = "expect_column_values_to_not_be_null"
_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Meets]] = {
    "expect_column_value_lengths_to_be_between": _length_between,
    "expect_column_value_lengths_to_equal": _length,
    _BETWEEN: _between,
    "expect_column_values_to_be_in_set": _in_set,
    _NULL: lambda _: lambda _: False,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_match_regex_list": _matches_list,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    _NOT_NULL: lambda _: lambda _: True,
    "expect_column_values_to_not_match_regex": _matches_not,
    "expect_column_values_to_not_match_regex_list": _matches_none,
}
_SOON: Mapping[str, Callable[[Mapping[str, Any]], AllMeet]] = {
    _BETWEEN: _all_between,
    "expect_column_values_to_be_in_set": _all_in_set,
    _NOT_NULL: lambda _: lambda values: None not in values,
}
