"""Owns what a segment becomes in the store: Parquet parts, by pipeline and day, one a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from typing import Any, NamedTuple

MISSING = "__missing__"
"""How the column layer spells no category; that module would bring numpy."""
FEATURE = "feature."
PROBABILITY = "probability_"
COMPRESSION = "zstd(1)"
LARGEST_INTEGER = 2**63 - 1
ROWS_AT_ONCE, ROWS_A_PART = 1_024, 16_384
_TEXT = frozenset({str, type(None)})
_FLOAT = frozenset({float, type(None)})


class Part(NamedTuple):
    """One Parquet file of the store."""

    key: str
    data: bytes


def make_answer_parts(name: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    """Make the parts of a segment of answers, one by one: only so many rows are in memory at a time.

    Args:
        name: The segment's.
        lines: As ``read_lines`` gives them.

    Yields:
        ``predictions/<pipeline>/<day>/<segment>-<version>.parquet`` and its bytes: a row for each row that
        was answered; with many rows there are further ones, ``…-<version>-1.parquet``. The same segment
        gives the same keys and rows.
    """
    answers: dict[str, _Answers] = {}
    for line in lines:
        if "model" in line:
            answers.setdefault(line["model"], _Answers(name, line))
            continue
        of = answers[line["of"]]
        of.add(line)
        if of.rows >= ROWS_A_PART:
            yield of.take_part()
    yield from (of.take_part() for of in answers.values() if of.rows)


class _Answers:
    """The answers of one version in a segment, in columns as soon as there are some.

    Args:
        segment: Its name.
        model: The line that says what they are made of.
    """

    def __init__(self, segment: str, model: Mapping[str, Any]) -> None:
        self._segment = segment
        self._model = model
        self._lines: list[Mapping[str, Any]] = []
        self._batches: list[Any] = []
        self._batched_rows = 0
        self._parts = 0
        self._at_seconds = 0.0
        self.rows = 0

    def add(self, line: Mapping[str, Any]) -> None:
        self._at_seconds = self._at_seconds or line["at"]
        self._lines.append(line)
        self.rows += len(line["labels"])
        if self.rows - self._batched_rows >= ROWS_AT_ONCE:
            self._to_columns()

    def take_part(self) -> Part:
        from arro3.core import Table

        self._to_columns()
        further = f"-{self._parts}" if self._parts else ""
        name = f"{self._segment}-{self._model['version']}{further}"
        key = _key("predictions", self._model["pipeline"], self._at_seconds, name)
        part = Part(key, _write_parquet(Table.from_batches(self._batches)))
        self._batches, self._batched_rows, self.rows = [], 0, 0
        self._parts += 1
        return part

    def _to_columns(self) -> None:
        from arro3.core import RecordBatch

        if self._lines:
            self._batches.append(RecordBatch.from_pydict(_answer_columns(self._model, self._lines)))
        self._lines, self._batched_rows = [], self.rows


def make_label_parts(name: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    """Make the parts of a segment of labels: ``labels/<pipeline>/<day>/<segment>.parquet``, and its bytes."""
    pipelines: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        pipelines.setdefault(line["pipeline"], []).append(line)
    for pipeline, found in pipelines.items():
        yield Part(_key("labels", pipeline, found[0]["at"], name), _label_part(found))


def _label_part(found: Sequence[Mapping[str, Any]]) -> bytes:
    from arro3.core import Table

    labels = [line["label"] for line in found]
    columns = {
        "prediction_id": _texts([line["id"] for line in found]),
        "label": _labels(labels, labels),
        "arrived_at": _times([line["at"] for line in found]),
    }
    return _write_parquet(Table.from_pydict(columns))


def _answer_columns(model: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = [len(answer["labels"]) for answer in answers]
    rows = sum(counts)

    def of_each(name: str) -> list[Any]:
        return _repeated([answer[name] for answer in answers], counts)

    places = [row for count in counts for row in range(count)]
    ids = of_each("id")
    columns = {
        "prediction_id": _texts([f"{each}/{row}" for each, row in zip(ids, places, strict=True)]),
        "request_id": _texts(ids),
        "row": _array(places, "int64"),
        "at": _times(of_each("at")),
        "pipeline": _texts([model["pipeline"]] * rows),
        "version": _array([model["version"]] * rows, "int64"),
        "bundle": _texts([model["bundle"]] * rows),
        "arm": _texts(of_each("arm")),
        "latency_ms": _array(_repeated([1000 * answer["seconds"] for answer in answers], counts), "float64"),
        "entity": _texts(of_each("entity")),
        "prediction": _labels(_chained(answer["labels"] for answer in answers), model["classes"] or (0.0,)),
    }
    if answers[0]["scores"] is not None:
        scores = _chained(answer["scores"] for answer in answers)
        for place, label in enumerate(model["classes"]):
            columns[f"{PROBABILITY}{_spell(label)}"] = _numbers([each[place] for each in scores])
    for place, (name, kind, logical) in enumerate(model["features"]):
        values = _chained(answer["columns"][place] for answer in answers)
        columns[f"{FEATURE}{name}"] = _feature(values, kind, logical)
    return columns


def _chained(lists: Iterable[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))


def _repeated(values: list[Any], counts: list[int]) -> list[Any]:
    return _chained([value] * count for value, count in zip(values, counts, strict=True))


def _feature(values: list[Any], kind: str, logical: str) -> Any:
    """A feature's values, such that the column layer makes the same input of them again."""
    if kind == "numeric" and logical == "boolean":
        return _array([None if value is None else bool(value) for value in values], "bool")
    if kind == "numeric":
        return _numbers(values)
    if kind == "datetime":
        return _texts(values)
    if not _TEXT.issuperset(map(type, values)):
        values = [None if value is None else _spell(value) for value in values]
    # A text of that name is the missing category too.
    return _texts([None if value == MISSING else value for value in values] if MISSING in values else values)


def _spell(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Where all categories are texts, the shipper does without numpy.
    from evertrain.spelling import spell_category

    return spell_category(value)


def _labels(values: list[Any], of: Sequence[Any]) -> Any:
    """Labels in the type that holds all that there can be, which are *of*."""
    kinds = {type(value) for value in of}
    if kinds == {bool}:
        return _array(values, "bool")
    if kinds == {int} and all(abs(value) <= LARGEST_INTEGER for value in of):
        return _array(values, "int64")
    return _numbers(values) if kinds <= {int, float} else _texts([_spell(value) for value in values])


def _texts(texts: list[str | None]) -> Any:
    try:
        return _array(texts, "utf8")
    except UnicodeEncodeError:
        # JSON can spell half a character, which Parquet can't hold.
        return _array([None if each is None else _without_halves(each) for each in texts], "utf8")


def _without_halves(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _numbers(values: list[Any]) -> Any:
    if not _FLOAT.issuperset(map(type, values)):
        values = [None if value is None else float(value) for value in values]
    return _array(values, "float64")


def _times(seconds: list[float]) -> Any:
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


def _write_parquet(table: Any) -> bytes:
    from arro3.io import write_parquet

    sink = BytesIO()
    write_parquet(table, sink, compression=COMPRESSION)
    return sink.getvalue()


def _key(kind: str, pipeline: str, at_seconds: float, name: str) -> str:
    day = datetime.fromtimestamp(at_seconds, UTC).date().isoformat()
    return f"{kind}/{pipeline}/{day}/{name}.parquet"
