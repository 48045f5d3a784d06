"""Tests of the quarantine: which rows leave, where they lie, and what a snapshot says of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest, read_quarantine, read_snapshot
from evertrain.errors import DataRefused, StorageError
from evertrain.storage import Store, open_store

ROWS = 100
BETWEEN = {"type": "expect_column_values_to_be_between", "column": "a", "min_value": 0, "max_value": 1000}
IN_SET = {"type": "expect_column_values_to_be_in_set", "column": "s", "value_set": ["x"]}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Place:
    """A folder with a source, and a store beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = open_store(str(folder / "store"))
        self.columns: dict[str, list] = {
            "a": list(range(ROWS)),
            "s": ["x"] * ROWS,
            "t": [datetime(2025, 1, 1 + number // 24, number % 24) for number in range(ROWS)],
            "y": [number % 2 for number in range(ROWS)],
        }

    def ingest(self, *expectations: dict, on_failure: str = "quarantine", share: float = 0.1) -> Ingested:
        pq.write_table(pa.table(self.columns), self.folder / "rows.parquet")
        config = {
            "name": "p",
            "data": {
                "source": {"type": "files", "uri": str(self.folder / "rows.parquet")},
                "target": "y",
                "timestamp": "t",
            },
            "validation": {
                "expectations": expectations,
                "on_failure": on_failure,
                "max_quarantine_share": share,
            },
            "training": {"estimator": "a.B"},
            "evaluation": {"task": "binary_classification"},
        }
        return ingest(PipelineConfig.model_validate(config), self.store, as_of=None, now=NOW)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_unexpected_rows_leave_both_sides_and_lie_apart_with_their_reasons(place):
    """Each row is in the store with all its columns, its side, and every expectation that it broke."""
    place.columns["a"][3], place.columns["a"][99] = -1, -2
    place.columns["s"][3], place.columns["s"][5] = "q", None

    found = place.ingest(BETWEEN, IN_SET)

    snapshot = found.snapshot
    assert (snapshot.rows, snapshot.quarantined, snapshot.train_rows, snapshot.holdout_rows) == (
        98,
        2,
        79,
        19,
    )
    clean = read_snapshot(place.store, snapshot)
    assert not {-1, -2} & set(clean["a"].to_pylist())
    apart = read_quarantine(place.store, snapshot)
    assert apart.column_names == ["a", "s", "t", "y", "evertrain_side", "evertrain_reasons"]
    assert {(row["a"], row["s"], row["evertrain_side"]) for row in apart.to_pylist()} == {
        (-1, "q", "train"),
        (-2, "x", "holdout"),
    }
    reasons = {row["a"]: row["evertrain_reasons"] for row in apart.to_pylist()}
    assert reasons[-1] == [
        {"index": 0, "type": BETWEEN["type"], "column": "a"},
        {"index": 1, "type": IN_SET["type"], "column": "s"},
    ]
    assert [reason["index"] for reason in reasons[-2]] == [0]
    assert [(mask.index, mask.unexpected_rows, mask.met) for mask in found.masks] == [
        (0, 2, False),
        (1, 1, False),
    ]


def test_an_expectation_met_by_its_mostly_sets_nothing_aside(place):
    """`mostly` is honoured first: what it allows stays."""
    place.columns["a"][3] = -1

    found = place.ingest({**BETWEEN, "mostly": 0.9})

    assert (found.snapshot.quarantined, found.snapshot.quarantine_key, found.snapshot.rows) == (0, None, ROWS)
    assert [(mask.unexpected_rows, mask.met) for mask in found.masks] == [(1, True)]
    assert read_quarantine(place.store, found.snapshot).num_rows == 0


def test_stop_sets_nothing_aside(place):
    """Without `quarantine` the rows stay for Great Expectations to refuse."""
    place.columns["a"][3] = -1

    found = place.ingest(BETWEEN, on_failure="stop")

    assert (found.snapshot.quarantined, found.masks) == (0, ())


def test_unlabelled_rows_are_set_aside_too(place):
    """A row that nobody learns from is kept for drift, and must be as expected all the same."""
    place.columns["a"][3], place.columns["y"][3] = -1, None

    snapshot = place.ingest(BETWEEN).snapshot

    assert (snapshot.quarantined, snapshot.unlabelled) == (1, 0)


def test_the_digest_covers_what_was_set_aside(place):
    """A change of quarantined rows alone is another snapshot; the same rows are the same one."""
    place.columns["a"][3] = -1
    first = place.ingest(BETWEEN).snapshot

    again = place.ingest(BETWEEN).snapshot
    place.columns["a"][3] = -7
    changed = place.ingest(BETWEEN).snapshot

    assert again == first
    assert changed.digest != first.digest
    assert changed.parts == first.parts


def test_too_many_are_refused_with_the_worst_expectations(place):
    """More than the allowed share of all rows ends the run, with the worst first and examples."""
    place.columns["a"][:8] = range(-8, 0)
    place.columns["s"][:11] = ["q"] * 11

    with pytest.raises(DataRefused) as refused:
        place.ingest(BETWEEN, IN_SET)

    told = refused.value.message.splitlines()
    assert told[0].startswith("11 of 100 rows (11.00%) would be quarantined, more than")
    assert told[1] == f"- {IN_SET['type']} on 's': 11 unexpected, such as 'q'"
    assert told[2] == f"- {BETWEEN['type']} on 'a': 8 unexpected, such as -8, -7, -6, -5, -4"
    assert place.ingest(BETWEEN, IN_SET, share=0.11).snapshot.quarantined == 11


def test_many_broken_expectations_are_told_up_to_five(place):
    """The message stays short however many expectations there are."""
    place.columns["a"] = list(range(-ROWS, 0))

    with pytest.raises(DataRefused, match="- and 2 more"):
        place.ingest(*({**BETWEEN, "min_value": number} for number in range(7)))


def test_pairs_are_told_as_pairs_and_long_values_cut(place):
    """An example of several columns shows them together, and never at any length."""
    place.columns["s"] = ["q" * 500] * ROWS
    pairs = {"type": "expect_column_pair_values_to_be_in_set", "column_A": "s", "column_B": "a"}

    with pytest.raises(DataRefused, match=r"on 's', 'a': 100 unexpected, such as \('q{57}…"):
        place.ingest({**pairs, "value_pairs_set": []})


def test_later_checks_see_the_clean_rows(place):
    """What is left must have two classes, or there is nothing to learn."""
    place.columns["a"] = [-1 if label else 1 for label in place.columns["y"]]

    with pytest.raises(DataRefused, match="constant"):
        place.ingest(BETWEEN, share=1.0)


def test_a_missing_column_is_named_with_the_nearest(place):
    """Under quarantine too, an expectation about a column that isn't there ends the run."""
    with pytest.raises(DataRefused, match=r"expectations\[1\]: .*names column 'ss': did you mean 's'"):
        place.ingest(BETWEEN, {**IN_SET, "column": "ss"})


def test_what_cannot_be_checked_is_told_with_its_place(place):
    """Values that can't be compared with what is expected make no mask, and end the run."""
    with pytest.raises(DataRefused, match=r"expectations\[0\]: .*can't be checked .*column 's' holds text"):
        place.ingest({**BETWEEN, "column": "s"})


def test_a_mended_quarantine_can_be_a_source(place):
    """Columns of our own names are no obstacle: ours then bear another."""
    place.columns["evertrain_side"] = ["train"] * ROWS
    place.columns["a"][3] = -1

    apart = read_quarantine(place.store, place.ingest(BETWEEN).snapshot)

    assert apart.column_names[-3:] == ["evertrain_side", "evertrain_side_", "evertrain_reasons"]


@pytest.mark.parametrize(("data", "says"), [(None, "are missing"), (b"other", "aren't those")])
def test_a_quarantine_that_is_gone_or_changed_is_told(place, data, says):
    """Its key is the digest of its bytes."""
    place.columns["a"][3] = -1
    snapshot = place.ingest(BETWEEN).snapshot
    place.store.delete(snapshot.quarantine_key)
    if data is not None:
        place.store.put(snapshot.quarantine_key, data)

    with pytest.raises(StorageError, match=says):
        read_quarantine(place.store, snapshot)
