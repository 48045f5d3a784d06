"""Owns the frozen values of a drift check: what a bundle promises to compare, and what a check found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from evertrain.realised_records import Realised
from evertrain.records import FeatureKind, LogicalType, Record, TrainOutcome

# Evidently's own for references of over 1,000 rows: what moves less is of no matter, however sure it is.
THRESHOLD = 0.1
WASSERSTEIN, JENSEN_SHANNON = "wasserstein", "jensenshannon"
RetrainAction = Literal["none", "unconfirmed", "cooldown", "already_running", "started", "failed"]


MOST_CHECKS = 200
"""So many checks are remembered: over a week of hourly ones, so that a week's cycle can be confirmed over."""
MOST_RETRAINS = 100
CAME_TO_A_DECISION = ("promoted", "held", "rollout")
"""What a retrain may come to; one that ended otherwise is tried again."""


class PastCheck(Record):
    """A drift check as the policy remembers it: when, against which generation's champion, what fired.

    Attributes:
        as_of: The newest moment that it saw; ISO 8601.
        generation: How often the champion had changed when it began.
        triggers: Which causes of a retrain fired: of ``data``, ``performance`` and ``regret`` those that
            ``retrain_on`` names, and ``age``.
        sizes: By each cause that was measured and that ``retrain_on`` names, how large it was: the share of
            columns, the drop, the gain.
        new_labels: How many labelled rows are newer than what was learnt from; None: not asked.
        counted: Whether it counted as a look at regret.
        called: Whether it called for a retrain.
    """

    as_of: str
    generation: int
    triggers: tuple[str, ...] = ()
    sizes: dict[str, float] = {}
    new_labels: int | None = None
    counted: bool = False
    called: bool = False

    @property
    def causes(self) -> dict[str, float]:
        """What fired, each with its size."""
        return {name: self.sizes[name] for name in self.triggers if name in self.sizes}


class PastRetrains(Record):
    """The retrains that checks started and that came to a decision, as the policy remembers them.

    Attributes:
        as_of: The as-of of each, the newest last; at most a hundred.
        answered: By cause, how large it was when one of them answered it; a cause that a check has found
            gone since isn't there.
    """

    as_of: tuple[str, ...] = ()
    answered: dict[str, float] = {}

    def with_retrain(self, as_of: str, causes: Mapping[str, float]) -> PastRetrains:
        """Remember one more, and what it answered."""
        known = (*self.as_of, as_of)[-MOST_RETRAINS:]
        return PastRetrains(as_of=known, answered={**self.answered, **causes})

    def with_check(self, check: PastCheck) -> PastRetrains:
        """Forget the causes that *check* measured and found gone."""
        gone = check.sizes.keys() - {*check.triggers}
        kept = {name: size for name, size in self.answered.items() if name not in gone}
        return self if kept == self.answered else self.model_copy(update={"answered": kept})


class NullCurve(Record):
    """How far apart rows of one column lie where nothing has changed, by how many there are.

    ``sizes`` are effective ones: n·m / (n + m) of sides of n and m rows. Of each, ``scores`` holds those that
    are reached by chance in .5, .2, .1, .05, .02, .01, .005 and .002 of the checks, and ``tails`` the index
    of the Pareto tail beyond. ``block``: so many consecutive rows were kept together; 1: none.
    """

    sizes: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    tails: tuple[float, ...]
    block: int = 1


class DriftColumn(Record):
    """How one feature's drift is told: fixed when its model was trained, whatever a window's size.

    A datetime feature has one of these for each ``part`` that its model sees; ``feature`` is then its name.
    No score below ``threshold`` is drift, at any size. Without a ``curve``, which bundles of before don't
    have, it is made of the reference rows of a check.
    """

    name: str
    kind: FeatureKind
    method: str
    threshold: float
    curve: NullCurve | None = None
    type: LogicalType = "other"
    feature: str | None = None
    part: str | None = None


class DriftPlan(Record):
    """How drift is told from a bundle's training rows; part of the bundle."""

    columns: tuple[DriftColumn, ...] = ()


class DriftShape(Record):
    """How a column's known values are spread on both sides, as shares.

    Numbers have ``edges``, one more than shares; the first and the last share hold what lies beyond, too.
    Categories have ``labels``.
    """

    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    reference: tuple[float, ...]
    current: tuple[float, ...]


class ColumnDrift(Record):
    """One feature's drift; ``score`` is None where it couldn't be told, and ``reason`` says why.

    An infinite number counts as missing. Columns that drifted have a ``shape``, if they have a score: one
    that has values on one side only has drifted, too. ``threshold`` is of this check: how many rows there
    are, and how the other columns did, is part of it. ``p_value`` is the chance of such a score, or a greater
    one, where nothing has changed.
    """

    name: str
    method: str
    score: float | None
    threshold: float
    drifted: bool
    p_value: float | None = None
    reason: str | None = None
    missing_reference_share: float = 0.0
    missing_current_share: float = 0.0
    shape: DriftShape | None = None


class QualityFinding(Record):
    """Rows of a column that lost their value (``missing``) or have one that no reference row has.

    ``reference`` and ``current`` are shares: of missing values there and now; of new categories (``unseen``)
    what could be expected, and what there is; of numbers beyond the least and greatest (``out_of_range``) 0,
    and what there is. ``examples``: the most frequent, or the furthest.
    """

    column: str
    kind: Literal["missing", "unseen", "out_of_range"]
    reference: float
    current: float
    rows: int
    alert: bool
    examples: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was found, in words that name the column."""
        if self.kind == "missing":
            return (
                f"{self.column}: {self.current:.1%} of the rows have no value, {self.reference:.1%} had none"
            )
        what = {"unseen": "a category never seen before", "out_of_range": "a number out of range"}[self.kind]
        return f"{self.column}: {self.current:.2%} of the values are {what} ({', '.join(self.examples)})"


class DriftMeasured(Record):
    """All features' drift, and the share of them that drifted."""

    columns: tuple[ColumnDrift, ...]
    quality: tuple[QualityFinding, ...] = ()
    share: float
    max_share: float
    rows_reference: int
    rows_current: int

    @property
    def drifted(self) -> bool:
        """Whether more features drifted than may."""
        return self.share > self.max_share


class PerformanceMeasured(Record):
    """The champion's metric on the newest labelled rows beside its hold-out value.

    ``drop`` is how much worse it has become, in the metric's bad direction.
    """

    metric: str
    value: float
    holdout: float
    drop: float
    max_drop: float
    rows: int
    fired: bool


class RegretMeasured(Record):
    """A probe that learnt from newer rows beside the champion, both on the newest labelled rows.

    ``low`` and ``high`` are at ``level``: so sure is each of a year's ``looks`` that all of them together
    start no retrain that doesn't pay, with the confidence that the YAML names. ``learnt_rows``: what the
    probe learnt from. ``counted``: whether this look is one of them; None before the policy was asked.
    """

    metric: str
    champion: float
    probe: float
    gain: float
    low: float
    high: float
    min_gain: float
    rows: int
    fired: bool
    level: float
    looks: int
    learnt_rows: int
    counted: bool | None = None


class CheckedRows(Record):
    """How many rows a drift check compared."""

    reference: int
    current: int


class Failure(Record):
    """Why a retrain failed, and the exit code that says so."""

    type: str
    message: str
    exit: int


class DriftOutcome(Record):
    """What a drift check came to: printed by ``drift --json``. ``why`` is the policy's reason.

    ``new_labels``: how many labelled rows are newer than what was learnt from, where the policy asks for it.
    """

    pipeline: str
    decision: Literal["steady", "drifted", "too_little_data"]
    triggers: tuple[str, ...] = ()
    retrain: RetrainAction = "none"
    why: str
    train: TrainOutcome | None = None
    failure: Failure | None = None
    champion: int
    as_of: datetime
    share: float | None = None
    max_share: float
    columns: tuple[ColumnDrift, ...] = ()
    predictions: ColumnDrift | None = None
    quality: tuple[QualityFinding, ...] = ()
    performance: PerformanceMeasured | None = None
    regret: RegretMeasured | None = None
    new_labels: int | None = None
    realised: Realised | None = None
    notes: tuple[str, ...] = ()
    rows: CheckedRows
    report: str | None = None
