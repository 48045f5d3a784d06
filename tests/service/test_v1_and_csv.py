""":predict of TensorFlow Serving, KServe V1 and Vertex AI, and rows in CSV."""

from __future__ import annotations

import pytest

NAMES = ["distance", "carrier", "night flight", "departs"]
FAR = [1400, "UA", False, "2013-01-31T05:00:00Z"]
NEAR = [200.5, None, None, None]
ROWS = [dict(zip(NAMES, each, strict=True)) for each in (FAR, NEAR)]
PREDICT = "/v1/models/flights:predict"
ANSWER = {
    "predictions": ["Yes", "No"],
    "probabilities": [[0.25, 0.75], [0.75, 0.25]],
    "classes": ["No", "Yes"],
}
HEADING = "distance,carrier,night flight,departs"


@pytest.fixture
def service(asker, bundle_of):
    return asker(bundle_of())


@pytest.mark.parametrize(
    "body",
    [
        {"instances": ROWS},
        {"instances": [FAR, NEAR]},
        {"instances": ROWS, "signature_name": "serving_default"},
        {"instances": ROWS, "parameters": {"confidence": 1}},
    ],
)
def test_instances_give_predictions(service, body):
    """Rows as objects or lists, with what Vertex AI and TensorFlow's clients send beside them."""
    answer = service.post(body, PREDICT)

    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert answer.headers["x-evertrain-version"] == "3"


@pytest.mark.parametrize(
    "body", [{}, {"inputs": ROWS}, {"instances": ROWS, "more": 1}, {"dataframe_records": ROWS}]
)
def test_other_forms_are_refused_there(service, body):
    """:predict takes instances alone."""
    assert service.post(body, PREDICT).status_code == 422


def test_the_model_says_that_it_is_there(service):
    """GET of the model answers KServe's question and TensorFlow Serving's; an unknown one is 404."""
    answer = service.get("/v1/models/flights").json()

    assert (answer["name"], answer["ready"]) == ("flights", True)
    assert answer["model_version_status"][0]["state"] == "AVAILABLE"
    assert service.get("/v1/models/trains").status_code == 404
    assert service.post({"instances": ROWS}, "/v1/models/trains:predict").status_code == 404


def test_the_models_that_answer_are_listed(asker, bundle_of):
    """GET of /v1/models names those that answer, as KServe does: none before the first is loaded."""
    assert asker().get("/v1/models").json() == {"models": []}
    assert asker(bundle_of(), bundle_of()).get("/v1/models").json() == {"models": ["flights", "weather"]}


def csv(service, text, content_type="text/csv"):
    body = text if isinstance(text, bytes) else text.encode()
    return service.post(body, content_type=content_type)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADING}\n1400,UA,false,2013-01-31T05:00:00Z\n200.5,,,\n",
        f"{HEADING}\r\n1400,UA,False,2013-01-31T05:00:00Z\r\n200.5,,,",
        f"\ufeff{HEADING}\n1.4e3,UA,0,2013-01-31T05:00:00Z\n+200.5,,NA,\n\n",
        'late,departs,"night flight",carrier,distance\nx,2013-01-31T05:00:00Z,FALSE,"UA",1400\n'
        "y,,null,,200.5\n",
    ],
)
@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8", "Text/CSV"])
def test_rows_in_csv_mean_the_same(service, text, content_type):
    """Names in the first line, in any order and quoting; an empty field is missing; ignored columns are."""
    answer = csv(service, text, content_type)

    assert (answer.status_code, answer.json()) == (200, ANSWER)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("departs", "distance,carrier,night flight\n1,UA,true\n"),
        ("stranger", f"{HEADING},stranger\n1,UA,true,,5\n"),
        ("distance", f"{HEADING},distance\n1,UA,true,,5\n"),
        ("body", f"{HEADING}\n"),
        ("body[1]", f"{HEADING}\n1,UA,true,\n1,UA,true\n"),
        ("distance", f"{HEADING}\nfar,UA,true,\n"),
        ("distance", f"{HEADING}\n1e400,UA,true,\n"),
        ("distance", f"{HEADING}\ninf,UA,true,\n"),
        ("distance", f"{HEADING}\n1_000,UA,true,\n"),
        ("distance", f"{HEADING}\n0x10,UA,true,\n"),
        ("distance", f"{HEADING}\n\u0663,UA,true,\n"),
        ("distance", f"{HEADING}\n{'9' * 400},UA,true,\n"),
        ("night flight", f"{HEADING}\n1,UA,maybe,\n"),
        ("departs", f"{HEADING}\n1,UA,true,yesterday\n"),
    ],
)
def test_wrong_csv_is_named(service, field, text):
    """A column that is missing, unknown, repeated or ill-typed, and a ragged row, are 422 naming it."""
    answer = csv(service, text)

    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b'"half', b"a\0b", b'distance,"a"b\n1,2\n'])
def test_what_is_no_csv_is_400(service, body):
    """Bytes that aren't CSV in UTF-8 are refused as such."""
    answer = csv(service, body)

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:evertrain:problem:not-csv")


def test_too_many_rows_in_csv_are_413(service):
    """The limit of rows holds for CSV too, and the heading isn't one."""
    row = "1,UA,true,\n"

    assert csv(service, f"{HEADING}\n{row * 1000}").status_code == 200
    assert csv(service, f"{HEADING}\n{row * 1001}").status_code == 413
