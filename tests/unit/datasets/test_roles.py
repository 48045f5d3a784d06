from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets.queries import open_table
from evertrain.datasets.roles import check_weights, require_columns, settle_roles, show_values
from evertrain.errors import DataRefused, SourceError


def pipeline(task="binary_classification", slices=(), **data):
    return PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y", **data},
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": task, "slices": slices},
        }
    )


@contextmanager
def opened(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with open_table([tmp_path / "a.parquet"], None) as table:
        yield table


def settled(tmp_path, config, name, **columns):
    with opened(tmp_path, **columns) as table:
        cell = settle_roles(table, config).cell(name)
        return cell.type, [value for (value,) in table.fetch(cell.sql)]


def test_every_named_column_that_is_missing_is_told(tmp_path):
    """Each role names its path, and what there is that resembles it; the sixth is only counted."""
    config = pipeline(
        timestamp="when",
        weight="w",
        entity=["who"],
        slices=["s"],
        features={"numeric": ["aeg"], "categorical": ["z"]},
    )

    with opened(tmp_path, age=[1]) as table, pytest.raises(SourceError) as caught:
        require_columns(table, config)

    assert caught.value.attributes["columns"] == ["y", "when", "w", "who", "s", "aeg", "z"]
    assert "data.target names 'y': there are: 'age'." in caught.value.message
    assert "evaluation.slices names 's'" in caught.value.message
    assert caught.value.message.endswith("And 2 more.")


def test_near_names_are_hinted_at(tmp_path):
    """A slip of the pen is answered by the column that was meant."""
    with opened(tmp_path, y=[1], age=[1]) as table:
        require_columns(table, pipeline(features={"numeric": ["age"]}))
        with pytest.raises(SourceError, match=r"names 'aeg': did you mean 'age'\?"):
            require_columns(table, pipeline(features={"numeric": ["aeg"]}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2013-01-01T05:00:00+02:00", None], [datetime(2013, 1, 1, 3), None]),
        (
            ["2013-01-01", "2013-01-02 01:00:00.5"],
            [datetime(2013, 1, 1), datetime(2013, 1, 2, 1, 0, 0, 500_000)],
        ),
        (pa.array([0, 1], pa.date32()), [datetime(1970, 1, 1), datetime(1970, 1, 2)]),
        (pa.array([0, 1], pa.timestamp("s", "UTC")), [datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 1)]),
    ],
)
def test_timestamps_become_times_in_utc(tmp_path, values, expected):
    """ISO texts, dates and times with a zone are times in UTC."""
    assert settled(tmp_path, pipeline(timestamp="t"), "t", t=values, y=[1, 2]) == ("timestamp", expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1357016400], "column 't' holds integers; expected times.*to_timestamp"),
        ([True], "column 't' holds booleans"),
        (["01/02/2013"], "column 't' holds text that is no ISO 8601 time, such as '01/02/2013'.*strptime"),
    ],
)
def test_a_timestamp_that_is_no_time_is_refused(tmp_path, values, message):
    """The refusal names the column, its type or an example, and the mend."""
    with pytest.raises(SourceError, match=f"data.timestamp: {message}"):
        settled(tmp_path, pipeline(timestamp="t"), "t", t=values, y=[1])


def test_datetime_features_may_be_iso_text(tmp_path):
    """Text becomes times, dates stay dates, and a column without any value is one of times."""
    config = pipeline(features={"datetime": ["t"]})

    assert settled(tmp_path, config, "t", t=["2013-01-01"], y=[1]) == ("timestamp", [datetime(2013, 1, 1)])
    assert settled(tmp_path, config, "t", t=pa.array([None], pa.int64()), y=[1]) == ("timestamp", [None])
    assert settled(tmp_path, config, "t", t=pa.array([0], pa.date32()), y=[1])[0] == "date"


@pytest.mark.parametrize("values", [["soon"], [17]])
def test_a_datetime_feature_that_is_no_time_is_refused(tmp_path, values):
    """The refusal shows what was found."""
    config = pipeline(features={"datetime": ["t"]})

    with pytest.raises(DataRefused, match=f"data.features.datetime: column 't' .*such as {values[0]!r}"):
        settled(tmp_path, config, "t", t=values, y=[1])


@pytest.mark.parametrize(
    ("task", "values", "kind"),
    [
        ("binary_classification", [0.0, 1.0, None], "integer"),
        ("multiclass_classification", [0.0, 1.5, None], "float"),
        ("regression", [0.0, 1.0, None], "float"),
    ],
)
def test_integral_labels_are_integers(tmp_path, task, values, kind):
    """Labels that a missing one made floats are integers again; a regression's numbers stay as they are."""
    found, labels = settled(tmp_path, pipeline(task), "y", y=values)

    assert found == kind
    assert labels == values


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["a", "b"], "holds text; expected numbers"),
        ([1.0, -1.0], "1 rows have a missing, negative or infinite one"),
        ([1.0, None], "1 rows have"),
        ([1.0, float("inf")], "1 rows have"),
        ([0, 0], "all are 0"),
    ],
)
def test_weights_that_can_t_be_used_are_refused(tmp_path, weights, message):
    """Weights of learnt rows are numbers from 0 up, not all 0."""
    config = pipeline(weight="w")

    with opened(tmp_path, y=[1, 2], w=weights) as table, pytest.raises(DataRefused, match=message):
        check_weights(table.keep("kept", "true", labelled="true", holdout="false"), config.data)


def test_weights_of_rows_that_are_not_learnt_don_t_matter(tmp_path):
    """Held-out and unlabelled rows may lack a weight; without data.weight nothing is checked."""
    with opened(tmp_path, y=[1, None, 2], w=[1, None, None]) as table:
        kept = table.keep("kept", "true", labelled="c0 IS NOT NULL", holdout="c0 = 2")
        check_weights(kept, pipeline(weight="w").data)
        check_weights(kept, pipeline().data)


def test_shown_values_are_the_most_frequent(tmp_path):
    """Three values are shown, texts in quotes, the most frequent first."""
    with opened(tmp_path, x=["a", "b", "b", "c", "d"], d=pa.array([0] * 5, pa.date32())) as table:
        assert show_values(table, "c0", "true") == "'b', 'a', 'c'"
        assert show_values(table, "c1", "true") == "1970-01-01"
