"""Owns what a segment becomes in the store: Parquet parts, by pipeline and day, one a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from evertrain.spelling import MISSING, spell_category

Row = dict[str, Any]
FEATURE = "feature."
PROBABILITY = "probability_"
COMPRESSION = "zstd(1)"
LARGEST_INTEGER = 2**63 - 1


def make_answer_parts(name: str, lines: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Make the parts of a segment of answers.

    Args:
        name: The segment's.
        lines: As ``read_lines`` gave them.

    Returns:
        By key ``predictions/<pipeline>/<day>/<segment>-<version>.parquet``: a row for each row that was
        answered. The same segment gives the same keys and rows.
    """
    models: dict[str, Mapping[str, Any]] = {}
    answers: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if "model" in line:
            models[line["model"]] = line
        else:
            answers.setdefault(line["of"], []).append(line)
    parts = {}
    for which, found in answers.items():
        model = models[which]
        key = _key("predictions", model["pipeline"], found[0]["at"], f"{name}-{model['version']}")
        parts[key] = _to_parquet(_answer_columns(model, found))
    return parts


def make_label_parts(name: str, lines: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Make the parts of a segment of labels, by key ``labels/<pipeline>/<day>/<segment>.parquet``."""
    pipelines: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        pipelines.setdefault(line["pipeline"], []).append(line)
    return {
        _key("labels", pipeline, found[0]["at"], name): _to_parquet(
            {
                "prediction_id": _texts(line["id"] for line in found),
                "label": _labels([line["label"] for line in found]),
                "arrived_at": _times(line["at"] for line in found),
            }
        )
        for pipeline, found in pipelines.items()
    }


def _answer_columns(model: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rows = [(answer, row) for answer in answers for row in range(len(answer["labels"]))]
    columns = {
        "prediction_id": _texts(f"{answer['id']}/{row}" for answer, row in rows),
        "request_id": _texts(answer["id"] for answer, _ in rows),
        "row": _integers(row for _, row in rows),
        "at": _times(answer["at"] for answer, _ in rows),
        "pipeline": _texts(model["pipeline"] for _ in rows),
        "version": _integers(model["version"] for _ in rows),
        "bundle": _texts(model["bundle"] for _ in rows),
        "arm": _texts(answer["arm"] for answer, _ in rows),
        "latency_ms": _numbers(1000 * answer["seconds"] for answer, _ in rows),
        "entity": _texts(answer["entity"] for answer, _ in rows),
        "prediction": _labels([answer["labels"][row] for answer, row in rows]),
    }
    if answers[0]["scores"] is not None:
        for place, label in enumerate(model["classes"]):
            scores = _numbers(answer["scores"][row][place] for answer, row in rows)
            columns[f"{PROBABILITY}{spell_category(label)}"] = scores
    for place, (name, kind, logical) in enumerate(model["features"]):
        values = [answer["columns"][place][row] for answer, row in rows]
        columns[f"{FEATURE}{name}"] = _feature(values, kind, logical)
    return columns


def _feature(values: list[Any], kind: str, logical: str) -> Any:
    """A feature's values, such that the column layer makes the same input of them again."""
    if kind == "numeric" and logical == "boolean":
        return _array([None if value is None else bool(value) for value in values], "bool")
    if kind == "numeric":
        return _numbers(values)
    if kind == "datetime":
        return _texts(values)
    return _texts(None if spell_category(value) == MISSING else spell_category(value) for value in values)


def _labels(values: list[Any]) -> Any:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return _booleans(values)
    if kinds == {int} and all(abs(value) <= LARGEST_INTEGER for value in values):
        return _integers(values)
    return _numbers(values) if kinds <= {int, float} else _texts(map(spell_category, values))


def _texts(values: Iterable[str | None]) -> Any:
    texts = list(values)
    try:
        return _array(texts, "utf8")
    except UnicodeEncodeError:
        # JSON can spell half a character, which Parquet can't hold.
        return _array([None if each is None else _without_halves(each) for each in texts], "utf8")


def _without_halves(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _numbers(values: Iterable[float | None]) -> Any:
    return _array([None if value is None else float(value) for value in values], "float64")


def _integers(values: Iterable[int]) -> Any:
    return _array(list(values), "int64")


def _booleans(values: Iterable[bool]) -> Any:
    return _array(list(values), "bool")


def _times(seconds: Iterable[float]) -> Any:
    from arro3.core import DataType

    micros = _array([round(each * 1e6) for each in seconds], "int64")
    return micros.cast(DataType.timestamp("us", tz="UTC"))


def _array(values: list[Any], kind: str) -> Any:
    from arro3.core import Array, DataType

    types = {
        "utf8": DataType.utf8,
        "float64": DataType.float64,
        "int64": DataType.int64,
        "bool": DataType.bool,
    }
    return Array(values, type=types[kind]())


def _to_parquet(columns: dict[str, Any]) -> bytes:
    from arro3.core import Table
    from arro3.io import write_parquet

    sink = BytesIO()
    write_parquet(Table.from_pydict(columns), sink, compression=COMPRESSION)
    return sink.getvalue()


def _key(kind: str, pipeline: str, at_seconds: float, name: str) -> str:
    day = datetime.fromtimestamp(at_seconds, UTC).date().isoformat()
    return f"{kind}/{pipeline}/{day}/{name}.parquet"
