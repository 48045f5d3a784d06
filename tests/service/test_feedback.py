"""Labels that callers bring later: what is taken, what is refused, and what the recorder is told."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from evertrain.errors import StorageError
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.app import create_app
from serving.prediction_log.recorder import PredictionLog
from serving.prediction_log.shipper import ship
from serving.recorder import LateLabel, LogState

PATH = "/models/flights/feedback"
X = Feature(name="x", kind="numeric", type="float")


class Keeping:
    """A recorder that keeps in memory what it is told, or fails."""

    def __init__(self, error=None):
        self.labels = []
        self.answers = []
        self.error = error

    def record_answer(self, answered):
        self.answers.append(answered)

    def record_labels(self, pipeline, labels):
        if self.error:
            raise self.error
        self.labels += [(pipeline, label) for label in labels]

    def counts(self):
        return LogState()


@pytest.fixture
def keeping():
    return Keeping()


@pytest.fixture
def service(asker, bundle_of, keeping):
    made = asker(bundle_of())
    made.app = create_app(made.fleet, recorder=keeping)
    return made


def labels(*pairs):
    return {"labels": [{"prediction_id": identity, "label": label} for identity, label in pairs]}


def test_labels_are_kept_and_counted(service, keeping):
    """They reach the recorder in their order, by pipeline; a class never seen is a fact like others."""
    answer = service.post(labels(("r1/0", "Yes"), ("r1/1", "No"), ("r2/0", "Cancelled")), PATH)

    assert (answer.status_code, answer.json()) == (200, {"accepted": 3})
    assert keeping.labels == [
        ("flights", LateLabel("r1/0", "Yes")),
        ("flights", LateLabel("r1/1", "No")),
        ("flights", LateLabel("r2/0", "Cancelled")),
    ]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("labels", {}),
        ("labels", []),
        ("labels", {"labels": []}),
        ("labels", {"labels": {}}),
        ("more", {**labels(("r/0", "Yes")), "more": 1}),
        ("labels[0]", {"labels": [5]}),
        ("labels[0]", {"labels": [{"label": "Yes"}]}),
        ("labels[1]", {"labels": [*labels(("r/0", "Yes"))["labels"], {"prediction_id": "r/1"}]}),
        ("weight", {"labels": [{"prediction_id": "r/0", "label": "Yes", "weight": 1}]}),
        ("labels[0].prediction_id", labels(("r", "Yes"))),
        ("labels[0].prediction_id", labels((7, "Yes"))),
        ("labels[0].prediction_id", labels(("r/x", "Yes"))),
        ("labels[0].prediction_id", labels(("a b/0", "Yes"))),
        ("labels[0].prediction_id", labels(("r/\u0663", "Yes"))),
        ("labels[0].label", labels(("r/0", None))),
        ("labels[0].label", labels(("r/0", 1))),
        ("labels[0].label", labels(("r/0", True))),
        ("labels[0].label", labels(("r/0", ["Yes"]))),
        ("labels[0].label", labels(("r/0", "\ud800"))),
        ("prediction_id", labels(("r/0", "Yes"), ("r/0", "No"))),
    ],
)
def test_wrong_labels_are_named_and_none_is_kept(service, keeping, field, body):
    """One wrong label refuses all of a request: nothing half done stays."""
    answer = service.post(body, PATH)

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert keeping.labels == []


@pytest.mark.parametrize(
    ("classes", "fits", "fits_not"),
    [
        (None, [1, 2.5, -3, 10**30], [True, "1", None, 10**400]),
        ((0, 1), [0, 1, 1.0, 2, 2**63 - 1], [False, "1", None, 2**63, 10**400]),
        ((False, True), [True, False], [1, 0, "true"]),
        (("a", "b"), ["a", "c"], [1, True]),
    ],
)
def test_a_label_has_the_predictions_type(asker, bundle_of, keeping, classes, fits, fits_not):
    """Numbers for a regression and for numbered classes, booleans for booleans, texts for texts."""
    task = "regression" if classes is None else "binary_classification"
    signature = Signature(task=task, target="y", features=(X,), classes=classes)
    made = asker(bundle_of(lambda _: Prediction(values=np.zeros(1)), signature=signature))
    made.app = create_app(made.fleet, recorder=keeping)

    def statuses(given):
        return {made.post(labels(("r/0", label)), PATH).status_code for label in given}

    assert (statuses(fits), statuses(fits_not)) == ({200}, {422})
    assert made.post(b'{"labels": [{"prediction_id": "r/0", "label": NaN}]}', PATH).status_code == 422


@pytest.mark.parametrize("classes", [None, (0, 1), ("a", "b")])
def test_whatever_label_is_taken_reaches_the_store(asker, bundle_of, store, tmp_path, classes):
    """One that no file can hold would keep those after it on this machine for ever."""
    signature = Signature(task="regression", target="y", features=(X,), classes=classes)
    made = asker(bundle_of(signature=signature))
    hostile = [10**30, 10**400, 2**63, 2**63 - 1, -(2**63), 1.5, "\ud800", "\0", "", "b"]

    with PredictionLog(tmp_path / "log") as log:
        made.app = create_app(made.fleet, recorder=log)
        answers = [made.post(labels(("r/0", label)), PATH) for label in hostile]

    assert {answer.status_code for answer in answers} == {200, 422}
    assert ship(tmp_path / "log", store) == 1
    (key,) = store.list("labels/flights/")
    kept = pq.read_table(io.BytesIO(store.get(key))).num_rows
    assert kept == sum(answer.status_code == 200 for answer in answers)


def test_labels_that_cannot_be_kept_are_said_not_to_be(service, keeping):
    """Where the disk is full the caller is told to send them again."""
    keeping.error = StorageError("No space left on device.")
    answer = service.post(labels(("r/0", "Yes")), PATH)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:evertrain:problem:not-kept"


def test_too_many_labels_are_413_and_other_media_types_415(service):
    """The limits of a request hold for labels too; an unknown model is 404."""
    many = labels(*((f"r/{row}", "Yes") for row in range(1001)))

    assert service.post(many, PATH).status_code == 413
    assert service.post(b"{}", PATH, content_type="text/csv").status_code == 415
    assert service.post(labels(("r/0", "Yes")), "/models/trains/feedback").status_code == 404


def test_the_recorder_is_told_of_answers_and_of_nothing_else(service, keeping):
    """Each answered request once, with its rows, ids and arm; a refused one not at all."""
    row = {"distance": 1400, "carrier": "UA", "night flight": False, "departs": None}
    service.post({"instances": [row]}, x_evertrain_request_id="mine", x_evertrain_entity="flight 7")
    service.post({"instances": [{}]})

    (answered,) = keeping.answers
    assert (answered.request_id, answered.entity, answered.arm) == ("mine", "flight 7", "stable")
    assert (answered.served.name, answered.served.version) == ("flights", 3)
    assert answered.columns["distance"] == [1400]
    assert answered.prediction.codes.tolist() == [1]
    assert 0 < answered.seconds < 20
