"""What the service refuses, and how its problems name what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from evertrain.predictions import Prediction
from serving.fleet import Fleet
from serving.scoring import Limits

FAR = [1400, "UA", False, "2013-01-31T05:00:00Z"]
ROW = dict(zip(["distance", "carrier", "night flight", "departs"], FAR, strict=True))
COLUMNS = {name: [value, value] for name, value in ROW.items()}


def one(**changes):
    return {"dataframe_records": [{**ROW, **changes}]}


def raw(cell: str, name: str = "distance") -> bytes:
    """A body whose cell *name* is spelled *cell*, JSON or not."""
    cells = {"distance": "1", "carrier": '"UA"', "night flight": "true", "departs": "null"} | {name: cell}
    return f'{{"instances": [[{", ".join(cells.values())}]]}}'.encode()


NOT_JSON = {
    "nothing": b"",
    "words": b"distance=1400",
    "half an object": b'{"instances": [',
    "a tail": b'{"instances": []} x',
    "another encoding": '{"instances": [["é"]]}'.encode("latin-1"),
    "UTF-16": '{"instances": []}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a depth bomb": b"[" * 100_000,
    "a deep object": b'{"a":' * 100_000,
    "a single quote": b"{'instances': []}",
    "minus minus": raw("--1"),
    "a control character": raw('"\x01"', "carrier"),
}


@pytest.mark.parametrize("case", NOT_JSON)
def test_what_is_not_json_is_400(asker, bundle_of, case):
    """A body that isn't JSON is refused as such."""
    answer = asker(bundle_of()).post(NOT_JSON[case])

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:evertrain:problem:not-json")


INVALID = {
    # which part or column: body
    "body": [[], 1, None, "x", {}, {"params": {}}, raw("1" * 5000)],
    "rows": [{**one(), "rows": []}],
    "instances": [{"instances": []}, {"instances": 5}, {"instances": {}}],
    "dataframe_records": [{"dataframe_records": []}, {"dataframe_records": ROW}],
    "dataframe_records[0]": [{"dataframe_records": [FAR]}],
    "dataframe_records[1]": [{"dataframe_records": [ROW, 7]}],
    "inputs": [{"inputs": "x"}, {"inputs": []}, {"inputs": [FAR], "instances": [FAR]}],
    "instances[0]": [{"instances": [5]}, {"instances": [[1]]}, {"instances": [[]]}, {"instances": ["x"]}],
    "instances[1]": [{"instances": [ROW, FAR]}, {"instances": [FAR, ROW]}, {"instances": [FAR, [*FAR, 1]]}],
    "dataframe_split": [
        {"dataframe_split": []},
        {"dataframe_split": {"data": [FAR]}},
        {"dataframe_split": {"columns": list(ROW)}},
    ],
    "name": [{"dataframe_split": {"columns": list(ROW), "data": [FAR], "name": "x"}}],
    "dataframe_split.columns": [
        {"dataframe_split": {"columns": "distance", "data": [FAR]}},
        {"dataframe_split": {"columns": [1, 2, 3, 4], "data": [FAR]}},
    ],
    "dataframe_split.data": [
        {"dataframe_split": {"columns": list(ROW), "data": []}},
        {"dataframe_split": {"columns": list(ROW), "data": {}}},
    ],
    "dataframe_split.data[1]": [{"dataframe_split": {"columns": list(ROW), "data": [FAR, FAR[:3]]}}],
    "night flight": [
        {"inputs": {name: values for name, values in COLUMNS.items() if name != "night flight"}},
        {"inputs": {**COLUMNS, "night flight": [True]}},
        {"inputs": {**COLUMNS, "night flight": []}},
        {"inputs": {**COLUMNS, "night flight": True}},
        {"dataframe_records": [ROW, {name: ROW[name] for name in ROW if name != "night flight"}]},
        {"dataframe_split": {"columns": ["distance", "carrier", "departs"], "data": [[1, "UA", None]]}},
        one(**{"night flight": 2}),
        one(**{"night flight": "true"}),
        b'{"dataframe_records": [{"night flight": true, "night flight": true}]}',
    ],
    "speed": [
        one(speed=1),
        {"inputs": {**COLUMNS, "speed": [1, 2]}},
        {"dataframe_split": {"columns": [*ROW, "speed"], "data": [[*FAR, 1]]}},
        {"dataframe_records": [ROW, {**ROW, "speed": 1}]},
    ],
    "carrier": [
        {"dataframe_split": {"columns": [*ROW, "carrier"], "data": [[*FAR, "UA"]]}},
        one(carrier=["UA"]),
        one(carrier={"a": {"b": []}}),
        raw(r'"\ud800"', "carrier"),
        raw("1e400", "carrier"),
        raw("NaN", "carrier"),
        raw("[" * 400 + "]" * 400, "carrier"),
    ],
    "distance": [
        one(distance="1400"),
        one(distance=True),
        one(distance=[1400]),
        one(distance={}),
        one(distance=1e39),
        one(distance=10**400),
        raw("NaN"),
        raw("Infinity"),
        raw("-Infinity"),
        raw("1e400"),
        raw("-1e999"),
        b'{"inputs": {"distance": 1, "distance": 2}}',
    ],
    "departs": [one(departs="soon"), one(departs=5), one(departs=True), one(departs=""), one(departs=[])],
    "params": [b'{"params": 1, "instances": [], "params": 2}'],
}
CASES = [(field, body) for field, bodies in INVALID.items() for body in bodies]


@pytest.mark.parametrize(("field", "body"), CASES)
def test_rows_that_are_wrong_are_422_naming_the_field(asker, bundle_of, field, body):
    """A wrong request is refused with the column, or the part of the request, that is wrong."""
    answer = asker(bundle_of()).post(body)

    assert (422, field) == (answer.status_code, answer.json()["field"])
    assert answer.json()["type"] == "urn:evertrain:problem:invalid-input"


def test_nan_in_an_ignored_column_is_no_json_either(asker, bundle_of):
    """NaN isn't JSON wherever it stands; the form that holds it is named."""
    cells = b'"distance": 1, "carrier": "UA", "night flight": null, "departs": null, "late": NaN'
    body = b'{"instances": [{' + cells + b"}]}"

    answer = asker(bundle_of()).post(body)

    assert (answer.status_code, answer.json()["field"]) == (422, "instances")


def test_problems_are_problems(asker, bundle_of):
    """A refusal has RFC 9457's members and media type, and its detail says what to do."""
    answer = asker(bundle_of()).post(one(speed=1))

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:evertrain:problem:invalid-input",
        "title": "The rows can't be scored as they are",
        "status": 422,
        "detail": "Unknown in row 0 of dataframe_records: 'speed'; the model takes 'distance', 'carrier', "
        "'night flight', 'departs'.",
        "field": "speed",
    }


def test_many_wrong_columns_are_not_all_listed(asker, bundle_of):
    """A problem stays short however many columns are wrong."""
    answer = asker(bundle_of()).post({"dataframe_records": [{**ROW, **{f"x{i}": 1 for i in range(500)}}]})

    assert "and 490 more" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"%s": 1, "instances": [[1]]}' % (b"x" * 900_000),
        b'{"instances": [{"%s": 1, "%s": 1}]}' % (b"x" * 400_000, b"x" * 400_000),
        b'{"instances": [{"distance": 1, "carrier": "", "night flight": 1, "departs": "%s"}]}'
        % (b"x" * 900_000),
    ],
)
def test_a_long_name_is_cut(asker, bundle_of, body):
    """A problem doesn't send back all that a caller sent."""
    answer = asker(bundle_of()).post(body)

    assert answer.status_code == 422
    assert len(answer.content) < 4_000


def test_a_lone_surrogate_in_a_name_is_spelled_back(asker, bundle_of):
    """An unknown column whose name is no text is refused in JSON that can be read."""
    answer = asker(bundle_of()).post(rb'{"dataframe_records": [{"\ud800": 1}]}')

    assert answer.status_code == 422


@pytest.mark.parametrize("rows", [4, 5000])
@pytest.mark.parametrize("form", ["instances", "inputs", "dataframe_records"])
def test_too_many_rows_are_413(asker, bundle_of, rows, form):
    """More rows than are allowed are refused, at once however many they are."""
    service = asker(bundle_of(), limits=Limits(rows=3))
    body = {form: {name: [v] * rows for name, v in ROW.items()} if form == "inputs" else [ROW] * rows}

    assert service.post(body).status_code == 413
    assert service.post({"instances": [ROW] * 3}).status_code == 200


def test_a_thousand_rows_are_allowed(asker, bundle_of):
    """By default 1,000 rows are answered and 1,001 are not."""
    service = asker(bundle_of())

    statuses = [service.post({"instances": [FAR] * rows}).status_code for rows in (1000, 1001)]

    assert statuses == [200, 413]


def test_a_large_body_is_413(asker, bundle_of):
    """A body of the limit is read; one byte more is refused, and the connection is to be closed."""
    service = asker(bundle_of(), limits=Limits(body_bytes=2000))
    whole = b'{"instances": [[1, "UA", true, null]]}'.ljust(2000)

    assert service.post(whole).status_code == 200
    answer = service.post(whole + b" ")
    assert (
        answer.status_code,
        answer.headers["connection"],
        answer.json()["field"],
    ) == (413, "close", "body")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]
)
def test_other_media_types_are_415(asker, bundle_of, media_type):
    """Only JSON and CSV are taken, and the problem says so."""
    answer = asker(bundle_of()).post(one(), content_type=media_type)

    assert (answer.status_code, answer.json()["field"]) == (415, "content-type")
    assert "application/json or text/csv" in answer.json()["detail"]


def test_unknown_models_are_404_listing_those_there_are(asker, bundle_of):
    """A model that isn't here is refused with the names of those that are."""
    service = asker(bundle_of(), bundle_of())

    for answer in (service.post(one(), "/models/trains/invocations"), service.get("/models/trains")):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:evertrain:problem:unknown-model")
        assert "flights, weather" in answer.json()["detail"]


def test_bare_invocations_are_404_where_several_models_are_served(asker, bundle_of):
    """With two models the caller has to say which, and is told them."""
    answer = asker(bundle_of(), bundle_of()).post(one())

    assert answer.status_code == 404
    assert "flights, weather" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v2/", "/v2/models", "/v3", "/ping/", "/redoc", "/%ff"])
def test_other_addresses_are_404(asker, bundle_of, path):
    """What isn't there, isn't there: no address is guessed from a like one."""
    answer = asker(bundle_of()).get(path)

    assert (answer.status_code, answer.json()["type"]) == (404, "urn:evertrain:problem:no-route")


def test_a_wrong_method_is_405(asker, bundle_of):
    """A known address with another method is refused, and the right one is named."""
    answer = asker(bundle_of()).get("/invocations")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["type"] == "urn:evertrain:problem:wrong-method"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health/ready"), ("GET", "/ping"), ("GET", "/models/flights"), ("POST", "/invocations")],
)
def test_before_the_first_champion_the_service_is_not_ready(asker, method, path):
    """Without a champion every question but liveness gets 503 and when to ask again."""
    service = asker()
    service.fleet.expect("flights")

    answer = service.request(method, path)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:evertrain:problem:not-ready"
    assert service.get("/health/live").status_code == 200


def explode(_):
    raise RuntimeError("secret path /models/x")


def answer_nan(_):
    return Prediction(codes=np.array([0]), probabilities=np.array([[np.nan, 1.0]]))


@pytest.mark.parametrize("run", [explode, answer_nan])
def test_a_failing_model_is_500_model_failed(asker, bundle_of, run, caplog):
    """A model that raises, or answers with NaN, is the one 500; the cause stays in the log."""
    answer = asker(bundle_of(run)).post(one())

    assert (answer.status_code, answer.json()["type"]) == (500, "urn:evertrain:problem:model-failed")
    assert "secret" not in answer.text
    assert "flights v3 (onnx) failed" in caplog.text


def test_nothing_served_is_nothing_listed(asker):
    """An empty service says that no model is here."""
    answer = asker().post(one(), "/models/flights/invocations")

    assert Fleet().loaded() == []
    assert (answer.status_code, "is none yet" in answer.json()["detail"]) == (404, True)
