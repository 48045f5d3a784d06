"""The typed configuration: the contract's defaults, strict types, the digest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evertrain.config import PipelineConfig
from evertrain.gates import BeatsChampion, NotWorse, SignatureGate
from evertrain.metrics import CLASSIFICATION, metrics_for
from evertrain.strategies import Direct


def make_raw(task: str = "binary_classification", **sections: Any) -> dict[str, Any]:
    """Give a YAML of the required keys only, as it is read, and *sections* beside them."""
    data = {"source": {"type": "files", "uri": "a.csv"}, "target": "y"}
    training = {"estimator": "sklearn.tree.DecisionTreeClassifier"}
    return {"name": "p", "data": data, "training": training, "evaluation": {"task": task}, **sections}


def read(raw: dict[str, Any]) -> PipelineConfig:
    return PipelineConfig.model_validate(raw)


def test_what_is_left_out_has_the_contracts_default():
    """The paragraph "Defaults" of the contract, line by line."""
    config = read(make_raw())
    data, training, drift = config.data, config.training, config.drift

    assert (data.features, data.positive, data.window, data.timestamp) == (None, None, None, None)
    assert (data.query, data.entity, data.weight, config.labels) == (None, (), None, None)
    assert (config.validation.expectations, config.validation.on_failure) == ((), "stop")
    assert config.validation.max_quarantine_share == 0.05
    assert (training.params, training.search, training.seed) == ({}, None, 0)
    assert (training.class_weight, training.calibration) == ("none", "none")
    assert training.timeout == timedelta(hours=1)
    assert config.evaluation.slices == ()
    assert config.promotion.strategy == Direct()
    assert config.promotion.guardrails.model_dump() == {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
    assert (config.promotion.approval, config.promotion.allow_signature_change) == ("none", False)
    assert config.serving.model_dump() == {"log_predictions": True, "sample": 1.0}
    assert config.batch.model_dump() == {"schedule": None, "input": None, "output": None}
    assert (drift.schedule, drift.reference, drift.max_share) == (None, "training", 0.3)
    assert drift.current.model_dump(by_alias=True) == {"from": "source", "window": "7d", "min_rows": 500}
    assert drift.confirm.model_dump() == {"checks": 1, "of": 1}
    assert (drift.cooldown, drift.retrain_on) == (timedelta(hours=24), ("data",))
    assert (drift.performance, drift.regret) == (None, None)
    assert (config.schedule.train, config.schedule.timezone, config.notify) == (None, "UTC", ())


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("binary_classification", ("roc_auc", "log_loss")),
        ("multiclass_classification", ("accuracy", "log_loss")),
        ("regression", ("mean_absolute_error", "r2")),
    ],
)
def test_metrics_and_gates_default_by_the_task(task, metrics):
    """The first metric must be beaten, the second not worse, the signature kept."""
    config = read(make_raw(task))

    assert config.evaluation.metrics == metrics
    assert config.primary_metric == metrics[0]
    assert config.evaluation.gates == (
        BeatsChampion(type="beats_champion", metric=metrics[0]),
        NotWorse(type="not_worse", metric=metrics[1]),
        SignatureGate(type="signature"),
    )


def test_default_gates_follow_the_metrics_that_are_named():
    """With one metric there is no second to be not worse in."""
    config = read(make_raw(evaluation={"task": "regression", "metrics": ["r2"]}))

    assert [gate.type for gate in config.evaluation.gates] == ["beats_champion", "signature"]


def test_no_gates_are_no_gates():
    """An empty list isn't replaced by the default."""
    assert read(make_raw(evaluation={"task": "regression", "gates": []})).evaluation.gates == ()


def test_a_section_whose_lines_are_commented_out_is_empty():
    """YAML reads it as null."""
    sections = ("labels", "validation", "promotion", "serving", "batch", "drift", "schedule", "notify")

    assert read(make_raw(**dict.fromkeys(sections))) == read(make_raw())


def test_an_integral_float_is_the_integer_and_an_integer_a_float():
    """5.0 is 5 steps, 1 is a share of 1.0."""
    strategy = {"type": "canary", "steps": [5.0, 100]}
    config = read(make_raw(promotion={"strategy": strategy}, serving={"sample": 1}))

    assert repr(config.promotion.strategy.steps) == "(5, 100)"
    assert repr(config.serving.sample) == "1.0"


@pytest.mark.parametrize(
    "sections",
    [
        {"serving": {"log_predictions": 1}},
        {"serving": {"log_predictions": "true"}},
        {"serving": {"sample": "1"}},
        {"serving": {"sample": True}},
        {"promotion": {"strategy": {"type": "canary", "steps": ["5", 100]}}},
        {"promotion": {"strategy": {"type": "canary", "steps": [5.5, 100]}}},
        {"promotion": {"strategy": {"type": "ab", "metric": "roc_auc", "share": True}}},
        {"drift": {"current": {"min_rows": "5"}}},
        {"description": 5},
        {"notify": "webhook"},
        {"batch": []},
        5,
    ],
)
def test_nothing_is_coerced(sections):
    """A quoted 5 is not 5, 1 is not true, text is no list."""
    with pytest.raises(ValidationError):
        read(make_raw(**sections) if isinstance(sections, dict) else sections)


DURATIONS = st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 99), st.sampled_from("smhd"))
SHARES = st.floats(0, 1)
METRICS = st.sampled_from(metrics_for(CLASSIFICATION[0]))
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
LABELS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES
GATES = st.one_of(
    st.fixed_dictionaries({"type": st.just("threshold"), "metric": METRICS, "min": SHARES}),
    st.fixed_dictionaries({"type": st.just("latency"), "p99_ms": st.integers(1, 99)}),
    st.just({"type": "signature"}),
)
STRATEGIES = st.one_of(
    st.just({"type": "direct"}),
    st.fixed_dictionaries({"type": st.just("blue_green"), "keep_warm": DURATIONS}),
    st.fixed_dictionaries({"type": st.just("canary")}, optional={"bake": DURATIONS}),
)
SPACES = st.fixed_dictionaries({"type": st.just("categorical"), "choices": st.lists(LABELS, min_size=1)})
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(max_size=9),
        "data": st.fixed_dictionaries(
            {"source": st.just({"type": "files", "uri": "a.csv"}), "target": NAMES},
            optional={
                "positive": LABELS,
                "entity": st.lists(NAMES),
                "window": st.just({"train": "2d", "holdout": "1h"}),
            },
        ),
        "evaluation": st.fixed_dictionaries(
            {"task": st.sampled_from(CLASSIFICATION)},
            optional={"metrics": st.lists(METRICS, min_size=1), "gates": st.lists(GATES)},
        ),
        "training": st.fixed_dictionaries(
            {"estimator": st.just("a.B")},
            optional={
                "search": st.fixed_dictionaries(
                    {
                        "trials": st.integers(1),
                        "space": st.just({"c": {"type": "int", "low": 1, "high": 2}})
                        | st.dictionaries(NAMES, SPACES, min_size=1, max_size=2),
                    }
                ),
                "params": st.dictionaries(NAMES, LABELS | st.none() | st.lists(LABELS)),
            },
        ),
        "promotion": st.fixed_dictionaries(
            {}, optional={"strategy": STRATEGIES, "approval": st.just("required")}
        ),
        "drift": st.fixed_dictionaries(
            {},
            optional={
                "max_share": SHARES,
                "cooldown": DURATIONS,
                "current": st.just({"from": "predictions"}),
            },
        ),
        "validation": st.just({"expectations": [{"type": "expect_x", "column": "a", "min_value": None}]}),
    },
)


@given(SECTIONS)
def test_a_configuration_survives_json(sections):
    """What is written as JSON reads as the same configuration, with the same digest."""
    config = read(make_raw(**sections))
    again = PipelineConfig.model_validate_json(config.model_dump_json(by_alias=True))

    assert again == config
    assert again.digest() == config.digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"description": "x"},
        {"owner": "x"},
        {"notify": [{"type": "slack", "url_env": "X"}]},
        {"schedule": {"train": "0 3 * * 1", "timezone": "Europe/Berlin"}},
        {"drift": {"schedule": "0 3 * * 1"}},
        {"batch": {"schedule": "0 3 * * 1"}},
        {"serving": {"sample": 1}},
        {"drift": {"cooldown": "1d"}},
    ],
)
def test_what_changes_no_outcome_changes_no_digest(sections):
    """Words, addressees, schedules, and another spelling of the same."""
    assert read(make_raw(**sections)).digest() == read(make_raw()).digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"name": "q"},
        {"serving": {"sample": 0.5}},
        {"drift": {"cooldown": "2d"}},
        {"batch": {"input": "x"}},
        {"training": {"estimator": "sklearn.tree.DecisionTreeClassifier", "seed": 1}},
        {"training": {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 3}}},
        {"evaluation": {"task": "binary_classification", "gates": []}},
        {"promotion": {"strategy": {"type": "blue_green"}}},
        {"validation": {"expectations": [{"type": "expect_x"}]}},
    ],
)
def test_all_else_changes_the_digest(sections):
    """A run key of before is no key of now."""
    assert read(make_raw(**sections)).digest() != read(make_raw()).digest()


def test_a_configuration_is_frozen():
    """What was checked stays as it was checked."""
    with pytest.raises(ValidationError, match="frozen"):
        read(make_raw()).name = "q"


def test_features_are_named_numeric_ones_first():
    """The order in which a model takes them."""
    data = {**make_raw()["data"], "features": {"datetime": ["c"], "categorical": ["b"], "numeric": ["a"]}}

    assert read(make_raw(data=data)).data.features.names == ("a", "b", "c")
