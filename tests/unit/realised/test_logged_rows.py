"""The service's log as the newest rows: compared as they were asked, and held out beside the source's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, read_side
from evertrain.datasets.current import open_logged_current
from evertrain.datasets.logged_rows import ingest_logged
from evertrain.errors import DataRefused
from evertrain.records import Feature
from tests.unit.realised.conftest import HOUR, START, Log

DAY = timedelta(days=1)
NOW = START + DAY
FEATURES = (
    Feature(name="distance", kind="numeric", type="integer"),
    Feature(name="zip", kind="categorical", type="integer"),
    Feature(name="wet", kind="numeric", type="boolean"),
    Feature(name="departs", kind="datetime", type="timestamp"),
)
LOGGED = [[feature.name, feature.kind, feature.type] for feature in FEATURES]


def pipeline(tmp_path: Path, *, reference="training", target="late", **more: Any) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "flights",
            "data": {
                "source": {"type": "files", "uri": str(tmp_path / "flights.parquet")},
                "timestamp": "when",
                "target": target,
                "entity": ["tail"],
                "features": {
                    "numeric": ["distance", "wet", "later"],
                    "categorical": ["zip"],
                    "datetime": ["departs"],
                },
                "window": {"train": "30d", "holdout": "1d"},
            },
            "training": {"estimator": "a.B"},
            "evaluation": {"task": "binary_classification"},
            "drift": {"reference": reference, "current": {"from": "predictions", "window": "1d"}},
            **more,
        }
    )


def write_source(tmp_path: Path, labels: tuple[Any, Any] = ("No", "Yes")) -> None:
    """Forty flights every six hours up to START, all that a service would not be asked among them."""
    when = [START.replace(tzinfo=None) - n * 6 * HOUR for n in range(40)]
    pd.DataFrame(
        {
            "when": when,
            "tail": [f"N{n}" for n in range(40)],
            "distance": range(40),
            "zip": [10001 + n % 2 for n in range(40)],
            "wet": [n % 3 == 0 for n in range(40)],
            "departs": when,
            "later": 1.5,
            "late": [labels[n % 2] for n in range(40)],
        }
    ).to_parquet(tmp_path / "flights.parquet", index=False)


def log_flights(log: Log, distances: tuple[Any, ...] = (5.0, None), **more: Any) -> None:
    """Two flights, twelve hours after START: a known one, and one of which little is known."""
    columns = [list(distances), ["10002", None], [True, None], ["2024-03-01T12:00:00+02:00", None]]
    log.answer("r", [0.25, 0.75], hour=12, features=LOGGED, columns=columns, **more)


def take(tmp_path: Path, log: Log, **more: Any) -> Ingested:
    return ingest_logged(pipeline(tmp_path, **more), log.store, FEATURES, as_of=NOW, now=NOW)


def held_out(log: Log, ingested: Ingested) -> list[dict[str, Any]]:
    return read_side(log.store, ingested.snapshot, "holdout", target="late", labelled=False).to_pylist()


def test_the_newest_window_of_the_log_is_read_as_it_was_asked(log: Log, tmp_path: Path) -> None:
    """The current rows are the newest window's, of all versions; a rolling reference is the one before."""
    for hour in (-30.0, -20.0, 1.0, 23.0, 25.0):
        log.answer(f"r{hour:g}", [0.5] * 3, hour=hour, version=1 + (hour > 0))
    names = ["carrier", "distance"]
    config = pipeline(tmp_path, reference="rolling")

    with open_logged_current(config, log.store, names, as_of=START + 24 * HOUR) as current:
        assert (current.rows, current.before.rows) == (6, 3)
        assert sorted(current.names) == names
        assert current.column("distance").tolist() == [100.0, 101.0, 102.0] * 2
        assert (current.as_of, current.newest) == (START + 24 * HOUR, START + 23 * HOUR)
    with open_logged_current(pipeline(tmp_path), log.store, names, as_of=START + 90 * DAY) as current:
        assert (current.rows, current.before.rows) == (0, 0)


def test_logged_rows_are_held_out_beside_the_sources_rows(log: Log, tmp_path: Path) -> None:
    """The source is learnt from up to the window, the log judged on; each in the types that both can be."""
    write_source(tmp_path)
    log_flights(log)
    log.tell({"r/0": "No", "r/1": "Yes"}, hour=13)

    ingested = take(tmp_path, log, validation={"on_failure": "quarantine"})

    snapshot = ingested.snapshot
    assert (snapshot.train_rows, snapshot.holdout_rows, snapshot.unlabelled) == (40, 2, 0)
    assert ingested.classes == ("No", "Yes")
    known, unknown = sorted(held_out(log, ingested), key=lambda row: row["late"])
    moment = (START + 12 * HOUR).replace(tzinfo=None)
    assert known == {
        "when": moment,
        "tail": None,
        "distance": 5,
        "zip": "10002",
        "wet": True,
        "departs": START.replace(tzinfo=None, hour=10),
        "late": "No",
    }
    assert unknown == dict.fromkeys(known) | {"when": moment, "late": "Yes"}
    learnt = read_side(log.store, snapshot, "train", target="late").to_pylist()
    assert {row["zip"] for row in learnt} == {"10001", "10002"}
    assert [(each.name, each.kind) for each in ingested.plan.features] == [
        ("distance", "numeric"),
        ("wet", "numeric"),
        ("zip", "categorical"),
        ("departs", "datetime"),
    ]


def test_a_source_that_ended_long_ago_is_learnt_from_where_it_ends(log: Log, tmp_path: Path) -> None:
    """A source that is loaded later than the service answers gives its newest window, not an empty one."""
    write_source(tmp_path)
    columns = [[5.0, 6.0], ["10002", None], [True, None], [None, None]]
    log.answer("r", [0.25, 0.75], hour=24 * 300, features=LOGGED, columns=columns)
    log.tell({"r/0": "No", "r/1": "Yes"}, hour=24 * 300)
    config = pipeline(tmp_path)
    window = config.data.window and config.data.window.model_copy(update={"train": 5 * DAY})
    config = config.model_copy(update={"data": config.data.model_copy(update={"window": window})})
    as_of = START + 300 * DAY + HOUR

    ingested = ingest_logged(config, log.store, FEATURES, as_of=as_of, now=as_of)

    assert (ingested.snapshot.train_rows, ingested.snapshot.holdout_rows) == (20, 2)


def test_a_source_that_begins_too_late_has_nothing_to_learn_from(log: Log, tmp_path: Path) -> None:
    """It is told from when on the rows would have to be there."""
    write_source(tmp_path)
    as_of = START - 20 * DAY

    with pytest.raises(DataRefused, match="no rows to learn from before 2024-02-09T12:00:00Z"):
        ingest_logged(pipeline(tmp_path), log.store, FEATURES, as_of=as_of, now=as_of)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [((0, 1), (0, 1), (0, 1.0)), ((False, True), (False, True), (False, True))],
)
def test_logged_labels_are_of_the_targets_type(
    log: Log, tmp_path: Path, labels: Any, classes: Any, told: Any
) -> None:
    """Whatever type labels came in, they are the classes of the source's target."""
    write_source(tmp_path, labels)
    log_flights(log, classes=classes)
    log.tell({"r/0": told[0]}, hour=13)
    log.tell({"r/1": told[1]}, hour=13)

    ingested = take(tmp_path, log)

    assert [repr(each) for each in ingested.classes or ()] == [repr(each) for each in labels]
    assert sorted(row["late"] for row in held_out(log, ingested)) == list(labels)


def test_numbers_that_became_fractions_stay_what_they_are(log: Log, tmp_path: Path) -> None:
    """A column of whole numbers that is asked with a fraction is a column of numbers."""
    write_source(tmp_path)
    log_flights(log, distances=(5.5, 7.0))
    log.tell({"r/0": "No", "r/1": "Yes"}, hour=13)

    found = held_out(log, take(tmp_path, log))

    assert sorted(row["distance"] for row in found) == [5.5, 7.0]


def test_without_labels_that_arrived_there_is_nothing_to_judge_on(log: Log, tmp_path: Path) -> None:
    """A label that arrives after as-of isn't there, whatever the log holds."""
    write_source(tmp_path)
    log_flights(log)
    log.tell({"r/0": "No", "r/1": "Yes"}, hour=25)

    with pytest.raises(DataRefused, match="2 rows but no labels to hold out"):
        take(tmp_path, log)


def test_what_was_logged_is_encoded_as_what_was_learnt(log: Log, tmp_path: Path) -> None:
    """The model's inputs of a logged row are those of the same row in the source."""
    from evertrain.columns import encode_inputs
    from evertrain.datasets import to_columns

    write_source(tmp_path)
    log_flights(log, distances=(0.0, 1.0))
    log.tell({"r/0": "No", "r/1": "Yes"}, hour=13)
    ingested = take(tmp_path, log)
    features, names = ingested.plan.features, [each.name for each in ingested.plan.features]

    rows = {
        side: read_side(log.store, ingested.snapshot, side, target="late") for side in ("train", "holdout")
    }
    inputs = {side: encode_inputs(features, to_columns(table, names)) for side, table in rows.items()}

    for name, values in inputs["train"].items():
        assert values.dtype == inputs["holdout"][name].dtype
    assert set(inputs["holdout"]["in_002"]) == {"10002", "__missing__"}
    assert np.isnan(inputs["holdout"]["in_001"]).sum() == 1
