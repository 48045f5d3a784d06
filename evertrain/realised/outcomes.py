"""Owns outcomes: what the service answered beside what really happened, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from evertrain.config import PipelineConfig
from evertrain.datasets.prediction_log import IN_ORDER, LoggedRows, open_log
from evertrain.datasets.snapshots import to_columns
from evertrain.evaluation.answers import Truth
from evertrain.evaluation.gains import same_rows
from evertrain.evaluation.scores import Answers, ClassAnswers, FloatArray, IntArray, ValueAnswers
from evertrain.storage import Store

REGRESSION = "regression"


class Counted(NamedTuple):
    """How many rows a version answered for an arm, and how many of them have a label."""

    version: int
    arm: str
    rows: int
    labelled: int


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The labelled ones of the logged rows, the first answered first; each array is of shape (n,).

    Attributes:
        prediction_id: Text.
        request_id: Text; rows of one request were answered together, by one arm.
        entity: What the request's ``x-evertrain-entity`` named, as text; None without one.
        answered_at: When the request came, datetime64[us], UTC.
        arrived: When the label that counts arrived, likewise.
        version: Who answered, int64.
        arm: For which arm: ``stable``, ``canary``, ``a``, ``b``.
        truth: What really happened; its ``names`` are the classes in the order of all codes and
            probabilities, of two the positive one last.
        answers: What was answered beside it, as ``metric_formula`` takes it. Where some of the rows have no
            probabilities, none has.
        features: The features that were asked for, by name, raw.
        counts: Of all logged rows, by version and arm.
    """

    prediction_id: np.ndarray
    request_id: np.ndarray
    entity: np.ndarray
    answered_at: np.ndarray
    arrived: np.ndarray
    version: np.ndarray
    arm: np.ndarray
    truth: Truth
    answers: Answers
    features: dict[str, np.ndarray]
    counts: tuple[Counted, ...]
    label_sql: str
    """The label in the log that they were taken from; NULL where a row isn't among them."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.answered_at)

    @property
    def lag_seconds(self) -> FloatArray:
        """How long after its answer each label arrived; 0 where a source dates it before."""
        lag: FloatArray = (self.arrived - self.answered_at) / np.timedelta64(1, "s")
        return np.maximum(lag, 0.0)

    def answers_to(self, rows: IntArray) -> Answers:
        """The answers to some of the rows (their places)."""
        return same_rows(self.answers, rows)


def read_outcomes(
    store: Store,
    config: PipelineConfig,
    *,
    since: datetime,
    until: datetime,
    as_of: datetime,
    features: Sequence[str] = (),
) -> Outcomes:
    """Read what was answered after *since* and up to *until*, with the labels that had arrived by *as_of*.

    Labels are the feedback route's, and those that ``labels`` joins by prediction id; of several the one that
    arrived last by *as_of* counts, and none that arrived later. Memory grows with the labelled rows alone.

    Args:
        store: Holds the log.
        config: The pipeline.
        since: Times without a zone are UTC.
        until: What was answered later than this or *as_of* isn't there.
        as_of: What arrived later doesn't exist.
        features: Features whose values are wanted, too.

    Raises:
        StorageError: The store can't be read, or a part of the log can't be understood.
        SourceError: The YAML's labels can't be had.
    """
    with open_log(
        store, config.name, config.labels, since=since, until=until, as_of=as_of, features=features
    ) as logged:
        return take_outcomes(logged, is_regression=config.evaluation.task == REGRESSION)


def take_outcomes(logged: LoggedRows, *, is_regression: bool) -> Outcomes:
    """Take the labelled rows out of the log that is open."""
    table = logged.table
    target = "label_number" if is_regression else "label"
    there = f"{target} IS NOT NULL"
    names = ("prediction_id", "request_id", "entity", "answered_at", "arrived", "version", "arm")
    own = [*names, target, "number" if is_regression else "answer", "scores"]
    found = table.stream(
        *own, *(cell.sql for cell in table.cells), where=there, rest=f"ORDER BY {IN_ORDER}"
    ).read_all()
    found = found.rename_columns([*own, *(f"feature.{name}" for name in table.names)])
    columns = to_columns(found, [name for name in found.column_names if name != "scores"])
    truth = Truth(
        columns[target], None if is_regression else _classes_of(logged, columns[target], columns["answer"])
    )
    if is_regression:
        answers: Answers = ValueAnswers(truth.target.astype(np.float64), columns["number"])
    else:
        places = {name: place for place, name in enumerate(truth.names)}
        codes = np.array([places[answer] for answer in columns["answer"]], dtype=np.int64)
        scores = found.column("scores")
        answers = ClassAnswers(
            truth.codes, codes, None if scores.null_count else _widened(scores.to_pylist(), truth)
        )
    counts = table.fetch(
        "version", "arm", "count(*)", f"count(*) FILTER (WHERE {there})", rest="GROUP BY ALL ORDER BY ALL"
    )
    return Outcomes(
        **{name: columns[name] for name in names},
        truth=truth,
        answers=answers,
        features={name: columns[f"feature.{name}"] for name in table.names},
        counts=tuple(Counted(*each) for each in counts),
        label_sql=target,
    )


def _classes_of(logged: LoggedRows, labels: np.ndarray, answers: np.ndarray) -> tuple[str, ...]:
    """The classes in the model's order; where it has none, all that was answered or happened, sorted."""
    return tuple(dict.fromkeys([*logged.classes, *sorted({*answers, *([] if logged.classes else labels)})]))


def _widened(scores: list[list[float]], truth: Truth) -> FloatArray:
    """The probabilities with a column of zeros for each class that no model knows."""
    wide = np.zeros((len(scores), len(truth.names)))
    if scores:
        known = np.array(scores, dtype=np.float64)
        wide[:, : known.shape[1]] = known
    return wide
