"""The prediction log: what is kept, what a kill or a store that is away costs, what is counted."""

from __future__ import annotations

import errno
import io
import os
import re
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest

from evertrain.errors import StorageError, StorageUnavailable
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from evertrain.serving_plan import ServingPlan
from evertrain.storage import open_store
from serving.app import create_app
from serving.fleet import Fleet, Served
from serving.prediction_log import parts, segments
from serving.prediction_log.lines import spell_answer
from serving.prediction_log.places import ANSWERS, LABELS, read_shipped_at, waiting_bytes
from serving.prediction_log.recorder import PredictionLog, is_sampled
from serving.prediction_log.segments import SegmentWriter, list_segments, taken
from serving.prediction_log.shipper import ship
from serving.recorder import Answered, LateLabel, LogCounts

BOUND_SECONDS = 20
ROWS = [
    {"distance": 1400, "carrier": "UA", "night flight": False, "departs": "2013-01-31T05:00:00Z"},
    {"distance": 0.1, "carrier": None, "night flight": None, "departs": None},
    {"distance": None, "carrier": 7, "night flight": 1, "departs": "2013-07-04"},
    {"distance": -1e30, "carrier": "", "night flight": True, "departs": "9999-12-31"},
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def served(bundle_of):
    return Served("flights", 3, 2, bundle_of())


def answered(served, request_id="r1", rows=1, **more):
    """A request as it was answered; its rows are those of ROWS, over and over."""
    columns = {name: [ROWS[row % len(ROWS)][name] for row in range(rows)] for name in ROWS[0]}
    facts = {"arm": "stable", "entity": None, "at_seconds": 1.7e9, "seconds": 0.002, **more}
    return Answered(
        served=served,
        request_id=request_id,
        columns=columns,
        prediction=served.bundle.predict(columns),
        **facts,
    )


def kept_rows(store, kind="predictions"):
    """All rows in the store's parts, in the order of their keys."""
    rows = []
    for key in sorted(store.list(f"{kind}/")):
        rows += pq.read_table(io.BytesIO(store.get(key))).to_pylist()
    return rows


def write(folder, *answers):
    """Log *answers* and end, as a service that is ended does."""
    with PredictionLog(folder) as log:
        for each in answers:
            log.record_answer(each)
    return log


def test_an_answer_is_kept_with_all_that_led_to_it(folder, served, store):
    """One row a row: ids, time, model, arm, latency, entity, answer, and the features as they came."""
    write(folder, answered(served, "r1", rows=2, entity="flight 7"), answered(served, "r2"))

    assert ship(folder, store) == 1
    (key,) = store.list("predictions/")
    assert re.fullmatch(r"predictions/flights/2023-11-14/\d{20}-[0-9a-f]{12}-3\.parquet", key)
    rows = kept_rows(store)
    assert [row["prediction_id"] for row in rows] == ["r1/0", "r1/1", "r2/0"]
    assert rows[0] == {
        "prediction_id": "r1/0",
        "request_id": "r1",
        "row": 0,
        "at": datetime.fromtimestamp(1.7e9, UTC),
        "pipeline": "flights",
        "version": 3,
        "bundle": "d" * 64,
        "arm": "stable",
        "latency_ms": 2.0,
        "entity": "flight 7",
        "prediction": "Yes",
        "probability_No": 0.25,
        "probability_Yes": 0.75,
        "feature.distance": 1400.0,
        "feature.carrier": "UA",
        "feature.night flight": False,
        "feature.departs": "2013-01-31T05:00:00Z",
    }


def test_the_log_scores_to_the_same_bits(folder, served, store):
    """What was logged makes the same model inputs again, whatever was sent."""
    from evertrain.columns import encode_inputs

    write(folder, answered(served, rows=len(ROWS)))
    ship(folder, store)
    features = served.bundle.signature.features
    logged = kept_rows(store)
    again = encode_inputs(features, {f.name: [row[f"feature.{f.name}"] for row in logged] for f in features})
    first = encode_inputs(features, {f.name: [row[f.name] for row in ROWS] for f in features})

    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize(
    ("classes", "found"), [(None, [0.5]), ((False, True), [True]), ((1, 2), [2]), (("a", "b"), ["b"])]
)
def test_an_answer_keeps_its_type(folder, bundle_of, store, classes, found):
    """Numbers stay numbers, booleans booleans, texts texts."""
    signature = Signature(
        task="regression" if classes is None else "binary_classification",
        target="y",
        features=(Feature(name="x", kind="numeric", type="float"),),
        classes=classes,
    )
    answer = Prediction(values=np.array([0.5])) if classes is None else Prediction(codes=np.array([1]))
    served = Served("flights", 1, 1, bundle_of(lambda _: answer, signature=signature))
    columns = {"x": np.array([np.nan], dtype=np.float32)}
    write(folder, Answered(served, "stable", "r", None, 0.0, 0.0, columns, answer))
    ship(folder, store)

    assert [row["prediction"] for row in kept_rows(store)] == found
    assert kept_rows(store)[0]["feature.x"] is None


def test_versions_lie_in_parts_of_their_own(folder, bundle_of, store):
    """A swap within a segment makes two parts; each row names the version that answered."""
    first, second = Served("flights", 1, 1, bundle_of()), Served("flights", 2, 2, bundle_of(digest="e" * 64))
    write(folder, answered(first, "r1"), answered(second, "r2"), answered(first, "r3"))
    ship(folder, store)

    assert len(list(store.list("predictions/flights/"))) == 2
    assert {row["request_id"]: row["version"] for row in kept_rows(store)} == {"r1": 1, "r2": 2, "r3": 1}


def test_many_rows_make_several_parts(folder, bundle_of, store, monkeypatch):
    """However many rows a segment holds, few are in memory at a time; none is lost or doubled on the way."""
    monkeypatch.setattr(parts, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(parts, "ROWS_A_PART", 7)
    first, second = Served("flights", 1, 1, bundle_of()), Served("flights", 2, 2, bundle_of(digest="e" * 64))
    requests = [(first if number % 3 else second, f"r{number:02d}", 1 + number % 4) for number in range(20)]
    write(folder, *(answered(served, name, rows) for served, name, rows in requests))
    ship(folder, store)

    assert len(list(store.list("predictions/"))) > 5
    kept = {(row["request_id"], row["row"]): row["version"] for row in kept_rows(store)}
    assert len(kept_rows(store)) == len(kept)
    assert kept == {(name, row): served.version for served, name, rows in requests for row in range(rows)}


def test_what_no_longer_fits_is_dropped_and_counted(folder, served):
    """A queue for ten answers takes ten; each further one is counted, and none is waited for."""
    log = PredictionLog(folder, most_queued_bytes=10 * len(spell_answer(answered(served, "r00"))))
    for number in range(25):
        log.record_answer(answered(served, f"r{number:02d}"))
    log.record_answer(answered(served, "large", rows=3))

    assert log.counts().rows == {"flights": LogCounts(logged=0, sampled_out=0, dropped=18)}
    assert log.counts().queued_rows == 10
    with log:
        pass
    assert log.counts().rows == {"flights": LogCounts(logged=10, sampled_out=0, dropped=18)}
    assert log.counts().queued_rows == 0


def test_a_sample_is_the_same_whoever_draws_it(folder, bundle_of):
    """A quarter of four thousand requests, by their ids alone; the rest counts as left out."""
    served = Served("flights", 1, 1, bundle_of(serving=ServingPlan(sample=0.25)))
    log = PredictionLog(folder)
    for number in range(4_000):
        log.record_answer(answered(served, f"request {number}"))

    (counts,) = log.counts().rows.values()
    chosen = sum(is_sampled(f"request {number}", 0.25) for number in range(4_000))
    assert counts.sampled_out == 4_000 - chosen
    assert 900 < chosen < 1_100
    assert log.counts().queued_rows == chosen


def test_what_shall_not_be_logged_is_not(folder, bundle_of):
    """With log_predictions: false nothing is kept and nothing counted."""
    served = Served("flights", 1, 1, bundle_of(serving=ServingPlan(log_predictions=False)))
    log = write(folder, answered(served))

    assert log.counts().rows == {}
    assert list_segments(folder / ANSWERS) == []


def test_labels_are_on_the_disk_when_they_are_taken(folder, store):
    """They are there before the log is ended, and reach the store with when they came."""
    log = PredictionLog(folder)
    log.record_labels("flights", [LateLabel("r1/0", "Yes"), LateLabel("r1/1", "No")])
    (segment,) = list_segments(folder / LABELS)
    assert segment.read_bytes().count(b"\n") == 2
    assert ship(folder, store) == 0
    with log:
        pass

    ship(folder, store)
    rows = kept_rows(store, "labels")
    assert [(row["prediction_id"], row["label"]) for row in rows] == [("r1/0", "Yes"), ("r1/1", "No")]
    assert abs(rows[0]["arrived_at"].timestamp() - time.time()) < 60


@pytest.mark.fault
def test_a_full_disk_costs_the_log_and_no_answer(folder, served, store, monkeypatch, caplog):
    """Answers that can't be written are dropped and counted, labels refused; no half line stays."""
    log = PredictionLog(folder)
    log.record_labels("flights", [LateLabel("kept/0", "Yes")])
    real = os.write

    def write_half(file, data):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(segments.os, "write", write_half)
    with pytest.raises(StorageError, match="No space left"):
        log.record_labels("flights", [LateLabel("lost/0", "No")])
    with log:
        for number in range(3):
            log.record_answer(answered(served, f"r{number}"))
    monkeypatch.undo()

    assert log.counts().rows == {"flights": LogCounts(logged=0, sampled_out=0, dropped=3)}
    assert len([line for line in caplog.messages if "No space left" in line]) == 1
    ship(folder, store)
    assert [row["prediction_id"] for row in kept_rows(store, "labels")] == ["kept/0"]


class Away:
    """A store that takes nothing, or takes a part and is gone before it is known."""

    def __init__(self, store, takes):
        self.store = store
        self.takes = takes

    def put_if_absent(self, key, data):
        if self.takes:
            self.store.put_if_absent(key, data)
        raise StorageUnavailable("It doesn't answer.")


@pytest.mark.fault
@pytest.mark.parametrize("takes", [False, True])
def test_a_store_that_is_away_doubles_and_loses_nothing(folder, served, store, takes):
    """The segment stays until the store has it; one that had it already isn't given it twice."""
    write(folder, answered(served, "r1", rows=2))
    with pytest.raises(StorageUnavailable):
        ship(folder, Away(store, takes))
    assert read_shipped_at(folder) is None
    assert waiting_bytes(folder) > 0

    assert ship(folder, store) == 1
    assert [row["prediction_id"] for row in kept_rows(store)] == ["r1/0", "r1/1"]
    assert waiting_bytes(folder) == 0
    assert abs(read_shipped_at(folder) - time.time()) < 60


def test_a_segment_that_is_written_is_left_alone(folder, store, served):
    """Neither what is open nor what another shipper has taken is shipped."""
    writer = SegmentWriter(folder / ANSWERS)
    writer.append(b"{}\n")
    assert ship(folder, store) == 0
    writer.close()
    (segment,) = list_segments(folder / ANSWERS)
    with taken(segment) as mine:
        assert mine
        with taken(segment) as also:
            assert not also


def test_half_a_line_is_not_there(folder, served, store):
    """What a kill cut off in the middle is passed over; the lines before it are kept."""
    write(folder, answered(served, "r1"))
    (segment,) = list_segments(folder / ANSWERS)
    with segment.open("ab") as file:
        file.write(b'{"of": "flights/3/ddd", "arm": "sta')

    ship(folder, store)
    assert [row["prediction_id"] for row in kept_rows(store)] == ["r1/0"]


def test_old_and_large_segments_are_closed(folder, monkeypatch):
    """A segment ends by size or by age, so that what it holds comes into the store."""
    writer = SegmentWriter(folder)
    writer.append(b"x\n")
    writer.close_if_due()
    assert not writer.is_fresh
    monkeypatch.setattr(segments, "MOST_SECONDS", 0.0)
    writer.close_if_due()
    assert writer.is_fresh
    monkeypatch.undo()
    monkeypatch.setattr(segments, "MOST_BYTES", 2)
    writer.append(b"x\n")
    writer.close_if_due()
    assert writer.is_fresh
    assert len(list_segments(folder)) == 2


def test_objects_are_parts_too(folder, served, s3_bucket):
    """On S3 the same part is there once, however often it is shipped."""
    store = open_store(f"s3://{s3_bucket}/evertrain")
    write(folder, answered(served, "r1"))
    (segment,) = list_segments(folder / ANSWERS)
    data = segment.read_bytes()
    ship(folder, store)
    segment.write_bytes(data)
    ship(folder, store)

    assert [row["prediction_id"] for row in kept_rows(store)] == ["r1/0"]


def test_the_app_tells_its_recorder(folder, bundle_of, asker, store):
    """From a request to the store: the ids in the answer's header are those in the log."""
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    service = asker(bundle_of())
    with PredictionLog(folder) as log:
        service.app = create_app(fleet, recorder=log)
        answer = service.post({"instances": ROWS})
    ship(folder, store)

    identity = answer.headers["x-evertrain-request-id"]
    assert [row["prediction_id"] for row in kept_rows(store)] == [f"{identity}/{row}" for row in range(4)]
    assert [row["prediction"] for row in kept_rows(store)] == answer.json()["predictions"]
