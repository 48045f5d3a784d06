"""The plan that ``check`` shows."""

from __future__ import annotations

from typing import Any

import pytest

from evertrain.config import PipelineConfig
from evertrain.config.plans import Plan, build_plan
from evertrain.errors import ConfigError
from evertrain.settings import read_settings

SETTINGS = read_settings({})
LABELS = {"source": {"type": "files", "uri": "l.csv"}, "column": "z", "delay": "1d"}
FILES = "CSV, Parquet or JSON lines: a local path or glob, or an object's address such as s3://bucket/*.csv"
TREE = "sklearn.tree.DecisionTreeClassifier"


def plan_of(**sections: Any) -> Plan:
    """Plan a small pipeline; a mapping in *sections* is put into that section."""
    raw: dict[str, Any] = {
        "name": "p",
        "data": {"source": {"type": "files", "uri": "a.csv"}, "target": "y"},
        "training": {"estimator": TREE, "params": {"max_depth": 3}, "seed": 7},
        "evaluation": {"task": "binary_classification"},
    }
    for name, section in sections.items():
        raw[name] = {**raw.get(name, {}), **section}
    return build_plan(PipelineConfig.model_validate(raw), SETTINGS)


def test_a_plan_is_json():
    """`check --json` prints it."""
    plan = plan_of()

    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.pipeline == "p"


def test_effective_parameters_hold_the_defaults_and_the_seed():
    """What the estimator will really be given."""
    parameters = plan_of().parameters

    assert (parameters["max_depth"], parameters["criterion"], parameters["random_state"]) == (3, "gini", 7)
    assert plan_of(training={"params": {"random_state": 1}}).parameters["random_state"] == 1
    assert (
        "random_state"
        not in plan_of(training={"estimator": "sklearn.naive_bayes.GaussianNB", "params": {}}).parameters
    )


def test_parameters_that_json_cannot_say_are_spelled():
    """Infinity, and objects."""
    training = {"estimator": "sklearn.linear_model.RANSACRegressor", "params": {"stop_n_inliers": 5}}
    parameters = plan_of(training=training, evaluation={"task": "regression"}).parameters

    assert (parameters["stop_score"], parameters["stop_n_inliers"]) == ("inf", 5)
    mlp = {"estimator": "sklearn.neural_network.MLPClassifier", "params": {}}
    assert plan_of(training=mlp).parameters["hidden_layer_sizes"] == [100]


def test_an_estimator_that_is_not_found_has_no_plan():
    """Exit 2."""
    with pytest.raises(ConfigError, match=r"training\.estimator"):
        plan_of(training={"estimator": "sklearn.tree.Tree"})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {"timestamp": "t", "window": {"train": "60d", "holdout": "24h"}},
            "the newest 1d before as-of are held out, the 60d before them are learnt from",
        ),
        ({"timestamp": "t"}, "the newest 20 % by t are held out"),
        ({"entity": ["a", "b"]}, "about 20 % are held out, by SHA-256 of a, b"),
        ({}, "by SHA-256 of all source columns"),
    ],
)
def test_the_split_is_said_in_words(data, words):
    """As the contract defines it."""
    assert words in plan_of(data=data).split


def test_features_are_listed_by_kind_or_left_to_the_data():
    """Kinds without a feature are left out."""
    assert plan_of().features is None
    assert plan_of(data={"features": {"numeric": ["a", "b"]}}).features == {"numeric": ("a", "b")}


def test_gates_strategy_and_source_are_said_with_their_arguments_and_manual():
    """A kind's docstring is its manual."""
    gates = [{"type": "threshold", "metric": "roc_auc", "min": 0.5}, {"type": "signature"}]
    plan = plan_of(evaluation={"gates": gates}, promotion={"strategy": {"type": "blue_green"}})

    assert plan.gates[0].startswith('threshold (metric "roc_auc", min 0.5): Passes if')
    assert plan.gates[1].startswith("signature: Fails if a feature is added")
    assert plan_of().gates[0].endswith(": equal models don't pass")
    assert plan.strategy.startswith('blue_green (keep_warm "15m"): The new version')
    assert plan.source.startswith('files (uri "a.csv"): ')


def test_each_limit_of_the_policy_is_said_where_it_is_set():
    """Budget, labels, age and one cause, by their names; none where the YAML says nothing."""
    policy = {
        "budget": {"retrains": 4, "per": "30d"},
        "min_new_labels": 5_000,
        "max_age": "90d",
        "rearm": {"growth": 0.5},
    }
    drift = plan_of(data={"timestamp": "t"}, drift=policy).drift

    assert drift.endswith(
        "cooldown 1d; budget 4 retrains in 30d; minimum of new labels 5,000; maximum age 90d; "
        "one cause again once it was gone, or grew to 1.5 times what was answered"
    )


def test_validation_drift_schedule_and_serving_are_said():
    """Each in a line."""
    plan = plan_of(
        validation={"expectations": [{"type": "expect_x", "column": "a"}]},
        drift={"schedule": "0 * * * *", "retrain_on": []},
        schedule={"train": "0 3 * * 1", "timezone": "Europe/Berlin"},
        serving={"log_predictions": False},
    )

    assert plan.validation == ('expect_x {"column": "a"}', "on failure: stop")
    assert plan.drift.startswith("0 * * * * (Europe/Berlin); the newest 7d of source (500 rows at least)")
    assert plan.drift.endswith("retrain on nothing, cooldown 1d")
    assert plan.schedule == "0 3 * * 1 (Europe/Berlin)"
    assert plan.serving == "predictions are not logged"
    assert (plan_of().validation, plan_of().schedule) == ((), "no schedule")
    assert plan_of().serving == "predictions are logged, 100% of them"


def test_late_labels_are_said_with_how_they_are_joined_and_when_they_are_known():
    """Whoever reads the plan sees whether labels replace the target, or only tell of the answers."""
    joined = plan_of(data={"entity": ["a"], "timestamp": "t"}, labels={**LABELS, "join": ["a", "t"]})
    told = plan_of(labels={**LABELS, "join": "prediction_id", "arrived_at": "told"})

    source = f'z of files (uri "l.csv"): {FILES}'
    assert joined.labels == f"{source}; in the place of y, joined by a, t; known 1d after the row's time"
    assert told.labels == (
        f"{source}; joined to the service's answers by prediction_id, beside those of the feedback route; "
        "known once told has passed"
    )
    assert plan_of().labels is None


@pytest.mark.parametrize(
    ("sections", "warnings"),
    [
        ({}, ()),
        ({"data": {"query": "SELECT *, a > 1 AS y FROM source"}}, ()),
        ({"data": {"query": "SELECT *, a > 1 AS y FROM source", "features": {"numeric": ["a"]}}}, ()),
        (
            {
                "data": {
                    "query": "SELECT *, a + 1 AS b, 1 AS c FROM source",
                    "features": {"numeric": ["a", "b"]},
                }
            },
            ("data.query computes the feature b: callers must send it as it stands after the query",),
        ),
        (
            {"data": {"query": "SELECT *, a + 1 AS b, a > 1 AS y FROM source"}},
            ("data.query computes the feature b: callers must send it as it stands after the query",),
        ),
        (
            {"drift": {"retrain_on": ["data", "performance"]}},
            ("drift.retrain_on names performance, but drift.performance is not given: it starts nothing",),
        ),
        (
            {"drift": {"regret": {"metric": "roc_auc"}}},
            ("drift.regret needs data.window.train to know what its probe learns from",),
        ),
        (
            {"data": {"positive": "a"}, "evaluation": {"task": "multiclass_classification"}},
            ("data.positive has no meaning for multiclass_classification",),
        ),
        (
            {"drift": {"current": {"from": "predictions"}}, "serving": {"log_predictions": False}},
            ("drift.current.from is predictions, but serving.log_predictions is false: none will be there",),
        ),
        (
            {
                "data": {"entity": ["a"], "timestamp": "t"},
                "labels": {**LABELS, "join": ["a"], "arrived_at": "told"},
            },
            (
                "labels.delay has no meaning beside labels.arrived_at",
                "labels.join is without t: all rows of one a have one label",
            ),
        ),
    ],
)
def test_what_to_beware_of_is_warned_of(sections, warnings):
    """Features that the query computes, and settings that do nothing."""
    assert plan_of(**sections).warnings == warnings
