"""The Open Inference Protocol V2: tensors in, tensors out, as JSON and as raw bytes."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.errors import InvalidInput
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.protocols.v2_tensors import DATATYPES, read_bytes, read_data, write_bytes

INFER = "/v2/models/flights/infer"


def tensors(**changes):
    """Two rows, one tensor a feature; *changes* replaces parts of a tensor's description."""
    made = {
        "distance": {"datatype": "FP64", "data": [1400, 200.5]},
        "carrier": {"datatype": "BYTES", "data": ["UA", None]},
        "night flight": {"datatype": "BOOL", "data": [False, None]},
        "departs": {"datatype": "BYTES", "data": ["2013-01-31T05:00:00Z", "2013-07-04"]},
    }
    return [
        {"name": name, "shape": [2], **parts, **changes.get(name.replace(" ", "_"), {})}
        for name, parts in made.items()
    ]


@pytest.fixture
def service(asker, bundle_of):
    return asker(bundle_of())


def test_tensors_are_answered_in_tensors(service):
    """One tensor a feature gives prediction and probabilities, row by row, with id, version and headers."""
    answer = service.post({"id": "mine", "inputs": tensors()}, INFER, x_evertrain_request_id="r1")

    assert answer.status_code == 200
    assert answer.json() == {
        "model_name": "flights",
        "model_version": "3",
        "id": "mine",
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [2], "data": ["Yes", "No"]},
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 0.75, 0.25]},
        ],
    }
    headers = [answer.headers[f"x-evertrain-{name}"] for name in ("version", "arm", "request-id")]
    assert headers == ["3", "stable", "r1"]


def test_a_column_may_be_a_matrix_of_one(service):
    """[n, 1], flat or nested, means the same as [n]; order and ignored columns change nothing."""
    wide = tensors(distance={"shape": [2, 1], "data": [[1400], [200.5]]}, carrier={"shape": [2, 1]})
    ignored = {"name": "late", "shape": [2], "datatype": "BYTES", "data": ["x", "y"]}

    plain = service.post({"inputs": tensors()}, INFER).json()
    assert service.post({"inputs": [ignored, *wide[::-1]]}, INFER).json() == plain


def test_outputs_may_be_chosen(service):
    """Only what is asked for is given, in that order; without names, all of it."""
    wanted = [{"name": "probabilities"}, {"name": "prediction"}]
    answer = service.post({"inputs": tensors(), "outputs": wanted}, INFER).json()
    assert [output["name"] for output in answer["outputs"]] == ["probabilities", "prediction"]
    answer = service.post({"inputs": tensors(), "outputs": wanted[1:]}, INFER).json()
    assert [output["name"] for output in answer["outputs"]] == ["prediction"]
    assert len(service.post({"inputs": tensors(), "outputs": []}, INFER).json()["outputs"]) == 2


@pytest.mark.parametrize(
    ("classes", "datatype", "data"),
    [
        ((False, True), "BOOL", [True, False]),
        ((0, 1), "INT64", [1, 0]),
        ((0.5, 1), "FP64", [1, 0.5]),
        (("a", "b"), "BYTES", ["b", "a"]),
    ],
)
def test_predictions_have_their_labels_type(asker, bundle_of, classes, datatype, data):
    """A label's own type decides the tensor's, in metadata and answer."""
    signature = Signature(
        task="binary_classification",
        target="y",
        features=(Feature(name="x", kind="numeric", type="float"),),
        classes=classes,
    )
    service = asker(bundle_of(lambda _: Prediction(codes=np.array([1, 0])), signature=signature))
    inputs = [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]

    assert service.get("/v2/models/flights").json()["outputs"] == [
        {"name": "prediction", "datatype": datatype, "shape": [-1]}
    ]
    outputs = service.post({"inputs": inputs}, INFER).json()["outputs"]
    assert outputs == [{"name": "prediction", "datatype": datatype, "shape": [2], "data": data}]


INVALID = {
    "inputs": [{}, {"inputs": []}, {"inputs": 5}, {"inputs": None}],
    "inputs[0]": [
        {"inputs": [5]},
        {"inputs": [{}]},
        {"inputs": [{"name": 7, "shape": [1], "datatype": "FP32", "data": [1]}]},
    ],
    "id": [{"id": 7, "inputs": tensors()}],
    "more": [{"inputs": tensors(), "more": 1}, {"inputs": tensors(distance={"more": 1})}],
    "departs": [{"inputs": tensors()[:3]}],
    "distance": [
        {"inputs": [*tensors(), tensors()[0]]},
        {"inputs": tensors(distance={"datatype": "FP8"})},
        {"inputs": tensors(distance={"datatype": ["FP32"]})},
        {"inputs": tensors(distance={"shape": [2, 2]})},
        {"inputs": tensors(distance={"shape": [0]})},
        {"inputs": tensors(distance={"shape": []})},
        {"inputs": tensors(distance={"shape": [2.0]})},
        {"inputs": tensors(distance={"shape": [True]})},
        {"inputs": tensors(distance={"shape": "2"})},
        {"inputs": tensors(distance={"data": [1]})},
        {"inputs": tensors(distance={"data": 1})},
        {"inputs": tensors(distance={"data": [[1, 2], [3, 4]]})},
        {"inputs": tensors(distance={"data": ["1", "2"]})},
        {"inputs": tensors(distance={"data": [True, False]})},
        {"inputs": tensors(distance={"datatype": "INT8", "data": [128, 0]})},
        {"inputs": tensors(distance={"datatype": "UINT64", "data": [-1, 0]})},
        {"inputs": tensors(distance={"datatype": "INT32", "data": [1.5, 0]})},
        {"inputs": tensors(distance={"datatype": "BOOL", "data": [True, True]})},
        {"inputs": tensors(distance={"datatype": "BYTES", "data": ["far", "near"]})},
        {"inputs": tensors(distance={"parameters": 5})},
        {"inputs": tensors(distance={"parameters": {"binary_data_size": 16}})},
    ],
    "carrier": [
        {"inputs": tensors(carrier={"data": [1, 2]})},
        {"inputs": tensors(carrier={"shape": [3], "data": ["a", "b", "c"]})},
    ],
    "stranger": [
        {"inputs": [*tensors(), {"name": "stranger", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
    ],
    "outputs": [{"inputs": tensors(), "outputs": 5}],
    "outputs[0]": [
        {"inputs": tensors(), "outputs": [5]},
        {"inputs": tensors(), "outputs": [{"name": "else"}]},
        {"inputs": tensors(), "outputs": [{"name": "prediction", "parameters": {"classification": 2}}]},
    ],
    "outputs[1]": [{"inputs": tensors(), "outputs": [{"name": "prediction"}, {"name": "prediction"}]}],
    "binary_data": [
        {"inputs": tensors(), "outputs": [{"name": "prediction", "parameters": {"binary_data": 1}}]}
    ],
    "binary_data_output": [{"inputs": tensors(), "parameters": {"binary_data_output": "yes"}}],
    "parameters": [{"inputs": tensors(), "parameters": []}],
}


@pytest.mark.parametrize(("field", "body"), [(field, body) for field in INVALID for body in INVALID[field]])
def test_what_is_wrong_is_named(service, field, body):
    """Each wrong request is a 422 that names the input or part, in a problem that V2's clients read too."""
    answer = service.post(body, INFER)

    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.json()
    assert answer.json()["error"] == answer.json()["detail"]


def test_numbers_that_are_none_are_refused(service):
    """NaN, Infinity and 1e400 in JSON are refused, wherever they stand."""
    for spelled in ("NaN", "Infinity", "-Infinity", "1e400"):
        body = json.dumps({"inputs": tensors()}).replace("1400", spelled).encode()
        assert service.post(body, INFER).status_code == 422
    ignored = {"name": "late", "shape": [2], "datatype": "FP32", "data": [1400, 0]}
    body = json.dumps({"inputs": [*tensors(distance={"data": [1, 2]}), ignored]}).replace("1400", "NaN")
    assert service.post(body.encode(), INFER).json()["field"] == "inputs"


def test_too_many_rows_are_413(service):
    """A shape beyond the limit of rows is refused before its data is looked at."""
    body = {"inputs": tensors(distance={"shape": [1001], "data": []})}

    assert service.post(body, INFER).status_code == 413


def pack(inputs, raw, **more):
    """A body with the binary extension: JSON, then bytes; and the headers that say so."""
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + raw, {"inference_header_content_length": str(len(head))}


def binary_tensors():
    raw = {
        "distance": ("FP32", np.array([1400, np.nan], dtype="<f4").tobytes()),
        "carrier": ("BYTES", struct.pack("<I", 2) + b"UA" + struct.pack("<I", 0)),
        "night flight": ("BOOL", b"\1\0"),
        "departs": (
            "BYTES",
            b"".join(struct.pack("<I", 10) + text for text in (b"2013-01-31", b"2013-07-04")),
        ),
    }
    inputs = [
        {"name": name, "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
        for name, (datatype, data) in raw.items()
    ]
    return inputs, b"".join(data for _, data in raw.values())


def test_raw_bytes_mean_the_same_rows(service):
    """Tensors as bytes, NaN for what is missing, are answered as JSON's are; in bytes if wanted."""
    inputs, raw = binary_tensors()
    body, headers = pack(inputs, raw)
    answer = service.post(body, INFER, **headers, content_type="application/octet-stream")
    assert answer.json()["outputs"][0]["data"] == ["Yes", "No"]

    body, headers = pack(inputs, raw, parameters={"binary_data_output": True})
    answer = service.post(body, INFER, **headers)
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in outputs] == [13, 16]
    assert answer.content[length : length + 13] == b"\3\0\0\0Yes\2\0\0\0No"
    assert np.frombuffer(answer.content[length + 13 :], "<f4").tolist() == [0.25, 0.75, 0.75, 0.25]
    assert answer.headers["content-type"] == "application/octet-stream"


def test_some_tensors_may_be_raw_and_some_not(service):
    """Bytes and JSON mix, in inputs and in outputs."""
    inputs, raw = binary_tensors()
    mixed = [inputs[0], *tensors()[1:]]
    body, headers = pack(
        mixed,
        raw[:8],
        outputs=[{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
    )
    answer = service.post(body, INFER, **headers)
    length = int(answer.headers["inference-header-content-length"])

    assert answer.content[length:] == b"\3\0\0\0Yes\2\0\0\0No"
    assert json.loads(answer.content[:length])["outputs"][1]["data"] == [0.25, 0.75, 0.75, 0.25]


def wrong_bytes():
    inputs, raw = binary_tensors()

    def sized(place, size):
        changed = [dict(each) for each in inputs]
        changed[place]["parameters"] = {"binary_data_size": size}
        return changed

    yield "inputs", *pack(inputs, raw + b"x")
    yield "departs", *pack(inputs, raw[:-1])
    yield "distance", *pack(sized(0, 7), raw[1:])
    yield "distance", *pack(sized(0, -8), raw)
    yield "distance", *pack(sized(0, True), raw)
    yield "carrier", *pack(sized(1, 9), raw[:8] + raw[9:])
    yield "carrier", *pack(inputs, raw[:8] + b"\xff" * 4 + raw[12:])
    yield "carrier", *pack(inputs, raw.replace(b"UA", b"\xff\xff"))
    yield "night flight", *pack(inputs, raw.replace(b"\1\0", b"\2\0"))
    body, _ = pack(inputs, raw)
    for length in ("-1", "x", "1e3", str(len(body) + 1), "", "9" * 5000):
        yield "inference-header-content-length", body, {"inference_header_content_length": length}


@pytest.mark.parametrize(("field", "body", "headers"), list(wrong_bytes()))
def test_bytes_that_do_not_fit_are_named(service, field, body, headers):
    """A tensor with too few or too many bytes, or with no text in them, is a 422 that names it."""
    answer = service.post(body, INFER, **headers)

    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.json()


@given(data=st.data(), datatype=st.sampled_from(sorted(set(DATATYPES) - {"BYTES"})))
def test_numbers_survive_their_bytes(data, datatype):
    """What write_bytes wrote, read_bytes reads, bit for bit; and read_data takes what JSON makes of it."""
    code = DATATYPES[datatype].code
    raw = data.draw(st.binary(min_size=np.dtype(code).itemsize, max_size=64))
    raw = raw[: len(raw) // np.dtype(code).itemsize * np.dtype(code).itemsize]
    raw = bytes(byte & 1 for byte in raw) if datatype == "BOOL" else raw
    values = read_bytes("x", datatype, raw, len(raw) // np.dtype(code).itemsize)

    assert write_bytes(datatype, values) == raw
    finite = [value for value in np.asarray(values).tolist() if value == value]  # noqa: PLR0124
    assert read_data("x", datatype, finite, len(finite)) == finite


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_survive_their_bytes(texts):
    """Any text comes back from its bytes."""
    assert read_bytes("x", "BYTES", write_bytes("BYTES", texts), len(texts)) == texts


@given(raw=st.binary(max_size=40), rows=st.integers(1, 5))
def test_no_bytes_break_the_reader(raw, rows):
    """Whatever bytes come, texts are read or refused."""
    with suppress(InvalidInput):
        assert write_bytes("BYTES", read_bytes("x", "BYTES", raw, rows)) == raw


def test_the_model_is_described(service):
    """Metadata names each feature's tensor; server, health and readiness answer as V2 says."""
    described = service.get("/v2/models/flights").json()
    assert (described["name"], described["versions"], described["platform"]) == (
        "flights",
        ["3"],
        "evertrain_onnx",
    )
    assert [(each["name"], each["datatype"], each["shape"]) for each in described["inputs"]] == [
        ("distance", "FP64", [-1]),
        ("carrier", "BYTES", [-1]),
        ("night flight", "BOOL", [-1]),
        ("departs", "BYTES", [-1]),
    ]
    assert described["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}
    assert service.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert service.get("/v2/health/live").json() == {"live": True}
    assert service.get("/v2/health/ready").json() == {"ready": True}
    assert service.get("/v2/models/flights/ready").json() == {"name": "flights", "ready": True}


@pytest.mark.parametrize("rest", ["", "/ready", "/infer"])
def test_a_version_is_answered_if_it_is_the_one_that_serves(service, rest):
    """The version that answers may be asked for by its number; any other is a 404 that names it."""

    def ask(version):
        path = f"/v2/models/flights/versions/{version}{rest}"
        return service.post({"inputs": tensors()}, path) if rest == "/infer" else service.get(path)

    assert ask(3).status_code == 200
    for version in (2, "x", "03"):
        assert ask(version).status_code == 404
        assert "version 3 does" in ask(version).json()["detail"]


def test_without_models_nothing_is_ready(asker):
    """Before a model is loaded readiness is 503 with Retry-After; an unknown model is 404."""
    service = asker()

    assert service.get("/v2/health/ready").status_code == 503
    assert service.get("/v2/health/ready").headers["retry-after"] == "1"
    assert service.get("/v2/models/flights/ready").status_code == 404
    assert service.post({"inputs": tensors()}, INFER).json()["error"]
