"""Owns the frozen values that steps hand to each other; each travels as JSON and none holds a frame."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["binary_classification", "multiclass_classification", "regression"]
LogicalType = Literal["integer", "float", "boolean", "string", "date", "timestamp", "other"]
FeatureKind = Literal["numeric", "categorical", "datetime"]
Side = Literal["train", "holdout"]
Verdict = Literal["pass", "fail", "not_shown"]
Trigger = Literal["manual", "ci", "schedule", "drift"]
Label = bool | int | float | str


class Record(BaseModel):
    """A frozen value with a closed set of fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    """

    digest: str
    rows: int
    unlabelled: int
    quarantined: int = 0
    train_rows: int
    holdout_rows: int
    without_timestamp: int = 0
    as_of: datetime | None = None
    newest: datetime | None = None
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]


class ExpectationResult(Record):
    """Great Expectations' verdict on one expectation, with up to five examples of what broke it."""

    type: str
    column: str | None = None
    success: bool
    unexpected_rows: int | None = None
    unexpected_share: float | None = None
    observed: str | None = None
    examples: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}


class ValidationReport(Record):
    """What Great Expectations said of a snapshot."""

    success: bool
    rows: int
    results: tuple[ExpectationResult, ...] = ()


class TrainedModel(Record):
    """A fitted estimator behind the column layer, kept as skops under our own type list."""

    key: str
    digest: str
    signature: Signature
    estimator: str
    parameters: dict[str, Any]
    fit_seconds: float
    train_rows: int


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


class MetricEstimate(Record):
    """A metric with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Gain(Record):
    """Challenger minus champion in the metric's good direction, paired, two-sided at ``confidence``."""

    metric: str
    confidence: float
    gain: float
    low: float
    high: float


class ChampionScore(Record):
    """The champion's metrics on the very rows the challenger was judged on."""

    version: int
    metrics: dict[str, MetricEstimate]


class Curve(Record):
    """Points of the diagnostic plot: a ROC curve a class, or predicted against residual."""

    kind: Literal["roc", "residuals"]
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Evaluation(Record):
    """Challenger and champion on the same held-out rows, both scored through the code that serves.

    ``resamples`` is how many times those rows were drawn again for the intervals.
    """

    rows: int
    resamples: int = 0
    metrics: dict[str, MetricEstimate]
    champion: ChampionScore | None = None
    champion_missing: str | None = None
    gains: tuple[Gain, ...] = ()
    curves: tuple[Curve, ...] = ()


class GateEvidence(Record):
    """All that a gate may look at."""

    evaluation: Evaluation
    signature: Signature
    champion_signature: Signature | None = None
    allow_signature_change: bool = False

    def gain(self, metric: str, confidence: float) -> Gain | None:
        """Find the gain in *metric* at *confidence*; None where nothing could be compared."""
        wanted = (metric, confidence)
        return next((g for g in self.evaluation.gains if (g.metric, g.confidence) == wanted), None)


class GateResult(Record):
    """One gate's verdict; ``gain``, ``low`` and ``high`` only where two models were compared."""

    type: str
    metric: str | None = None
    verdict: Verdict
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str


class Judgement(Record):
    """A candidate's evaluation and verdicts, and the generation whose champion it was held against."""

    generation: int
    evaluation: Evaluation
    gates: tuple[GateResult, ...]

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
    bundle: BundleSummary
    generation: int = 0
    seconds: dict[str, float] = {}
