"""The JSON forms of MLflow's scoring protocol, and what is answered to them."""

from __future__ import annotations

import numpy as np
import pytest

from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature

FAR = [1400, "UA", False, "2013-01-31T05:00:00Z"]
NEAR = [200.5, "never seen", None, "2013-07-04"]
NAMES = ["distance", "carrier", "night flight", "departs"]
RECORDS = [dict(zip(NAMES, each, strict=True)) for each in (FAR, NEAR)]
ANSWER = {
    "predictions": ["Yes", "No"],
    "probabilities": [[0.25, 0.75], [0.75, 0.25]],
    "classes": ["No", "Yes"],
}
FORMS = {
    "split": {"dataframe_split": {"columns": NAMES, "data": [FAR, NEAR]}},
    "split with an index": {"dataframe_split": {"index": [7, 9], "columns": NAMES, "data": [FAR, NEAR]}},
    "split in another order": {"dataframe_split": {"columns": NAMES[::-1], "data": [FAR[::-1], NEAR[::-1]]}},
    "records": {"dataframe_records": RECORDS},
    "records with params": {"dataframe_records": RECORDS, "params": {"temperature": 1}},
    "instances of objects": {"instances": RECORDS},
    "instances of lists": {"instances": [FAR, NEAR]},
    "inputs by column": {"inputs": {name: [row[name] for row in RECORDS] for name in NAMES}},
    "inputs of objects": {"inputs": RECORDS},
    "inputs of lists": {"inputs": [FAR, NEAR]},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["/invocations", "/models/flights/invocations"])
def test_forms_mean_the_same_rows(asker, bundle_of, form, path):
    """Every form of the same two rows gets the same answer, with version and arm in its headers."""
    answer = asker(bundle_of()).post(FORMS[form], path)

    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert (answer.headers["x-evertrain-version"], answer.headers["x-evertrain-arm"]) == ("3", "stable")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_media_type_has_many_spellings(asker, bundle_of, media_type):
    """A charset and capital letters change nothing in what is JSON."""
    answer = asker(bundle_of()).post(FORMS["records"], content_type=media_type)

    assert answer.status_code == 200


def test_other_columns_of_the_training_data_are_ignored(asker, bundle_of, row):
    """Target, timestamp, entity, weight and left-out columns may be there and hold anything."""
    more = {"late": "Yes", "time_hour": [], "flight": {"a": 1}, "weight": None, "tail": "N1"}

    answer = asker(bundle_of()).post({"dataframe_records": [{**row, **more}, row]})

    assert answer.json()["predictions"] == ["Yes", "Yes"]


def test_other_columns_in_a_split_are_ignored(asker, bundle_of):
    """A split with the target among its columns is read by name."""
    split = {"columns": ["late", *NAMES], "data": [["No", *FAR]]}

    assert asker(bundle_of()).post({"dataframe_split": split}).json()["predictions"] == ["Yes"]


def test_null_is_a_missing_value(asker, bundle_of):
    """A row of nulls is answered."""
    answer = asker(bundle_of()).post({"instances": [[None] * 4]})

    assert answer.json()["predictions"] == ["No"]


def test_native_models_and_long_bodies_are_answered_alike(asker, bundle_of):
    """What is scored in a thread gets the same answer as what is scored at once."""
    rows = [FAR] * 600

    for runtime in ("onnx", "native"):
        answer = asker(bundle_of(runtime=runtime)).post({"instances": rows})

        assert answer.json()["predictions"] == ["Yes"] * 600


def test_regressors_answer_numbers_alone(asker, bundle_of):
    """A regressor's answer has neither probabilities nor classes."""
    signature = Signature(
        task="regression", target="temp", features=(Feature(name="°C", kind="numeric", type="float"),)
    )
    bundle = bundle_of(lambda inputs: Prediction(values=inputs["in_000"] * 2.0), signature=signature)

    assert asker(bundle).post({"inputs": {"°C": [1.5]}}).json() == {"predictions": [3.0]}


@pytest.mark.parametrize("classes", [(False, True), (0, 1), (0.5, 1.5), ("é", "Ja")])
def test_labels_keep_their_type(asker, bundle_of, row, classes):
    """Labels come back in the training data's own type and spelling."""
    signature = bundle_of().signature.model_copy(update={"classes": classes, "has_probabilities": False})
    bundle = bundle_of(lambda _: Prediction(codes=np.array([1, 0])), signature=signature)

    answer = asker(bundle).post({"instances": [row, row]}).json()

    assert {"predictions": [classes[1], classes[0]]} == answer
    assert type(classes[1]) is type(answer["predictions"][0])


def test_a_sane_request_id_is_kept(asker, bundle_of, row):
    """The caller's id comes back, with answers and with refusals."""
    service = asker(bundle_of())

    for body in ({"instances": [row]}, {}):
        answer = service.post(body, x_evertrain_request_id="order-17:a")

        assert answer.headers["x-evertrain-request-id"] == "order-17:a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a/b", b"\xc3\xa9"])
def test_another_request_id_is_replaced(asker, bundle_of, row, given):
    """An id that couldn't stand in a prediction id is replaced by a new one, another each time."""
    service = asker(bundle_of())
    ids = {
        service.post({"instances": [row]}, x_evertrain_request_id=given).headers["x-evertrain-request-id"]
        for _ in range(2)
    }

    assert len(ids) == 2
    assert given not in ids
