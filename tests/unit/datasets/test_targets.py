from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets.queries import open_table
from evertrain.datasets.targets import check_target
from evertrain.errors import DataRefused

BINARY, MANY, NUMBER = "binary_classification", "multiclass_classification", "regression"


def check(tmp_path, task, learnt, held_out, **data):
    config = PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y", **data},
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": task},
        }
    )
    sides = [False] * len(learnt) + [True] * len(held_out)
    pq.write_table(pa.table({"y": [*learnt, *held_out], "side": sides}), tmp_path / "a.parquet")
    with open_table([tmp_path / "a.parquet"], None) as table:
        kept = table.keep("kept", "true", holdout="c1", labelled="c0 IS NOT NULL")
        return check_target(kept, config)


@pytest.mark.parametrize(
    ("labels", "positive", "classes"),
    [
        (["No", "Yes"], None, ("No", "Yes")),
        (["No", "Yes"], "No", ("Yes", "No")),
        ([True, False], None, (False, True)),
        ([True, False], True, (False, True)),
        ([True, False], "true", (False, True)),
        ([True, False], False, (True, False)),
        ([0, 1], 1.0, (0, 1)),
        ([0, 1], "0", (1, 0)),
        (["1", "2"], 1, ("2", "1")),
        ([0.5, 1.5], 0.5, (1.5, 0.5)),
    ],
)
def test_of_two_classes_the_positive_one_is_last(tmp_path, labels, positive, classes):
    """By default the greater is positive; the configured one is found by its spelling."""
    assert check(tmp_path, BINARY, [*labels, None], labels, positive=positive) == (classes, ())


@pytest.mark.parametrize(
    ("labels", "classes"), [(["b", "a", "c"], ("a", "b", "c")), ([3, 20, 1], (1, 3, 20))]
)
def test_many_classes_are_sorted(tmp_path, labels, classes):
    """Classes stand in sort order, numbers by size."""
    assert check(tmp_path, MANY, labels, labels) == (classes, ())


def test_with_time_a_class_may_lack_on_one_side(tmp_path):
    """Of more than two classes, one may be only learnt, or be new in the hold-out, which is told."""
    classes, notes = check(tmp_path, MANY, ["a", "b", "b"], ["a", "z", "z"], timestamp="t")

    assert classes == ("a", "b")
    assert notes == (
        "held-out rows of classes that no learnt row has count as wrong: 'z' (0 learnt, 2 held out)",
    )


@pytest.mark.parametrize(
    ("task", "learnt", "held_out", "data", "message"),
    [
        (BINARY, ["a", "b"], ["a"], {"timestamp": "t"}, r"'b' \(1 learnt, 0 held out\). Add rows, widen"),
        (BINARY, ["a"], ["a", "b"], {}, r"'b' \(0 learnt, 1 held out\).* \(rows that are alike stand on one"),
        (
            BINARY,
            ["a"],
            ["a", "b"],
            {"entity": ["e"]},
            r"Add rows \(rows of one entity stand on one side\) or",
        ),
        (MANY, ["a", "b", "c"], ["a", "b"], {}, r"'c' \(1 learnt, 0 held out\)"),
        (MANY, ["a"], ["a", "b"], {"timestamp": "t"}, r"'b' \(0 learnt, 1 held out\)"),
        (BINARY, ["a", "a"], ["a"], {}, "'y' is constant: .*'a'"),
        (
            BINARY,
            [1, 2, 3],
            [1],
            {},
            r"3 classes where binary_classification expects two: 1 \(1 learnt, 1 held out",
        ),
        (BINARY, list("abcdefghijkl"), ["a"], {}, "and 2 more"),
        (BINARY, ["a", "b"], ["a", "b"], {"positive": "Yes"}, "'Yes' is no class of column 'y'; it has 'a'"),
        (MANY, list(range(1001)), [1], {}, "over 1,000 classes.*regression"),
        (BINARY, pa.array([0, 1], pa.date32()), [], {}, "'y' holds dates"),
        (MANY, pa.array([[0], [1]]), [], {}, "'y' holds nested, mixed or other values; expected text"),
        (NUMBER, [1, 1], [1], {}, "constant"),
        (NUMBER, ["1", "x"], ["1"], {}, "holds text, such as '1', 'x'; a regression expects numbers"),
        (NUMBER, [True, False], [True], {}, "holds booleans"),
        (NUMBER, [1.0, float("inf")], [2.0, float("-inf")], {}, "infinite, .* in 2 rows.*isfinite"),
        (NUMBER, [1.0, 1e300], [2.0], {}, "too large for 32 bits, in 1 rows.*scale them"),
    ],
)
def test_targets_that_can_t_be_learnt_or_judged(tmp_path, task, learnt, held_out, data, message):
    """The refusal shows the classes or values found, on each side, and says what to do."""
    if isinstance(learnt, pa.Array):
        learnt = learnt.to_pylist()

    with pytest.raises(DataRefused, match=message):
        check(tmp_path, task, learnt, held_out, **data)


def test_a_regression_has_no_classes(tmp_path):
    """Numbers that differ can be learnt."""
    assert check(tmp_path, NUMBER, [1, 2, None], [1]) == (None, ())
