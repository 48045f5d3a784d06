"""Owns the Open Inference Protocol V2: one tensor a feature in, ``prediction`` and ``probabilities`` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from evertrain.errors import InvalidInput
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.problems import TOO_LARGE, Refusal, encode_answer
from serving.protocols import JSON, Asked, Call, Columns, Protocol, Spelled
from serving.protocols.v2_tensors import DATATYPES, datatype_of, read_bytes, read_data, write_bytes
from serving.served import Served
from serving.strict_json import name_of, read_json, refuse_constants, refuse_unknown_keys, show

OCTETS = "application/octet-stream"
HEADER_LENGTH = b"inference-header-content-length"
PREDICTION, PROBABILITIES = "prediction", "probabilities"
_REQUEST_KEYS = frozenset({"id", "parameters", "inputs", "outputs"})
_INPUT_KEYS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUT_KEYS = frozenset({"name", "parameters"})
_FEATURE_DATATYPES = {"integer": "INT64", "float": "FP64", "boolean": "BOOL"}


class Wanted(NamedTuple):
    """What a request wants back: its id, and the outputs with whether each shall be raw bytes."""

    id: str | None
    outputs: tuple[tuple[str, bool], ...]


def _read(call: Call, signature: Signature, max_rows: int) -> Asked:
    head, raw = _split(call)
    document, has_constants = read_json(head)
    if not isinstance(document, dict):
        raise InvalidInput(f"The body is {name_of(document)}; expected an object with inputs.", field="body")
    refuse_unknown_keys(document, _REQUEST_KEYS, "the body")
    identity = document.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidInput(f"id is {name_of(identity)}; expected a string.", field="id")
    wanted = Wanted(identity, tuple(_wanted_outputs(document, signature)))
    columns = _read_inputs(document.get("inputs"), raw, signature, max_rows)
    if has_constants:
        raise refuse_constants("inputs")
    return Asked(columns, wanted)


def _split(call: Call) -> tuple[bytes, bytes | None]:
    """The JSON of a body and, with the binary extension, the raw bytes after it."""
    length = call.headers.get(HEADER_LENGTH)
    if length is None:
        return call.body, None
    # A number of over 4,300 digits isn't read at all.
    if not length.isdigit() or len(length) > 20 or int(length) > len(call.body):
        raise InvalidInput(
            f"Inference-Header-Content-Length is {length.decode('latin-1')[:20]!r}; expected how many of the "
            f"body's {len(call.body)} bytes are JSON.",
            field="inference-header-content-length",
        )
    return call.body[: int(length)], call.body[int(length) :]


def _read_inputs(inputs: Any, raw: bytes | None, signature: Signature, max_rows: int) -> Columns:
    if not isinstance(inputs, list) or not inputs:
        found = "an empty list" if inputs == [] else name_of(inputs)
        raise InvalidInput(f"inputs is {found}; expected a list of tensors.", field="inputs")
    features = {feature.name: feature for feature in signature.features}
    passed_over = {*signature.ignored, *signature.entity, signature.target, signature.timestamp}
    columns: Columns = {}
    seen: set[str] = set()
    place, rows = 0, -1
    for number, tensor in enumerate(inputs):
        name, count, size = _check_tensor(tensor, f"inputs[{number}]", max_rows)
        if name in seen:
            raise InvalidInput(f"Input {name!r} stands there more than once; send it once.", field=name)
        if name not in features and name not in passed_over:
            raise InvalidInput(f"Unknown input {name!r}; the model takes {show(list(features))}.", field=name)
        if rows not in (-1, count):
            raise InvalidInput(
                f"Input {name!r} has {count} rows, others {rows}; expected as many.", field=name
            )
        seen.add(name)
        rows = count
        piece = None if size is None else _take(raw, place, size, name)
        place += size or 0
        if name in features:
            columns[name] = _read_tensor(features[name], tensor, piece, count)
    missing = [name for name in features if name not in columns]
    if missing:
        raise InvalidInput(
            f"Missing inputs: {show(missing)}; send null where a value isn't known.", field=missing[0]
        )
    if raw is not None and place != len(raw):
        raise InvalidInput(
            f"{len(raw) - place} bytes follow the last tensor; the sizes say otherwise.", field="inputs"
        )
    return columns


def _check_tensor(tensor: Any, where: str, max_rows: int) -> tuple[str, int, int | None]:
    """Look at a tensor's description; gives its name, its rows, and how many raw bytes it has, if any."""
    if not isinstance(tensor, dict):
        raise InvalidInput(f"{where} is {name_of(tensor)}; expected an object.", field=where)
    name = tensor.get("name")
    if not isinstance(name, str):
        raise InvalidInput(f"{where}.name is {name_of(name)}; expected a feature's name.", field=where)
    refuse_unknown_keys(tensor, _INPUT_KEYS, where)
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise InvalidInput(
            f"Input {name!r} has the datatype {ascii(datatype)[:40]}; expected {', '.join(DATATYPES)}.",
            field=name,
        )
    shape: Any = tensor.get("shape")
    if not _is_column(shape):
        raise InvalidInput(f"Input {name!r}: expected a shape [n] or [n, 1], n at least 1.", field=name)
    if shape[0] > max_rows:
        raise Refusal(
            TOO_LARGE, f"The request holds {shape[0]} rows; send at most {max_rows} at a time.", field=name
        )
    size = _parameters(tensor, name).get("binary_data_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise InvalidInput(f"Input {name!r}: binary_data_size is no number of bytes.", field=name)
    if (size is None) == ("data" not in tensor):
        raise InvalidInput(f"Input {name!r}: expected either data or binary_data_size.", field=name)
    return name, shape[0], size


def _is_column(shape: Any) -> bool:
    if not isinstance(shape, list) or not all(type(each) is int for each in shape):
        return False
    return len(shape) in (1, 2) and shape[0] >= 1 and shape[1:] in ([], [1])


def _take(raw: bytes | None, place: int, size: int, name: str) -> bytes:
    if raw is None or place + size > len(raw):
        raise InvalidInput(
            f"Input {name!r} has {size} bytes by its description, which aren't in the body; is "
            "Inference-Header-Content-Length right?",
            field=name,
        )
    return raw[place : place + size]


def _read_tensor(feature: Feature, tensor: Mapping[str, Any], raw: bytes | None, rows: int) -> Any:
    name, datatype = feature.name, tensor["datatype"]
    if raw is not None:
        values = read_bytes(name, datatype, raw, rows)
        # Of a category, NaN is a missing one, and a list's numbers are spelled as JSON's are.
        return values if feature.kind == "numeric" or isinstance(values, list) else values.tolist()  # type: ignore[attr-defined]
    values = read_data(name, datatype, tensor["data"], rows)
    for row, value in enumerate(values):
        if isinstance(value, float) and not isfinite(value):
            raise InvalidInput(
                f"Input {name!r}, row {row}: expected a finite number, or null where it is missing.",
                field=name,
            )
    return values


def _wanted_outputs(document: Mapping[str, Any], signature: Signature) -> Iterator[tuple[str, bool]]:
    offered = [PREDICTION, *([PROBABILITIES] if signature.has_probabilities else [])]
    raw = _flag(_parameters(document, "parameters"), "binary_data_output")
    outputs = document.get("outputs")
    if outputs is None or outputs == []:
        yield from ((name, raw) for name in offered)
        return
    if not isinstance(outputs, list):
        raise InvalidInput(f"outputs is {name_of(outputs)}; expected a list.", field="outputs")
    seen = set()
    for number, output in enumerate(outputs):
        where = f"outputs[{number}]"
        name = output.get("name") if isinstance(output, dict) else None
        if name not in offered or name in seen:
            told = f"expected an object whose name is one of {', '.join(offered)}, each once"
            raise InvalidInput(f"{where}: {told}.", field=where)
        seen.add(name)
        refuse_unknown_keys(output, _OUTPUT_KEYS, where)
        parameters = _parameters(output, where)
        if parameters.get("classification"):
            raise InvalidInput(f"{where}: classification isn't offered; take {PROBABILITIES}.", field=where)
        yield name, _flag(parameters, "binary_data", raw)


def _parameters(owner: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInput(
            f"The parameters of {where} are {name_of(parameters)}; expected an object.", field=where
        )
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is {name_of(value)}; expected true or false.", field=name)
    return value


def _spell(asked: Asked, served: Served, prediction: Prediction, _call: Call) -> Spelled:
    wanted: Wanted = asked.note
    outputs, pieces = [], []
    for name, raw in wanted.outputs:
        datatype, shape, values = _output(name, served.bundle.signature, prediction)
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if raw:
            pieces.append(write_bytes(datatype, values))
            output["parameters"] = {"binary_data_size": len(pieces[-1])}
        else:
            output["data"] = values.reshape(-1) if isinstance(values, np.ndarray) else values
        outputs.append(output)
    head: dict[str, Any] = {"model_name": served.name, "model_version": str(served.version)}
    if wanted.id is not None:
        head["id"] = wanted.id
    body = encode_answer({**head, "outputs": outputs})
    if not pieces:
        return Spelled(body)
    length = ((HEADER_LENGTH, str(len(body)).encode()),)
    return Spelled(b"".join([body, *pieces]), OCTETS.encode(), length)


def _output(name: str, signature: Signature, prediction: Prediction) -> tuple[str, list[int], Any]:
    if name == PROBABILITIES and prediction.probabilities is not None:
        probabilities = prediction.probabilities.astype(np.float32)
        return "FP32", list(probabilities.shape), probabilities
    labels = prediction.labels(signature)
    datatype = datatype_of(signature.classes)
    if datatype == "BYTES":
        labels = [str(label) for label in labels]
    return datatype, [len(labels)], labels


def describe_model(served: Served) -> dict[str, Any]:
    """The metadata of a model, as V2 asks for it."""
    signature = served.bundle.signature
    outputs = [{"name": PREDICTION, "datatype": datatype_of(signature.classes), "shape": [-1]}]
    if signature.has_probabilities:
        classes = len(signature.classes or ())
        outputs.append({"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, classes]})
    return {
        "name": served.name,
        "versions": [str(served.version)],
        "platform": f"evertrain_{served.bundle.runtime}",
        "inputs": [
            {"name": feature.name, "datatype": _datatype_of(feature), "shape": [-1]}
            for feature in signature.features
        ],
        "outputs": outputs,
    }


def _datatype_of(feature: Feature) -> str:
    return _FEATURE_DATATYPES.get(feature.type, "BYTES")


V2 = Protocol(frozenset({JSON, OCTETS, ""}), _read, _spell, error_member=True)
