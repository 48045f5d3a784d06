"""Owns the frozen values of realised metrics: what came of answers, by version, arm, slice."""

from __future__ import annotations

from datetime import datetime

from evertrain.frozen import Record
from evertrain.verdicts import MetricEstimate


class LabelLag(Record):
    """How long after their answers labels arrived."""

    median_seconds: float
    p90_seconds: float


class RealisedPart(Record):
    """What came of some of the answered rows.

    Attributes:
        name: A version's number, an arm, or a slice's value; ``all``.
        column: Of a slice: the feature that it is cut by.
        rows: That were answered and logged.
        labelled: Of these, with a label that had arrived.
        metrics: On the labelled ones, each with its 95 % bootstrap interval.
        missing: Why a metric isn't there.
        lag: Of the labels; None where there are none.
    """

    name: str
    column: str | None = None
    rows: int
    labelled: int
    metrics: dict[str, MetricEstimate] = {}
    missing: tuple[str, ...] = ()
    lag: LabelLag | None = None
    coverage: float
    """The share of the rows that are labelled, in [0, 1]."""


class Realised(Record):
    """What came of the answers that were logged after ``since`` and up to ``until``, as known at ``as_of``.

    Slices stand with the largest first; ``slices_total`` says how many there are where they aren't all here.
    """

    since: datetime
    until: datetime
    as_of: datetime
    total: RealisedPart
    versions: tuple[RealisedPart, ...] = ()
    arms: tuple[RealisedPart, ...] = ()
    slices: tuple[RealisedPart, ...] = ()
    slices_total: int = 0

    def version(self, number: int) -> RealisedPart | None:
        """Find what came of one version's answers; None where it has given none."""
        return next((part for part in self.versions if part.name == str(number)), None)
