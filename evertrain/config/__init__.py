"""Owns the pipeline's YAML as frozen, closed types with the contract's defaults; knows no file."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evertrain.canonical import digest_of
from evertrain.durations import Duration, Span
from evertrain.gates import BeatsChampion, Gate, NotWorse, SignatureGate
from evertrain.metrics import DEFAULT_METRICS, MetricName
from evertrain.notifiers import Notifier
from evertrain.numbers import (
    Confidence,
    Count,
    Finite,
    NotNegative,
    Positive,
    Seed,
    Share,
    Switch,
    Tally,
    UpToHundred,
    Whole,
)
from evertrain.records import Label, Task
from evertrain.sources import Source
from evertrain.strategies import Direct, Strategy

ColumnName = Annotated[str, Field(min_length=1, examples=["late"])]
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"


class Section(BaseModel):
    """A frozen part of the YAML that takes no key it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeaturesConfig(Section):
    """What callers send, by kind; a column named here is used whatever it holds."""

    numeric: tuple[ColumnName, ...] = ()
    categorical: tuple[ColumnName, ...] = ()
    datetime: tuple[ColumnName, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All features, numeric ones first."""
        return self.numeric + self.categorical + self.datetime


class WindowConfig(Section):
    """The newest ``holdout`` before as-of is held out, the ``train`` before it is learnt from."""

    train: Span
    holdout: Span


class DataConfig(Section):
    """Where rows come from and which column means what. ``features`` None: the default plan."""

    source: Source
    query: str | None = None
    timestamp: ColumnName | None = None
    target: ColumnName
    positive: Label | None = None
    entity: tuple[ColumnName, ...] = ()
    features: FeaturesConfig | None = None
    weight: ColumnName | None = None
    window: WindowConfig | None = None


class LabelsConfig(Section):
    """Outcomes that arrive later, and how they are joined to rows."""

    source: Source
    join: Literal["prediction_id"] | tuple[ColumnName, ...]
    column: ColumnName
    arrived_at: ColumnName | None = None
    delay: Duration = timedelta(0)

    @property
    def gives_target(self) -> bool:
        """Whether labels replace the target at ingest: those of a prediction id tell of answers alone."""
        return self.join != "prediction_id"


class ExpectationConfig(BaseModel):
    """One of Great Expectations' own, by its name there; all other keys are its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow")
    type: str = Field(pattern=r"^expect_[a-z0-9_]+$", examples=["expect_column_values_to_not_be_null"])

    @property
    def arguments(self) -> dict[str, Any]:
        """The expectation's arguments, as the YAML gives them."""
        return dict(self.__pydantic_extra__ or {})


class ValidationConfig(Section):
    """What the rows must look like, and what happens to those that don't."""

    expectations: tuple[ExpectationConfig, ...] = ()
    on_failure: Literal["stop", "quarantine"] = "stop"
    max_quarantine_share: Share = 0.05


class FloatSpace(Section):
    """A real number to search between ``low`` and ``high``."""

    type: Literal["float"]
    low: Finite
    high: Finite
    log: Switch = False


class IntSpace(Section):
    """A whole number to search between ``low`` and ``high``."""

    type: Literal["int"]
    low: Whole
    high: Whole
    log: Switch = False


class CategoricalSpace(Section):
    """A value to choose among ``choices``."""

    type: Literal["categorical"]
    choices: tuple[Label | None, ...] = Field(min_length=1)


Space = Annotated[FloatSpace | IntSpace | CategoricalSpace, Field(discriminator="type")]


class SearchConfig(Section):
    """A search for better parameters."""

    trials: Count
    timeout: Span | None = None
    space: dict[str, Space] = Field(min_length=1)


class TrainingConfig(Section):
    """Which estimator learns, and how."""

    estimator: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        examples=["sklearn.ensemble.HistGradientBoostingClassifier"],
    )
    params: dict[str, Any] = {}
    search: SearchConfig | None = None
    class_weight: Literal["none", "balanced"] = "none"
    calibration: Literal["none", "sigmoid", "isotonic"] = "none"
    timeout: Span = timedelta(hours=1)
    seed: Seed = 0


def default_metrics(fields: dict[str, Any]) -> tuple[MetricName, ...]:
    """Name the metrics of a pipeline that names none, by the task among its *fields*."""
    return DEFAULT_METRICS[fields["task"]]


def default_gates(fields: dict[str, Any]) -> tuple[Gate, ...]:
    """Build the gates of a pipeline that names none, by the metrics among its *fields*."""
    primary, *others = fields["metrics"]
    second = [NotWorse(type="not_worse", metric=name) for name in others[:1]]
    return (BeatsChampion(type="beats_champion", metric=primary), *second, SignatureGate(type="signature"))


class EvaluationConfig(Section):
    """How a candidate is judged; the first metric is the primary one."""

    task: Task
    metrics: tuple[MetricName, ...] = Field(default_factory=default_metrics, min_length=1)
    slices: tuple[ColumnName, ...] = ()
    gates: tuple[Gate, ...] = Field(default_factory=default_gates)


class GuardrailsConfig(Section):
    """What ends a rollout."""

    max_error_rate: Share = 0.01
    max_p99_ratio: Positive = 1.5


class PromotionConfig(Section):
    """How a version that passed its gates takes over."""

    strategy: Strategy = Direct()
    guardrails: GuardrailsConfig = GuardrailsConfig()
    approval: Literal["none", "required"] = "none"
    allow_signature_change: Switch = False


class ServingConfig(Section):
    """What the service keeps of the requests it answers."""

    log_predictions: Switch = True
    sample: Share = 1.0


class BatchConfig(Section):
    """Scheduled batch scoring: a file, glob or ``s3://…`` of rows, and where the answers go.

    ``{date}`` in either is the day that the run was due, in UTC: ``scored/{date}.parquet``.
    """

    schedule: str | None = None
    input: str | None = None
    output: str | None = None


class CurrentConfig(Section):
    """The rows a drift check looks at."""

    from_: Literal["source", "predictions"] = Field(default="source", alias="from")
    window: Span = timedelta(days=7)
    min_rows: Count = 500


class PerformanceConfig(Section):
    """Retrain when the champion's metric on new labels falls by more than ``max_drop``."""

    metric: MetricName
    max_drop: NotNegative


class RegretConfig(Section):
    """Retrain when a probe that learnt from newer rows beats the champion on the newest.

    ``confidence``: the chance that a year of looks starts no retrain that doesn't pay. A check counts as a
    look where at least half of ``current.window`` is new since the last one that counted.
    ``max_rows``: the probe learns from at most so many rows, evenly spaced in time.
    ``timeout``: how long it may learn, within ``training.timeout``.
    """

    metric: MetricName
    min_gain: NotNegative = 0.01
    confidence: Confidence = 0.95
    max_rows: Count = 200_000
    timeout: Span = timedelta(minutes=10)


class ConfirmConfig(Section):
    """How many of the last checks must agree."""

    checks: Count = 1
    of: Count = 1


class BudgetConfig(Section):
    """At most ``retrains`` within ``per``, in as-of time; counted are those that checks started."""

    retrains: UpToHundred
    per: Span


class RearmConfig(Section):
    """A cause that a retrain has answered isn't answered again before a check finds it gone.

    ``growth``: nor before it has grown by this share since it was answered; 0.5: to one and a half.
    """

    growth: Positive


class DriftConfig(Section):
    """When to look, what at, and what starts a retrain.

    ``budget``: how many retrains there may be in a while; null: any number.
    ``min_new_labels``: rows with a label, newer than what the champion and the last retrain knew, that a
    retrain needs.
    ``max_age``: so long after the champion's as-of (or the last retrain's) a retrain is due, whatever is
    found; needs no ``retrain_on``, and no other check to confirm it.
    ``rearm``: when a cause may be answered once more; null: whenever it fires.
    """

    schedule: str | None = None
    reference: Literal["training", "rolling"] = "training"
    current: CurrentConfig = CurrentConfig()
    max_share: Share = 0.3
    performance: PerformanceConfig | None = None
    regret: RegretConfig | None = None
    confirm: ConfirmConfig = ConfirmConfig()
    cooldown: Duration = timedelta(hours=24)
    budget: BudgetConfig | None = None
    min_new_labels: Tally = 0
    max_age: Span | None = None
    rearm: RearmConfig | None = None
    retrain_on: tuple[Literal["data", "performance", "regret"], ...] = ("data",)


class ScheduleConfig(Section):
    """When to train without being asked."""

    train: str | None = None
    timezone: str = "UTC"


class PipelineConfig(Section):
    """One pipeline: one YAML file."""

    name: str = Field(pattern=NAME_PATTERN, examples=["flights"])
    description: str = ""
    owner: str = ""
    data: DataConfig
    labels: LabelsConfig | None = None
    validation: ValidationConfig = ValidationConfig()
    training: TrainingConfig
    evaluation: EvaluationConfig
    promotion: PromotionConfig = PromotionConfig()
    serving: ServingConfig = ServingConfig()
    batch: BatchConfig = BatchConfig()
    drift: DriftConfig = DriftConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    notify: tuple[Notifier, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty_sections(cls, value: Any) -> Any:
        # A section whose lines are all commented out reads as null.
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None or key not in cls.model_fields}

    @property
    def primary_metric(self) -> MetricName:
        """The metric a candidate is judged by first."""
        return self.evaluation.metrics[0]

    @property
    def target_labels(self) -> LabelsConfig | None:
        """The late labels that take the target's place; None where the rows bring their own."""
        return self.labels if self.labels and self.labels.gives_target else None

    def digest(self) -> str:
        """SHA-256 of what can change a run's outcome: without description, owner, notify and schedules."""
        outside = {"description", "owner", "notify", "schedule"}
        facts = self.model_dump(mode="json", by_alias=True, exclude=outside)
        facts["drift"].pop("schedule")
        facts["batch"].pop("schedule")
        return digest_of(facts)
