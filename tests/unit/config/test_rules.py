"""The rules beyond types, each on raw values."""

# ruff: noqa: E501 - a row of a table is a line
from __future__ import annotations

from typing import Any

import pytest

from evertrain.config.rules import RULES, find_rule_faults
from evertrain.settings import read_settings

SETTINGS = read_settings({})
LABELS = {"source": {"type": "files"}, "column": "y"}


def canary(*steps: object) -> dict[str, Any]:
    return {"promotion": {"strategy": {"type": "canary", "steps": list(steps)}}}


def search(**space: object) -> dict[str, Any]:
    return {"training": {"search": {"space": {"a": {"type": "float", **space}}}}}


def judged(task: str, **evaluation: object) -> dict[str, Any]:
    return {"evaluation": {"task": task, **evaluation}}


def lines_of(raw: Any) -> list[str]:
    return [fault.line for fault in find_rule_faults(raw, SETTINGS)]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"data": {"source": {"type": "python"}}}, 'data.source.type: "python"; expected EVERTRAIN_ALLOW_PYTHON_SOURCES=1'),
        ({"labels": {"source": {"type": "python"}}}, 'labels.source.type: "python"; expected EVERTRAIN_ALLOW_PYTHON_SOURCES=1'),
        ({"data": {"target": "y", "weight": "y"}}, 'data.weight: "y" is the target already; expected another column'),
        ({"data": {"target": "y", "timestamp": "y"}}, 'data.timestamp: "y" is the target already'),
        ({"data": {"timestamp": "t", "weight": "t"}}, 'data.weight: "t" is the timestamp already'),
        ({"data": {"target": "y", "features": {"numeric": ["a", "y"]}}}, 'data.features.numeric[1]: "y" is the target already'),
        ({"data": {"weight": "w", "features": {"categorical": ["w"]}}}, 'data.features.categorical[0]: "w" is the weight already'),
        ({"data": {"target": "y", "entity": ["y"]}}, 'data.entity[0]: "y" is the target already'),
        ({"data": {"entity": ["a", "a"]}}, 'data.entity[1]: "a" is among the entity already'),
        ({"data": {"features": {"numeric": ["a"], "datetime": ["a"]}}}, 'data.features.datetime[0]: "a" is among the features already'),
        ({"evaluation": {"slices": ["a", "b", "a"]}}, 'evaluation.slices[2]: "a" is among the slices already'),
        ({"data": {"window": {"train": "1d"}}}, "data.window: a window without data.timestamp; expected data.timestamp too"),
        ({"data": {"entity": ["a"], "timestamp": "t"}, "labels": {**LABELS, "join": ["a", "b"]}}, 'labels.join[1]: "b"; expected a column of data.entity or data.timestamp (a, t)'),
        ({"data": {"entity": ["a"]}, "labels": {**LABELS, "join": ["a", "a"]}}, 'labels.join[1]: "a" is among the join already'),
        ({"data": {}, "labels": {**LABELS, "join": ["a"]}}, 'labels.join[0]: "a"; expected prediction_id'),
        ({"data": {"entity": ["a"]}, "labels": {**LABELS, "join": ["a"], "column": "a"}}, 'labels.join[0]: "a" is the labels\' column already'),
        ({"labels": {**LABELS, "join": "prediction_id", "column": "a", "arrived_at": "a"}}, 'labels.arrived_at: "a" is the labels\' column; expected another'),
        ({"data": {"entity": ["a"]}, "labels": {**LABELS, "join": ["a"], "delay": "1d"}}, "labels.delay: a delay without data.timestamp; expected data.timestamp, from which it counts"),
        ({"data": {}, "labels": {**LABELS, "join": []}}, "labels.join: []; expected prediction_id, or columns"),
        ({"validation": {"expectations": [{"type": "expect_column_values_to_be_nul"}]}}, "validation.expectations[0].type: "),
        ({"validation": {"expectations": [{"type": "expect_column_values_to_be_null", "colum": 1, "column": "a"}]}}, "(did you mean column?)"),
        ({"validation": {"expectations": [{"type": "expect_column_values_to_be_null"}]}}, "validation.expectations[0].column: nothing; expected a value"),
        ({**judged("regression"), "training": {"class_weight": "balanced"}}, 'training.class_weight: "balanced"; expected none: regression has no classes'),
        ({**judged("regression"), "training": {"calibration": "sigmoid"}}, 'training.calibration: "sigmoid"; expected none'),
        (search(low=2, high=1), "training.search.space.a.low: 2; expected less than high (1)"),
        (search(low=1, high=1.0), "training.search.space.a.low: 1; expected less than high (1.0)"),
        (search(low=0, high=1, log=True), "training.search.space.a.low: 0; expected over 0, as log is true"),
        (judged("regression", metrics=["r2", "f1"]), 'evaluation.metrics[1]: "f1"; expected one that fits regression: mean_absolute_error'),
        (judged("multiclass_classification", gates=[{"type": "threshold", "metric": "r2"}]), 'evaluation.gates[0].metric: "r2"; expected one that fits'),
        ({**judged("regression"), "drift": {"performance": {"metric": "f1"}}}, 'drift.performance.metric: "f1"; expected'),
        ({**judged("regression"), "drift": {"regret": {"metric": "f1"}}}, 'drift.regret.metric: "f1"; expected'),
        ({**judged("regression"), "promotion": {"strategy": {"type": "ab", "metric": "f1"}}}, 'promotion.strategy.metric: "f1"; expected'),
        (judged("regression", metrics=["r2", "r2"]), 'evaluation.metrics[1]: "r2" is listed already; expected each metric once'),
        (judged("regression", gates=[{"type": "threshold", "min": 2, "max": 1}]), "evaluation.gates[0].min: 2; expected at most max (1)"),
        (canary(50, 25, 100), "promotion.strategy.steps: [50, 25, 100]; expected steps that rise"),
        (canary(50, 50, 100), "promotion.strategy.steps: [50, 50, 100]; expected steps that rise"),
        (canary(5, 50), "promotion.strategy.steps: [5, 50]; expected 100 as the last step"),
        ({"drift": {"confirm": {"checks": 3, "of": 2}}}, "drift.confirm.checks: 3; expected at most of (2)"),
        ({"drift": {"confirm": {"checks": 2}}}, "drift.confirm.checks: 2; expected at most of (1)"),
        ({"drift": {"confirm": {"of": 201}}}, "drift.confirm.of: 201; expected at most 200, the checks that"),
        ({"drift": {"max_age": "30d"}}, 'drift.max_age: "30d"; expected nothing, for it needs data.timestamp'),
        ({"drift": {"min_new_labels": 5}}, "drift.min_new_labels: 5; expected nothing, for it needs data.times"),
        ({"schedule": {"timezone": "Mars/Olympus"}}, 'schedule.timezone: "Mars/Olympus"; expected an IANA time zone'),
        ({"schedule": {"timezone": "America"}}, 'schedule.timezone: "America"; expected an IANA time zone'),
        ({"schedule": {"timezone": "../etc/passwd"}}, "expected an IANA time zone"),
        ({"schedule": {"train": "@daily"}}, 'schedule.train: "@daily"; expected cron\'s five fields'),
        ({"drift": {"schedule": "0 25 * * *"}}, 'drift.schedule: "0 25 * * *"; expected hour as'),
        ({"batch": {"schedule": "x", "input": "a", "output": "b.csv"}}, "batch.schedule: "),
        ({"batch": {"input": "a"}}, "batch.output: "),
        ({"batch": {"schedule": "0 5 * * *", "output": "b.csv"}}, "batch.input: "),
    ],
)  # fmt: skip
def test_a_broken_rule_is_one_fault(raw, line):
    """With its path, what was found, what is allowed."""
    (found,) = lines_of(raw)

    assert line in found


@pytest.mark.parametrize(
    "raw",
    [
        {
            "data": {
                "target": "y",
                "timestamp": "t",
                "entity": ["a"],
                "features": {"numeric": ["a"], "datetime": ["t"]},
            }
        },
        {"data": {"timestamp": "t", "window": {}}},
        {"data": {"entity": ["a"], "timestamp": "t"}, "labels": {"join": ["t", "a"]}},
        {"labels": {"join": "prediction_id", "delay": "1d"}},
        {"data": {"entity": ["a"]}, "labels": {"join": ["a"], "delay": "0h"}},
        {"data": {"entity": ["a"]}, "labels": {"join": ["a"], "delay": "1d", "arrived_at": "t"}},
        {
            **judged("binary_classification"),
            "training": {"class_weight": "balanced", "calibration": "isotonic"},
        },
        {**judged("regression"), "training": {"class_weight": "none"}},
        search(low=0, high=1, log=False),
        judged("regression", gates=[{"type": "beats_champion", "metric": "root_mean_squared_error"}]),
        judged("regression", gates=[{"type": "threshold", "min": 1, "max": 1}]),
        judged("nonsense", metrics=["r2", "f1"]),
        canary(1, 100.0),
        {"promotion": {"strategy": {"type": "canary"}}},
        {"drift": {"confirm": {"checks": 2, "of": 3}}},
        {"drift": {"confirm": {"checks": 168, "of": 200}, "min_new_labels": 0, "max_age": None}},
        {"schedule": {"timezone": "Europe/Berlin", "train": "0 3 * * 1"}},
        {"schedule": {"timezone": "UTC", "train": None}},
    ],
)
def test_what_keeps_the_rules_has_no_fault(raw):
    """An entity may be a feature, a timestamp a datetime feature."""
    assert lines_of(raw) == []


def test_a_python_source_may_be_allowed():
    """By the environment, never by the YAML."""
    settings = read_settings({"EVERTRAIN_ALLOW_PYTHON_SOURCES": "1"})

    assert find_rule_faults({"data": {"source": {"type": "python"}}}, settings) == []


WRONG = [
    None,
    True,
    5,
    -1.5,
    "x",
    "",
    [],
    [None],
    [[1]],
    [5, "x", {}],
    {},
    {"a": None},
    {"type": 5},
    {"type": []},
]
SECTIONS = (
    "data",
    "labels",
    "validation",
    "training",
    "evaluation",
    "promotion",
    "drift",
    "schedule",
    "batch",
)
KEYS = (
    *(
        "source",
        "target",
        "entity",
        "features",
        "weight",
        "timestamp",
        "window",
        "join",
        "expectations",
        "search",
    ),
    *(
        "task",
        "metrics",
        "slices",
        "gates",
        "strategy",
        "confirm",
        "max_age",
        "performance",
        "schedule",
        "train",
        "timezone",
    ),
)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_no_rule_stumbles_over_a_wrong_type(rule, wrong):
    """What isn't of the right type is the types' concern, wherever it stands."""
    inner = dict.fromkeys(("type", "metric", "steps", "space", "numeric", "checks", "of"), wrong)
    for section in (wrong, dict.fromkeys(KEYS, wrong), dict.fromkeys(KEYS, inner)):
        assert isinstance(list(rule(dict.fromkeys(SECTIONS, section), SETTINGS)), list)
