"""What the prediction log does with what it was never meant to meet: no fault ends it or holds up more."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from evertrain.columns import encode_inputs
from evertrain.errors import StorageError
from serving.fleet import Served
from serving.prediction_log import recorder, segments
from serving.prediction_log.lines import spell_answer, spell_labels
from serving.prediction_log.parts import make_label_parts
from serving.prediction_log.places import ANSWERS, LABELS, read_shipped_at
from serving.prediction_log.reading import read_lines
from serving.prediction_log.recorder import PredictionLog
from serving.prediction_log.segments import SegmentWriter, list_segments
from serving.prediction_log.shipper import ShipperProcess, ship
from serving.recorder import Answered, LateLabel, LogCounts

pytestmark = pytest.mark.fault
BOUND_SECONDS = 20
ROW = {"distance": 1400, "carrier": "UA", "night flight": False, "departs": "2013-01-31T05:00:00Z"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def served(bundle_of):
    return Served("flights", 3, 2, bundle_of())


def answered(served, request_id="r1", **columns):
    """A request for one row as it was answered."""
    columns = {**{name: [value] for name, value in ROW.items()}, **columns}
    prediction = served.bundle.predict({name: [value] for name, value in ROW.items()})
    return Answered(served, "stable", request_id, None, 1.7e9, 0.002, columns, prediction)


def write(folder, *answers):
    with PredictionLog(folder) as log:
        for each in answers:
            log.record_answer(each)
    return log


def kept_rows(store, kind="predictions"):
    rows = []
    for key in sorted(store.list(f"{kind}/")):
        rows += pq.read_table(io.BytesIO(store.get(key))).to_pylist()
    return rows


def await_true(condition):
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "sent", [np.array([0.1], dtype="<f4"), np.array([np.nan], dtype="<f2"), np.array([7], dtype="<i8")]
)
def test_a_tensor_of_categories_scores_to_the_same_again(folder, served, store, sent):
    """A 32-bit 0.1 is logged as the category that the model was given, not as what widening makes of it."""
    write(folder, answered(served, carrier=sent))
    ship(folder, store)
    features = [feature for feature in served.bundle.signature.features if feature.name == "carrier"]
    (row,) = kept_rows(store)

    first = encode_inputs(features, {"carrier": sent})["in_000"]
    assert encode_inputs(features, {"carrier": [row["feature.carrier"]]})["in_000"].tolist() == first.tolist()


@pytest.mark.parametrize(("label", "kept"), [("a\ud800", "a\\ud800"), (10**30, 1e30), (-(2**63), -(2.0**63))])
def test_labels_that_no_column_holds_are_kept_as_near_as_can_be(label, kept):
    """Half a character and a whole number beyond 64 bits hold up no part."""
    lines = read_lines([spell_labels("flights", [LateLabel("r/0", label)], 1.7e9)])
    ((_, data),) = make_label_parts("s", lines)

    assert pq.read_table(io.BytesIO(data)).column("label").to_pylist() == [kept]


def test_a_segment_that_nothing_can_be_made_of_is_put_aside(folder, served, store, caplog):
    """What came after it is shipped, its file is kept, and the log names it."""
    writer = SegmentWriter(folder / ANSWERS)
    writer.append(b'{"of": "flights/9/of a model that it does not tell of", "labels": [1]}\n')
    writer.close()
    write(folder, answered(served, "r1"))

    assert ship(folder, store) == 1
    assert [row["prediction_id"] for row in kept_rows(store)] == ["r1/0"]
    (aside,) = (folder / ANSWERS).glob("*.unreadable")
    assert str(aside) in caplog.text
    assert ship(folder, store) == 0


def test_lines_that_a_loss_of_power_left_behind_are_passed_over(folder, served, store, caplog):
    """Zeros, or half a line in the middle, cost themselves only."""
    write(folder, answered(served, "r1"))
    (segment,) = list_segments(folder / ANSWERS)
    model, answer = segment.read_bytes().splitlines()
    segment.write_bytes(model + b"\n" + bytes(64) + b"\n" + answer[:40] + b"\n7\n" + answer + b"\n")

    assert ship(folder, store) == 1
    assert [row["prediction_id"] for row in kept_rows(store)] == ["r1/0"]
    assert "3 lines of the prediction log can't be read" in caplog.text


def test_labels_are_in_no_file_that_a_shipper_removes(folder, store, monkeypatch):
    """A shipper that comes upon a segment before it is locked takes an empty one; labels go into another."""
    real, shipped = segments.fcntl.flock, []

    def ship_first(file, how):
        if not shipped:
            shipped.append(1)
            ship(folder, store)
        real(file, how)

    monkeypatch.setattr(segments.fcntl, "flock", ship_first)
    log = PredictionLog(folder)
    log.record_labels("flights", [LateLabel("r/0", "Yes")])
    monkeypatch.undo()
    (segment,) = list_segments(folder / LABELS)
    assert b'"r/0"' in segment.read_bytes()
    assert read_shipped_at(folder) is None

    with log:
        pass
    ship(folder, store)
    assert [row["prediction_id"] for row in kept_rows(store, "labels")] == ["r/0"]


def test_labels_wait_for_no_answers(folder, served, store):
    """A store that takes no answers has the labels all the same."""
    Path(store.where, "predictions").write_text("not a folder")
    with PredictionLog(folder) as log:
        log.record_labels("flights", [LateLabel("r/0", "Yes")])
        log.record_answer(answered(served))
    with pytest.raises(StorageError):
        ship(folder, store)

    assert [row["label"] for row in kept_rows(store, "labels")] == ["Yes"]


def test_what_waits_to_be_written_is_bounded(folder, served):
    """What would take more memory than allowed is dropped and counted, and taken again once there is room."""
    log = PredictionLog(folder, most_queued_bytes=5 * len(spell_answer(answered(served, "r0"))) // 2)
    for number in range(5):
        log.record_answer(answered(served, f"r{number}"))
    assert log.counts().rows == {"flights": LogCounts(logged=0, sampled_out=0, dropped=3)}
    with log:
        pass
    log.record_answer(answered(served, "later"))
    assert log.counts().queued_rows == 1


def test_an_answer_that_has_no_spelling_does_not_end_the_log(folder, served, store, caplog):
    """It is dropped, counted and told of; the ones beside it are kept."""
    odd = answered(served, "odd", distance=[object()])
    log = write(folder, answered(served, "r1"), odd, answered(served, "r2"))
    ship(folder, store)

    assert log.counts().rows == {"flights": LogCounts(logged=2, sampled_out=0, dropped=1)}
    assert [row["request_id"] for row in kept_rows(store)] == ["r1", "r2"]
    assert "A prediction isn't logged" in caplog.text


def test_without_room_the_oldest_answers_go_and_labels_stay(folder, served, store, caplog, monkeypatch):
    """What waits is bounded: the newest answers and every label are kept, dropped rows counted and told."""
    for number in range(4):
        write(folder, answered(served, f"r{number}"))
    with PredictionLog(folder) as log:
        log.record_labels("flights", [LateLabel("r/0", "Yes")])
    kept = list_segments(folder / ANSWERS)[2:]
    room = sum(path.stat().st_size for path in [*kept, *list_segments(folder / LABELS)])
    monkeypatch.setattr(recorder, "LOOK_EVERY_SECONDS", 0.0)

    with PredictionLog(folder, most_bytes=room) as log:
        await_true(lambda: log.counts().waiting_bytes)
    assert log.counts().waiting_bytes == room
    assert log.counts().rows == {"flights": LogCounts(logged=0, sampled_out=0, dropped=2)}
    assert "Dropped the 2 oldest rows" in caplog.text
    ship(folder, store)
    assert [row["request_id"] for row in kept_rows(store)] == ["r2", "r3"]
    assert len(kept_rows(store, "labels")) == 1


def test_a_shipper_that_is_ended_ships_what_was_written_last(folder, served, store):
    """A service whose disk goes with it loses nothing of its log when it is ended."""
    shipper = ShipperProcess(folder, store.where)
    try:
        write(folder, answered(served, "first"))
        shipper.look()
        await_true(lambda: read_shipped_at(folder))
        write(folder, answered(served, "last"))
    finally:
        shipper.end()

    assert [row["request_id"] for row in kept_rows(store)] == ["first", "last"]
    assert list_segments(folder / ANSWERS) == []


def test_a_service_that_ends_soon_ships_too(folder, served, store):
    """No shipper runs before there is something for it; what there is at the end is shipped by one."""
    shipper = ShipperProcess(folder, store.where)
    shipper.look()
    write(folder, answered(served, "only"))
    shipper.end()

    assert [row["request_id"] for row in kept_rows(store)] == ["only"]


def test_a_shipper_that_cannot_be_started_costs_no_answer(folder, served, store, monkeypatch, caplog):
    """It is told of, tried again later, and its end is none."""
    write(folder, answered(served))
    monkeypatch.setattr("sys.executable", str(folder / "no such program"))
    shipper = ShipperProcess(folder, store.where)
    shipper.look()
    shipper.look()
    assert len([line for line in caplog.messages if "waits on this machine" in line]) == 1
    shipper.end()
    assert len(list_segments(folder / ANSWERS)) == 1
