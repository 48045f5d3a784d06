"""pydantic's complaints, told as faults of the YAML."""

# ruff: noqa: E501 - a row of a table is a line
from __future__ import annotations

from typing import Any

import pytest

from evertrain.config.type_faults import parse_config

METRICS = (
    "accuracy, balanced_accuracy, f1, roc_auc, average_precision, log_loss, brier_score_loss, "
    "mean_absolute_error, root_mean_squared_error, mean_absolute_percentage_error, r2"
)
GATES = "beats_champion, latency, not_worse, signature, slices, threshold"


def make_raw(**sections: Any) -> dict[str, Any]:
    data = {"source": {"type": "files", "uri": "a.csv"}, "target": "y"}
    training = {"estimator": "sklearn.tree.DecisionTreeClassifier"}
    raw = {"name": "p", "data": data, "training": training, "evaluation": {"task": "regression"}}
    for name, section in sections.items():
        raw[name] = {**raw.get(name, {}), **section} if isinstance(section, dict) else section
    return raw


def faults_of(raw: dict[str, Any]) -> list[str]:
    return [fault.line for fault in parse_config(raw)[1]]


def test_a_sound_configuration_has_no_faults():
    """And is given typed."""
    config, faults = parse_config(make_raw())

    assert config is not None
    assert (config.name, faults) == ("p", [])


@pytest.mark.parametrize("raw", [{}, {"data": None, "training": None, "evaluation": None}])
def test_each_required_key_is_named_with_an_example(raw):
    """All five, whether their sections are there or not."""
    assert faults_of(raw) == [
        "name: missing; expected text like ^[a-z][a-z0-9_-]{0,62}$, such as flights",
        "data.source: missing; expected a mapping whose type is one of files, python, sql, "
        'such as {type: files, uri: "data/flights/*.parquet"}',
        "data.target: missing; expected text, such as late",
        "training.estimator: missing; expected text like ^[A-Za-z_]\\w*(\\.[A-Za-z_]\\w*)+$, "
        "such as sklearn.ensemble.HistGradientBoostingClassifier",
        "evaluation.task: missing; expected one of binary_classification, multiclass_classification, regression",
    ]


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"name": "Flights"}, 'name: "Flights"; expected text like ^[a-z][a-z0-9_-]{0,62}$, such as flights'),
        ({"nmae": 1}, "nmae: unknown key; expected one of"),
        ({"data": {"tagret": 1}}, "(did you mean target?)"),
        ({"data": 5}, "data: 5; expected a mapping of source, query, timestamp"),
        ({"data": {"source": "a.csv"}}, 'data.source: "a.csv"; expected a mapping whose type is one of files, python, sql'),
        ({"data": {"source": {"uri": "a"}}}, "data.source.type: missing; expected one of files, python, sql"),
        ({"data": {"source": {"type": "file"}}}, 'data.source.type: "file"; expected one of files, python, sql'),
        ({"data": {"source": {"type": "files", "url": "a", "uri": "b"}}}, "data.source.url: unknown key; expected one of type, uri (did you mean uri?)"),
        ({"data": {"source": {"type": "files", "uri": "b", "files": 1}}}, "data.source.files: unknown key; expected one of type, uri"),
        ({"data": {"target": None}}, "data.target: null; expected text, such as late"),
        ({"data": {"target": ""}}, 'data.target: ""; expected text, such as late'),
        ({"data": {"positive": [1]}}, "data.positive: [1]; expected true or false or a whole number or a number or text or null"),
        ({"data": {"entity": "a"}}, 'data.entity: "a"; expected a list'),
        ({"data": {"entity": ["a", 5]}}, "data.entity[1]: 5; expected text, such as late"),
        ({"data": {"window": {"train": "5 days", "holdout": "1d"}}}, 'data.window.train: "5 days"; expected a duration such as 30s, 10m, 24h or 30d'),
        ({"data": {"window": {"train": "0d", "holdout": "1d"}}}, 'data.window.train: "0d"; expected a duration over 0s'),
        ({"training": {"seed": -1}}, "training.seed: -1; expected a whole number from 0 to 4294967295"),
        ({"training": {"class_weight": "x"}}, 'training.class_weight: "x"; expected one of none, balanced'),
        ({"training": {"search": {"trials": 0, "space": {"a": {"type": "int", "low": 1, "high": 2}}}}}, "training.search.trials: 0; expected a whole number from 1"),
        ({"training": {"search": {"trials": 1, "space": {"a": {"type": "int", "low": 1}}}}}, "training.search.space.a.high: missing; expected a whole number"),
        ({"training": {"search": {"trials": 1, "space": {"a b": {"type": "int", "low": 1, "hi": 2, "high": 3}}}}}, 'training.search.space["a b"].hi: unknown key'),
        ({"training": {"search": {"trials": 1, "space": {}}}}, "training.search.space: {}; expected a mapping of at least 1"),
        ({"evaluation": {"metrics": []}}, "evaluation.metrics: []; expected a list of at least 1"),
        ({"evaluation": {"metrics": ["auc"]}}, f'evaluation.metrics[0]: "auc"; expected one of {METRICS}'),
        ({"evaluation": {"gates": [5]}}, f"evaluation.gates[0]: 5; expected a mapping whose type is one of {GATES}"),
        ({"evaluation": {"gates": [{"type": "threshold", "metric": "r2"}]}}, 'evaluation.gates[0]: {"type": "threshold", "metric": "r2"}; expected min or max'),
        ({"evaluation": {"gates": [{"type": "latency"}]}}, "evaluation.gates[0].p99_ms: missing; expected a number over 0"),
        ({"promotion": {"strategy": "direct"}}, "such as {type: direct}"),
        ({"promotion": {"strategy": {"type": "canary", "steps": [150]}}}, "promotion.strategy.steps[0]: 150; expected a whole number from 1 to 100"),
        ({"promotion": {"allow_signature_change": 1}}, "promotion.allow_signature_change: 1; expected true or false"),
        ({"drift": {"current": {"from": "x"}}}, 'drift.current.from: "x"; expected one of source, predictions'),
        ({"drift": {"current": {"from_": "source"}}}, "drift.current.from_: unknown key"),
        ({"drift": {"regret": {"metric": "r2", "confidence": 95}}}, "drift.regret.confidence: 95; expected a number over 0.5 and under 1"),
        ({"labels": {"source": {"type": "files", "uri": "a"}, "column": "a", "join": "id"}}, 'labels.join: "id"; expected prediction_id or a list'),
        ({"labels": {"source": {"type": "files", "uri": "a"}, "column": "a", "join": [1]}}, "labels.join[0]: 1; expected text"),
        ({"validation": {"expectations": [{"type": "X"}]}}, 'validation.expectations[0].type: "X"; expected text like ^expect_'),
        ({"notify": [{"type": "webhook", "url_env": "https://a:b@c"}]}, "notify[0].url_env: not a variable's name; expected text like"),
        ({"training": {"params": 5}}, "training.params: 5; expected a mapping"),
    ],
)  # fmt: skip
def test_a_fault_says_where_what_and_what_is_allowed(sections, line):
    """In the YAML's own words, without the library's."""
    (found,) = faults_of(make_raw(**sections))

    assert line in found


def test_a_stray_type_hides_no_fault():
    """Only where kinds are told apart by their type does it name one."""
    lines = faults_of(make_raw(drift={"type": "confirm", "confirm": 5}))

    assert [line.partition(";")[0] for line in lines] == ["drift.confirm: 5", "drift.type: unknown key"]


def test_every_fault_is_found_in_one_go():
    """Also those that stand beside each other in one union."""
    strategy = {"type": "canary", "steps": [0, 50.0, "5", 150, True], "bak": 1}
    lines = faults_of(make_raw(promotion={"strategy": strategy}, evaluation={"task": "x"}, name=None))

    assert [line.partition(":")[0] for line in lines] == [
        "name",
        "evaluation.task",
        *(f"promotion.strategy.steps[{place}]" for place in (0, 2, 3, 4)),
        "promotion.strategy.bak",
    ]
