"""What is counted of the rows that were answered."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from evertrain.bundle_files import Golden
from evertrain.predictions import Prediction
from evertrain.serving_plan import ServingPlan
from serving.fleet import Fleet, Served
from serving.metrics import KEPT_VERSIONS, ServiceMetrics
from serving.row_counts import MOST_ANSWERS, REST, seen_categories

CARRIERS = {"carrier": {"categories": ["AA", "UA"]}}
ROWS = {
    "distance": [100.0, None, 300],
    "carrier": ["UA", None, "ZZ"],
    "night flight": [True, False, None],
    "departs": ["2013-01-31T05:00:00Z", None, None],
}
LATE = Prediction(codes=np.array([1, 1, 0]))


@pytest.fixture
def metrics():
    return ServiceMetrics(Fleet())


LABELS = ("model", "version", "arm", "feature", "expectation", "answer", "code", "kind")


@pytest.fixture
def told(metrics):
    """The samples of one metric, by its labels' values in the order of LABELS."""

    def read(name):
        families = text_string_to_metric_families(metrics.render().decode())
        return {
            tuple(sample.labels[label] for label in LABELS if label in sample.labels): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }

    return read


@pytest.fixture
def served(bundle_of):
    def make(version=3, statistics=CARRIERS, **changed):
        bundle = dataclasses.replace(bundle_of(), statistics=statistics, **changed)
        return Served("flights", version, 2, bundle)

    return make


def test_answers_are_counted_by_class(metrics, told, served):
    """Each row adds one to its class, under the version and the arm that answered."""
    metrics.observe_rows(served(), "stable", ROWS, LATE)
    metrics.observe_rows(served(4), "canary", ROWS, LATE)

    found = told("evertrain_predictions_total")

    assert found["flights", "3", "stable", "Yes"] == 2
    assert found["flights", "3", "stable", "No"] == 1
    assert found["flights", "4", "canary", "Yes"] == 2


def test_what_a_model_rarely_saw_is_counted(metrics, told, served):
    """Null values and categories that training didn't have, by feature; the others stand at 0."""
    model = served()
    metrics.observe_rows(model, "stable", ROWS, LATE)
    metrics.observe_rows(model, "stable", {name: values[:1] for name, values in ROWS.items()}, LATE)

    assert told("evertrain_missing_values_total") == {
        ("flights", "distance"): 1,
        ("flights", "carrier"): 1,
        ("flights", "night flight"): 1,
        ("flights", "departs"): 2,
    }
    assert told("evertrain_unseen_categories_total") == {("flights", "carrier"): 1}


def test_arrays_are_counted_as_lists_are(metrics, told, served):
    """Columns that came as tensors: NaN is a missing number, an object array's None a missing text."""
    columns = {
        "distance": np.array([1.0, np.nan, np.nan], dtype=np.float32),
        "carrier": np.array(["UA", None, "ZZ"], dtype=object),
        "night flight": np.array([True, False, True]),
        "departs": np.array(["2013-01-31T05:00:00Z", None, None], dtype=object),
    }
    metrics.observe_rows(served(), "stable", columns, LATE)

    missing = told("evertrain_missing_values_total")
    assert [missing["flights", name] for name in columns] == [2, 1, 0, 2]
    assert told("evertrain_unseen_categories_total")["flights", "carrier"] == 1


@pytest.mark.parametrize("sent", [["1"], [1], [1.0]])
def test_a_category_is_known_by_its_spelling(sent, metrics, told, served):
    """1, 1.0 and "1" are one category, seen if any of them was."""
    columns = ROWS | {"carrier": sent}
    metrics.observe_rows(served(statistics={"carrier": {"categories": ["1"]}}), "stable", columns, LATE)

    assert told("evertrain_unseen_categories_total")["flights", "carrier"] == 0


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"categories": ["a"], "distinct": 1, "top": {"a": 1.0}}, {"a"}),
        ({"distinct": 2, "top": {"a": 0.5, "b": 0.5}}, {"a", "b"}),
        ({"distinct": 500, "top": {"a": 0.5, "b": 0.5}}, None),
        ({}, None),
    ],
)
def test_only_whole_lists_of_categories_are_used(facts, expected, served):
    """A bundle without all of them can't say what is unseen; an old one's most frequent may be all."""
    found = seen_categories(served(statistics={"carrier": facts}).bundle, "carrier")
    assert found == (None if expected is None else frozenset(expected))


def test_nothing_is_called_unseen_where_that_is_not_known(metrics, told, served):
    """No series rather than a false one; what is missing is counted still."""
    metrics.observe_rows(served(statistics={}), "stable", ROWS, LATE)

    assert told("evertrain_unseen_categories_total") == {}
    assert told("evertrain_missing_values_total")["flights", "carrier"] == 1


def test_numbers_are_counted_by_quarter(metrics, told, served, bundle_of):
    """A regression's answers fall into the quarters of its golden answers, so that a shift shows."""
    signature = bundle_of().signature.model_copy(update={"task": "regression", "classes": None})
    golden = Golden(columns={}, tolerance=0.0, values=[0.0, 10.0, 20.0, 30.0, 40.0])
    model = served(signature=signature, golden=golden)
    for values in ([-5.0, 10.0, 11.0, 99.0], [35.0]):
        metrics.observe_rows(model, "stable", ROWS, Prediction(values=np.array(values)))

    found = {labels[-1]: count for labels, count in told("evertrain_predictions_total").items()}
    assert found == {"up to 10": 2, "10 to 20": 1, "20 to 30": 0, "over 30": 2}


def test_many_classes_make_no_flood_of_series(metrics, told, served, bundle_of):
    """Beyond the first fifty, classes are counted together."""
    classes = tuple(f"c{number:03}" for number in range(200))
    signature = bundle_of().signature.model_copy(
        update={"task": "multiclass_classification", "classes": classes}
    )
    codes = np.array([0, MOST_ANSWERS - 1, MOST_ANSWERS, 199])
    metrics.observe_rows(served(signature=signature), "stable", ROWS, Prediction(codes=codes))

    found = {labels[-1]: count for labels, count in told("evertrain_predictions_total").items()}
    assert len(found) == MOST_ANSWERS + 1
    assert (found["c000"], found["c049"], found[REST]) == (1, 1, 2)


def test_old_versions_lose_their_series(metrics, told, served):
    """A service that lives through a hundred promotions tells of the last eight."""
    for version in range(1, 101):
        metrics.count("flights", 200, 0.001, version=str(version), arm="stable")
        metrics.observe_rows(served(version), "stable", ROWS, LATE)

    kept = {str(version) for version in range(101 - KEPT_VERSIONS, 101)}
    assert {labels[1] for labels in told("evertrain_predictions_total")} == kept
    assert {labels[1] for labels in told("evertrain_requests_total")} == kept
    assert {labels[1] for labels in told("evertrain_request_seconds_count")} == kept


def test_a_version_that_comes_back_is_counted_anew(metrics, told, served):
    """After a rollback to a version whose series are gone, it has one again."""
    for version in (*range(1, KEPT_VERSIONS + 2), 1):
        metrics.count("flights", 200, 0.001, version=str(version), arm="stable")
        metrics.observe_rows(served(version), "stable", ROWS, LATE)

    assert told("evertrain_requests_total")["flights", "1", "stable", "200"] == 1
    assert told("evertrain_predictions_total")["flights", "1", "stable", "Yes"] == 2


def test_refusals_are_counted_by_kind(metrics, told):
    """What callers did wrong is told by the kind of problem that they were sent."""
    metrics.count("flights", 422, 0.001, version="3", arm="stable", kind="invalid-input")
    metrics.count("flights", 200, 0.001, version="3", arm="stable")

    assert told("evertrain_refusals_total") == {("flights", "invalid-input"): 1}


def test_counting_a_row_costs_next_to_nothing(metrics, served):
    """A row of one request costs under 30 microseconds, and 1,000 rows of one less than 2 milliseconds."""
    model = served(statistics={"carrier": {"categories": ["UA"]}})
    one = {name: values[:1] for name, values in ROWS.items()}
    for rows, limit_seconds in ((1, 30e-6), (1_000, 2e-3)):
        columns = {name: values * rows for name, values in one.items()}
        answer = Prediction(codes=np.ones(rows, dtype=np.int64))
        began = time.process_time()
        for _ in range(500):
            metrics.observe_rows(model, "stable", columns, answer)
        assert (time.process_time() - began) / 500 < limit_seconds


def with_rules(served, *rules):
    """A model whose bundle brings *rules*."""
    return served(serving=ServingPlan(expectations=rules))


def test_broken_expectations_are_counted(metrics, told, served):
    """Each value that breaks one adds to it; those that can't be judged by one value have no series."""
    model = with_rules(
        served,
        {"type": "expect_column_values_to_be_between", "column": "distance", "min_value": 200},
        {"type": "expect_column_values_to_not_be_null", "column": "carrier", "mostly": 0.9},
        {"type": "expect_column_values_to_be_in_set", "column": "carrier", "value_set": ["UA", "AA"]},
        {"type": "expect_column_values_to_be_unique", "column": "carrier"},
        {"type": "expect_table_row_count_to_be_between", "min_value": 3},
        {"type": "expect_column_values_to_not_be_null", "column": "a column that isn't sent"},
    )
    metrics.observe_rows(model, "stable", ROWS, LATE)

    assert told("evertrain_expectation_violations_total") == {
        ("flights", "distance", "expect_column_values_to_be_between"): 1,
        ("flights", "carrier", "expect_column_values_to_not_be_null"): 1,
        ("flights", "carrier", "expect_column_values_to_be_in_set"): 1,
    }


def test_an_expectation_that_cannot_be_read_keeps_no_model_from_answering(metrics, told, served, caplog):
    """A pattern that is none is logged; rows are counted all the same."""
    rule = {"type": "expect_column_values_to_match_regex", "column": "carrier", "regex": "("}
    metrics.observe_rows(with_rules(served, rule), "stable", ROWS, LATE)

    assert told("evertrain_expectation_violations_total") == {}
    assert told("evertrain_predictions_total")["flights", "3", "stable", "Yes"] == 2
    assert "aren't counted" in caplog.text
