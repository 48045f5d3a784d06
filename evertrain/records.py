"""Owns the frozen values that steps hand to each other; each travels as JSON and none holds a frame."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from evertrain.frozen import Record
from evertrain.verdicts import (
    ChampionScore,
    Curve,
    Evaluation,
    Gain,
    GateResult,
    Latency,
    MetricEstimate,
    SliceGain,
    SliceGains,
    Verdict,
)

# One place to take records from, wherever they are written down.
__all__ = [
    "ChampionScore",
    "Curve",
    "Evaluation",
    "Gain",
    "GateResult",
    "Latency",
    "MetricEstimate",
    "Record",
    "SliceGain",
    "SliceGains",
    "Verdict",
]

Task = Literal["binary_classification", "multiclass_classification", "regression"]
LogicalType = Literal["integer", "float", "boolean", "string", "date", "timestamp", "other"]
FeatureKind = Literal["numeric", "categorical", "datetime"]
Side = Literal["train", "holdout"]
Trigger = Literal["manual", "ci", "schedule", "drift"]
Label = bool | int | float | str


class Column(Record):
    """One column of a table, by its logical type."""

    name: str
    type: LogicalType


class Feature(Record):
    """One column that callers send, and how it becomes a model input.

    ``offset`` is taken off in float64 before the cast to float32 (large integers, big means).
    """

    name: str
    kind: FeatureKind
    type: LogicalType
    offset: float = 0.0


class LeftOut(Record):
    """A column that the default plan doesn't use, and why."""

    name: str
    reason: str


class FeaturePlan(Record):
    """What callers send, what they may send and is ignored, and what was left out and why."""

    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...] = ()


class Signature(Record):
    """What a model is asked with and answers: stored in its bundle, checked at each request.

    ``classes`` stand in the order of the probabilities' columns, in the training data's own type;
    of two classes the positive one is the last. ``ignored`` columns may be present in a request.
    """

    task: Task
    target: str
    features: tuple[Feature, ...]
    ignored: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    timestamp: str | None = None
    classes: tuple[Label, ...] | None = None
    has_probabilities: bool = False


class Part(Record):
    """One content-addressed Parquet object of a snapshot."""

    side: Side
    key: str
    rows: int


class Snapshot(Record):
    """The rows a run reads: a manifest of parts; the digest is over logical rows, not file bytes.

    ``rows`` counts both sides and the unlabelled; ``train_rows`` and ``holdout_rows`` count labelled rows.
    ``quarantined`` rows are in none of them: they lie under ``quarantine_key``, and the digest covers them.
    """

    digest: str
    rows: int
    unlabelled: int
    quarantined: int = 0
    quarantine_key: str | None = None
    train_rows: int
    holdout_rows: int
    without_timestamp: int = 0
    as_of: datetime | None = None
    newest: datetime | None = None
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]


class Masked(Record):
    """What our own mask of one expectation, the ``index``-th of the YAML, found in all rows.

    Only where it is not ``met``, ``mostly`` considered, were its unexpected rows set aside.
    """

    index: int
    unexpected_rows: int
    met: bool


class ExpectationResult(Record):
    """Great Expectations' verdict on one expectation, with up to five examples of what broke it.

    ``quarantined_rows`` stands where the unexpected rows were set aside, so that the run may go on.
    """

    type: str
    column: str | None = None
    success: bool
    unexpected_rows: int | None = None
    unexpected_share: float | None = None
    observed: str | None = None
    examples: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    quarantined_rows: int | None = None

    @property
    def stops(self) -> bool:
        """Whether it failed, and its rows weren't set aside."""
        return not self.success and self.quarantined_rows is None


class ValidationReport(Record):
    """What Great Expectations said of a snapshot and of the ``quarantined`` rows, which ``rows`` counts too.

    A ``success`` unless an expectation failed whose rows weren't set aside.
    """

    success: bool
    rows: int
    results: tuple[ExpectationResult, ...] = ()
    quarantined: int = 0


class Trial(Record):
    """One try of a search: its parameters, its score on each fold it was judged on, and their mean.

    ``value`` stands where all folds were judged: a pruned trial fell behind before, a failed one says why.
    """

    number: int
    params: dict[str, Any]
    scores: tuple[float, ...] = ()
    value: float | None = None
    state: Literal["complete", "pruned", "failed"]
    seconds: float
    reason: str | None = None


class Search(Record):
    """What a search for parameters found: each trial in its order, and the number of the best.

    Trial 0 has the parameters that the YAML names; ``planned`` is how many trials were asked for.
    """

    metric: str
    trials: tuple[Trial, ...]
    best: int
    planned: int


class TrainedModel(Record):
    """A fitted estimator behind the column layer, kept as skops under our own type list.

    ``warnings`` say what may be wrong with the rows it learnt from, in a user's words.
    """

    key: str
    digest: str
    signature: Signature
    estimator: str
    parameters: dict[str, Any]
    fit_seconds: float
    train_rows: int
    search: Search | None = None
    warnings: tuple[str, ...] = ()


class Parity(Record):
    """How the packaged model's answers differ from scikit-learn's on held-out and probe rows."""

    rows: int
    labels_different: int
    max_difference: float
    tolerance: float


class BundleRef(Record):
    """A content-addressed bundle in the store: ``bundles/<digest>/``."""

    digest: str
    runtime: Literal["onnx", "native"]
    reason: str | None = None
    parity: Parity | None = None
    size_bytes: int


class GateEvidence(Record):
    """All that a gate may look at."""

    evaluation: Evaluation
    latency: Latency | None = None
    signature: Signature
    champion_signature: Signature | None = None
    allow_signature_change: bool = False

    def gain(self, metric: str, confidence: float) -> Gain | None:
        """Find the gain in *metric* at *confidence*; None where nothing could be compared."""
        wanted = (metric, confidence)
        return next((g for g in self.evaluation.gains if (g.metric, g.confidence) == wanted), None)

    def slice_gains(self, metric: str, max_regression: float, min_rows: int) -> SliceGains | None:
        """Find the slices as a gate of these arguments sees them; None where nothing could be compared."""
        wanted = (metric, max_regression, min_rows)
        found = ((each.metric, each.max_regression, each.min_rows) for each in self.evaluation.slices)
        return next(
            (each for each, key in zip(self.evaluation.slices, found, strict=True) if key == wanted), None
        )


class Judgement(Record):
    """A candidate's evaluation and verdicts, and the generation whose champion it was held against.

    ``holdout`` is the digest of the held-out rows' fingerprints, where this was a look at them. All but
    ``latency`` follows from the rows, the bundles and the seed, bit by bit; the verdicts from all of it.
    """

    generation: int
    evaluation: Evaluation
    gates: tuple[GateResult, ...]
    latency: Latency | None = None
    holdout: str | None = None

    @property
    def held_because(self) -> tuple[str, ...]:
        """What each gate that failed said; empty if none did."""
        return tuple(f"{gate.type}: {gate.reason}" for gate in self.gates if gate.verdict == "fail")


class ModelVersion(Record):
    """A registered version: the registry's number, its run and what it serves."""

    version: int
    run_id: str
    run_key: str
    bundle: str


class ChampionSummary(Record):
    """The champion a candidate was held against, as ``train --json`` shows it."""

    version: int
    metrics: dict[str, float]


class SnapshotSummary(Record):
    """The snapshot as ``train --json`` shows it."""

    digest: str
    rows: int
    unlabelled: int
    quarantined: int


class BundleSummary(Record):
    """The bundle as ``train --json`` shows it."""

    digest: str
    runtime: Literal["onnx", "native"]


class Quarantined(Record):
    """How many rows were set aside for one expectation; a row may stand under several."""

    type: str
    column: str | None
    rows: int


class TrainOutcome(Record):
    """What a training run came to: printed by ``train --json`` and kept as the run's last step record."""

    pipeline: str
    decision: Literal["promoted", "rollout", "held"]
    cached: bool = False
    reasons: tuple[str, ...] = ()
    version: int
    run_id: str
    run_key: str
    metrics: dict[str, float]
    champion: ChampionSummary | None = None
    gates: tuple[GateResult, ...] = ()
    snapshot: SnapshotSummary
    quarantined: tuple[Quarantined, ...] = ()
    bundle: BundleSummary
    generation: int = 0
    rollouts: int = 0
    seconds: dict[str, float] = {}
