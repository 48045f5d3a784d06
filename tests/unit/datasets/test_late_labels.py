"""Labels that arrive later, joined to rows by entity and time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest, read_snapshot, source_digest
from evertrain.datasets.current import open_current
from evertrain.errors import DataRefused, SourceError
from evertrain.storage import LocalStore, Store

START = datetime(2024, 1, 1)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 40
END = START + (ROWS - 1) * DAY


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def loans(tmp_path):
    """Forty days, a loan each, and no column that says what became of it."""
    write_loans(tmp_path)
    return tmp_path


def write_loans(folder):
    days = pd.DataFrame(
        {
            "day": [START + n * DAY for n in range(ROWS)],
            "loan": [f"L{n}" for n in range(ROWS)],
            "sum": [float(n * 37 % 11) for n in range(ROWS)],
        }
    )
    days.to_parquet(folder / "loans.parquet", index=False)


def pipeline(folder, labels: dict[str, Any] | None = None, task="binary_classification", **data: Any):
    late = {
        "source": {"type": "files", "uri": str(folder / "labels.csv")},
        "join": ["loan", "day"],
        "column": "bad",
        "arrived_at": "told",
    }
    return PipelineConfig.model_validate(
        {
            "name": "loans",
            "data": {
                "source": {"type": "files", "uri": str(folder / "loans.parquet")},
                "timestamp": "day",
                "target": "bad",
                "entity": ["loan"],
                "features": {"numeric": ["sum"]},
                **data,
            },
            "labels": {**late, **(labels or {})},
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": task},
        }
    )


def label(n: int, bad: Any, days_later: float | None = 1.0, **more: Any) -> dict[str, Any]:
    """What became of loan *n*, told so many days later; None: nobody knows when."""
    told = None if days_later is None else START + (n + days_later) * DAY
    return {"loan": f"L{n}", "day": START + n * DAY, "bad": bad, "told": told, **more}


def write_labels(folder, labels):
    pd.DataFrame(labels).to_csv(folder / "labels.csv", index=False)


def take(config: PipelineConfig, store: Store, as_of: datetime | None = None) -> Ingested:
    return ingest(config, store, as_of=as_of and as_of.replace(tzinfo=UTC), now=NOW)


def labels_of(store: Store, ingested: Ingested) -> dict[str, Any]:
    """By loan, the label it has; without those that have none."""
    rows = read_snapshot(store, ingested.snapshot).to_pylist()
    return {row["loan"]: row["bad"] for row in rows if row["bad"] is not None}


def test_labels_become_the_target_and_rows_without_one_are_unlabelled(loans, store):
    """The source needs no target of its own; a row whose label hasn't arrived is kept and counted."""
    write_labels(loans, [label(n, n % 2 == 0) for n in range(ROWS - 5)])

    ingested = take(pipeline(loans), store)

    snapshot = ingested.snapshot
    assert (snapshot.rows, snapshot.unlabelled) == (ROWS, 5)
    assert labels_of(store, ingested) == {f"L{n}": n % 2 == 0 for n in range(ROWS - 5)}
    assert ingested.classes == (False, True)
    assert ingested.notes == ()
    assert [feature.name for feature in ingested.plan.features] == ["sum"]


def test_labels_replace_a_target_that_the_source_has(loans, store):
    """What the source says of the target is not looked at, whatever it is."""
    rows = pd.read_parquet(loans / "loans.parquet").assign(bad="?")
    rows.to_parquet(loans / "loans.parquet", index=False)
    write_labels(loans, [label(n, n % 2) for n in range(0, ROWS - 1)])

    ingested = take(pipeline(loans), store)

    assert ingested.classes == (0, 1)
    assert ingested.snapshot.unlabelled == 1


def test_the_label_that_arrived_last_by_as_of_wins_and_doubles_no_row(loans, store):
    """As-of shows the first label before the second one arrived, and the second from that moment on."""
    plain = [label(n, n % 2) for n in range(ROWS)]
    second = [label(4, 1, 10), label(4, 0, 5), label(4, 0, 1)]
    write_labels(loans, [*second, *plain])
    config = pipeline(loans)

    before, at, after = (
        take(config, store, START + (4 + days) * DAY - moment)
        for days, moment in ((10, timedelta(microseconds=1)), (10, timedelta(0)), (30, timedelta(0)))
    )

    assert labels_of(store, before)["L4"] == 0
    assert labels_of(store, at)["L4"] == labels_of(store, after)["L4"] == 1
    assert after.snapshot.rows == 35


def test_nothing_is_used_before_it_arrived(loans, store):
    """As-of hides labels as it hides rows, and the snapshot's digest tells the two states apart."""
    write_labels(loans, [label(n, n % 2, 7) for n in range(ROWS)])
    config = pipeline(loans)
    as_of = START + 20 * DAY

    early = take(config, store, as_of)
    write_labels(loans, [label(n, n % 2, 0) for n in range(ROWS)])
    late = take(config, store, as_of)

    assert sorted(labels_of(store, early)) == sorted(f"L{n}" for n in range(14))
    assert (early.snapshot.rows, early.snapshot.unlabelled, late.snapshot.unlabelled) == (21, 7, 0)
    assert early.snapshot.digest != late.snapshot.digest


def test_labels_without_a_time_of_arrival_are_known_after_the_delay(loans, store):
    """A row's label is known at its own time plus the delay; of two the last in the source counts."""
    write_labels(loans, [*(label(n, n % 2) for n in range(ROWS)), label(3, 0), label(5, 0), label(5, 1)])
    config = pipeline(loans, {"arrived_at": None, "delay": "5d"})

    found = labels_of(store, take(config, store, START + 20 * DAY))

    assert sorted(found) == sorted(f"L{n}" for n in range(16))
    assert (found["L3"], found["L5"]) == (0, 1)


def test_without_as_of_labels_end_where_the_rows_end(loans, store):
    """As-of is then the newest row's time, for labels too; what came later is told, with what takes it."""
    write_labels(loans, [*(label(n, n % 2, 2) for n in range(ROWS)), label(0, 1, None)])

    ingested = take(pipeline(loans), store)

    assert ingested.snapshot.unlabelled == 2
    assert ingested.notes == (
        "1 labels have no 'told' and were left out",
        "2 labels arrived after 2024-02-09T00:00:00Z, where the rows end, and were left out; --as-of with a "
        "later time takes them",
    )
    later = take(pipeline(loans), store, END + 2 * DAY)
    assert (later.snapshot.unlabelled, len(later.notes)) == (0, 1)


def test_keys_are_compared_by_their_spelling(loans, store):
    """Entities that are numbers here, text there and floats elsewhere are the same; times need no format."""
    rows = pd.read_parquet(loans / "loans.parquet").assign(loan=range(ROWS))
    rows.to_parquet(loans / "loans.parquet", index=False)
    told = [label(n, f"is {n % 2}") for n in range(ROWS - 1)]
    told[0]["day"], told[1]["loan"] = "2024-01-01T02:00:00+02:00", None
    for n, each in enumerate(told):
        each["loan"] = None if n == 1 else float(n)
    labels = pd.DataFrame(told).astype({"day": str})
    labels.to_parquet(loans / "labels.parquet", index=False)
    source = {"type": "files", "uri": str(loans / "labels.parquet")}

    ingested = take(pipeline(loans, {"source": source}), store)

    assert labels_of(store, ingested) == {n: f"is {n % 2}" for n in range(ROWS - 1) if n != 1}


def test_whole_labels_with_gaps_are_integers(loans, store):
    """Labels settle their type as a target of the source does: 0.0 and 1.0 are the classes 0 and 1."""
    write_labels(loans, [*(label(n, float(n % 2)) for n in range(ROWS - 2)), label(ROWS - 2, None)])

    ingested = take(pipeline(loans), store)

    assert [repr(each) for each in ingested.classes or ()] == ["0", "1"]
    assert ingested.snapshot.unlabelled == 2


def test_the_source_digest_covers_the_labels(loans):
    """New labels are a new source, though no row of the data changed: no run is recalled."""
    write_labels(loans, [label(n, n % 2) for n in range(ROWS)])
    config = pipeline(loans)
    first = source_digest(config)
    write_labels(loans, [label(n, n % 2) for n in range(1, ROWS)])

    assert source_digest(config) != first
    sql = {"type": "sql", "url_env": "X", "query": "SELECT 1"}
    assert source_digest(pipeline(loans, {"source": sql})) is None


def test_drift_of_features_needs_no_labels(loans):
    """The newest rows are read though no label has ever come."""
    with open_current(pipeline(loans), as_of=None, now=NOW) as current:
        assert current.rows == 7


@pytest.mark.parametrize(
    ("change", "labels", "error", "said"),
    [
        ({}, [{"loan": "L1", "day": START, "bad": 1, "tld": START}], SourceError, "labels.arrived_at names"),
        ({}, [label(1, 1) | {"told": "soon"}], SourceError, "labels.arrived_at: column 'told' holds text"),
        ({}, [label(1, 1) | {"day": 7}], SourceError, "labels.join: column 'day' holds integers"),
        ({}, [label(1, 1) | {"loan": "other"}], DataRefused, "no row has a label that arrived by as-of"),
        ({"column": "worse"}, [label(1, 1)], SourceError, "labels.column names"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(loans, store, change, labels, error, said):
    """The message names the part of the YAML, the column, and what was expected."""
    write_labels(loans, labels)

    with pytest.raises(error) as refused:
        take(pipeline(loans, change), store)

    assert said in refused.value.message


def draw_stream(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The labels of forty loans: 0 to 30 days late, a fifth missing, some twice; sorted, and as they came."""
    draw = random.Random(seed)
    told = [label(n, n % 2, draw.uniform(0, 30)) for n in range(ROWS) if draw.random() < 0.8]
    told += [label(n, draw.randint(0, 1), draw.uniform(0, 30)) for n in range(ROWS) if draw.random() < 0.2]
    # Loaded at once: what tells them apart is their value.
    told += [{**draw.choice(told), "bad": draw.randint(0, 1)} for _ in range(5)]
    ordered = sorted(told, key=lambda each: (each["told"], each["loan"], each["bad"]))
    return ordered, draw.sample(told, len(told))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), look=st.integers(30, ROWS + 12))
def test_late_labels_give_the_sorted_streams_rows_and_none_too_early(tmp_path_factory, seed, look):
    """Whatever the order labels come in, the snapshot is that of the sorted stream, at any as-of (D9).

    And each label that was used had arrived by then, and was the newest that had.
    """
    folder = tmp_path_factory.mktemp("stream")
    store = LocalStore(folder / "store")
    write_loans(folder)
    config = pipeline(folder, window={"train": "90d", "holdout": "25d"})
    as_of = START + look * DAY
    ordered, arrived = draw_stream(seed)
    answers = []
    for stream in (ordered, arrived):
        write_labels(folder, stream)
        try:
            answers.append(take(config, store, as_of))
        except DataRefused as refused:
            answers.append(refused.message)

    assert answers[0] == answers[1]
    known = {each["loan"]: each["bad"] for each in ordered if each["told"] <= as_of}
    shown = {f"L{n}" for n in range(min(ROWS, look + 1))}
    if isinstance(answers[0], Ingested):
        assert labels_of(store, answers[0]) == {loan: known[loan] for loan in known.keys() & shown}
