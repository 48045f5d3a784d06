"""Owns the pieces of a backtest: what is worked out once, whoever asks, and kept under its own content."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from evertrain.canonical import digest_of
from evertrain.config import (
    BatchConfig,
    CurrentConfig,
    DriftConfig,
    EvaluationConfig,
    PipelineConfig,
    PromotionConfig,
    RegretConfig,
    ScheduleConfig,
    ServingConfig,
    TrainingConfig,
    ValidationConfig,
)
from evertrain.config import PerformanceConfig as Performance
from evertrain.datasets import Ingested
from evertrain.evaluation.newest import aim_at_newest
from evertrain.metrics import DEFAULT_METRICS
from evertrain.policy import look_level, looks_a_year
from evertrain.records import Record, Snapshot
from evertrain.runs import code_digest

Spelled: TypeAlias = dict[str, Any]
"""A pipeline's configuration as JSON, with all that can't change the piece at its default."""


class Rows(Record):
    """The rows that a training as of ``as_of`` reads; ``source`` is the digest of what the source holds."""

    kind: Literal["rows"] = "rows"
    config: Spelled
    as_of: datetime
    source: str


class Window(Record):
    """All labelled rows after ``since``, up to and with ``until``: what a champion is scored on."""

    kind: Literal["window"] = "window"
    config: Spelled
    since: datetime
    until: datetime
    source: str


class Fit(Record):
    """A model that learnt from ``rows``, packaged as it would be served."""

    kind: Literal["fit"] = "fit"
    config: Spelled
    rows: Rows
    most_rows: int | None = None


class Verdict(Record):
    """What Great Expectations says of ``rows``."""

    kind: Literal["verdict"] = "verdict"
    config: Spelled
    rows: Rows


class Judge(Record):
    """The gates' verdicts on a candidate beside a champion; ``look``: which one on these held-out rows."""

    kind: Literal["judge"] = "judge"
    config: Spelled
    candidate: Fit
    champion: Fit | None
    look: int | None


class Check(Record):
    """A drift check of ``champion``; a ``probe`` is there where regret is asked for."""

    kind: Literal["check"] = "check"
    config: Spelled
    champion: Fit
    probe: Fit | None
    newest: Rows
    as_of: datetime
    known_until: datetime | None = None


class Score(Record):
    """A champion's metrics on the rows of ``window``."""

    kind: Literal["score"] = "score"
    champion: Fit
    window: Window
    metrics: tuple[str, ...]


Piece: TypeAlias = Rows | Window | Fit | Verdict | Judge | Check | Score


class RowsMade(Record):
    """A snapshot, with the digest of its held-out rows' fingerprints; or why the rows were refused."""

    ingested: Ingested | None = None
    holdout: str | None = None
    refused: str | None = None
    seconds: float = 0.0


class WindowMade(Record):
    """The rows of a period as parts of a snapshot of their own."""

    snapshot: Snapshot


class FitMade(Record):
    """The digest of a bundle; or why there is none."""

    bundle: str | None = None
    snapshot: str | None = None
    holdout: str | None = None
    refused: str | None = None
    failed: str | None = None
    seconds: float = 0.0


class VerdictMade(Record):
    """Why the rows were refused; None if they weren't."""

    refused: str | None = None
    seconds: float = 0.0


class JudgeMade(Record):
    """A candidate's metrics on its held-out rows, and what each gate that failed said."""

    metrics: dict[str, float] = {}
    held: tuple[str, ...] = ()
    failed: str | None = None
    seconds: float = 0.0


class RegretMade(Record):
    """What a probe gains over the champion on the newest labels, with its interval."""

    gain: float
    low: float
    high: float
    rows: int


class CheckMade(Record):
    """What a check measured; what fires is for the policy to say, so that one measurement serves many.

    ``share`` is None where the newest rows are too few; ``value`` is the champion's metric on the newest
    labels.
    """

    rows: int
    share: float | None = None
    value: float | None = None
    regret: RegretMade | None = None
    new_labels: int | None = None
    seconds: float = 0.0


class ScoreMade(Record):
    """Metrics on labelled rows; empty where none could be measured, for the reason given."""

    rows: int = 0
    metrics: dict[str, float] = {}
    reason: str | None = None


Made: TypeAlias = RowsMade | WindowMade | FitMade | VerdictMade | JudgeMade | CheckMade | ScoreMade

PIECES: dict[str, type[Piece]] = {
    "rows": Rows,
    "window": Window,
    "fit": Fit,
    "verdict": Verdict,
    "judge": Judge,
    "check": Check,
    "score": Score,
}
MADE: dict[str, type[Made]] = {
    "rows": RowsMade,
    "window": WindowMade,
    "fit": FitMade,
    "verdict": VerdictMade,
    "judge": JudgeMade,
    "check": CheckMade,
    "score": ScoreMade,
}


def key_of(piece: Piece) -> str:
    """Name the object of the store that holds what *piece* came to: all that it follows from, digested."""
    return f"backtest/{digest_of([piece.model_dump(mode='json'), code_digest()])}.json"


def spell(config: PipelineConfig) -> Spelled:
    """Write a configuration as JSON."""
    return config.model_dump(mode="json", by_alias=True)


def read_config(spelled: Spelled) -> PipelineConfig:
    """Undo ``spell``."""
    return PipelineConfig.model_validate(spelled)


def neutralise(config: PipelineConfig, **kept: Any) -> PipelineConfig:
    """Set all that *kept* doesn't name, but for the data, to what every pipeline would have."""
    task = config.evaluation.task
    neutral: dict[str, Any] = {
        "description": "",
        "owner": "",
        "validation": ValidationConfig(),
        "training": TrainingConfig(estimator=config.training.estimator),
        "evaluation": EvaluationConfig(task=task, metrics=DEFAULT_METRICS[task][:1], gates=()),
        "promotion": PromotionConfig(),
        "serving": ServingConfig(),
        "batch": BatchConfig(),
        "drift": DriftConfig(),
        "schedule": ScheduleConfig(),
        "notify": (),
    }
    return config.model_copy(update={**neutral, **kept})


def plan_rows(config: PipelineConfig, as_of: datetime, source: str) -> Rows:
    """Name the rows that a training as of *as_of* reads."""
    sets_aside = config.validation.on_failure == "quarantine"
    kept = {"validation": config.validation} if sets_aside else {}
    return Rows(config=spell(neutralise(config, **kept)), as_of=as_of, source=source)


def plan_fit(config: PipelineConfig, as_of: datetime, source: str) -> Fit:
    """Name the candidate of *config* as of *as_of*."""
    kept: dict[str, Any] = {
        "validation": config.validation,
        "training": config.training,
        "serving": config.serving,
    }
    if config.training.search is not None:
        kept["evaluation"] = config.evaluation.model_copy(update={"gates": (), "slices": ()})
    return Fit(config=spell(neutralise(config, **kept)), rows=plan_rows(config, as_of, source))


def plan_verdict(config: PipelineConfig, as_of: datetime, source: str) -> Verdict | None:
    """Name the verdict on a training's rows; None where nothing is expected of them."""
    if not config.validation.expectations:
        return None
    kept = neutralise(config, validation=config.validation)
    return Verdict(config=spell(kept), rows=plan_rows(config, as_of, source))


def plan_judge(config: PipelineConfig, candidate: Fit, champion: Fit | None, look: int | None) -> Judge:
    """Name a candidate's judgement."""
    kept = neutralise(
        config,
        training=config.training,
        evaluation=config.evaluation,
        promotion=PromotionConfig(allow_signature_change=config.promotion.allow_signature_change),
        drift=DriftConfig(performance=config.drift.performance),
    )
    return Judge(config=spell(kept), candidate=candidate, champion=champion, look=look)


def plan_probe(config: PipelineConfig, as_of: datetime, source: str) -> Fit:
    """Name the probe of a check: it learns what lies before the newest window, without a search."""
    training = config.training.model_copy(update={"search": None})
    fit = plan_fit(aim_at_newest(config).model_copy(update={"training": training}), as_of, source)
    regret = config.drift.regret
    return fit.model_copy(update={"most_rows": regret.max_rows if regret else None})


def plan_check(
    config: PipelineConfig, champion: Fit, as_of: datetime, source: str, known_until: datetime | None
) -> Check:
    """Name what a check of *champion* as of *as_of* measures; thresholds aren't part of it."""
    drift = config.drift
    performance, regret = drift.performance, drift.regret
    level = look_level(regret.confidence, looks_a_year(drift)) if regret else 0.95
    kept = neutralise(
        config,
        training=config.training.model_copy(update={"search": None}),
        drift=DriftConfig(
            reference=drift.reference,
            current=CurrentConfig(window=drift.current.window, min_rows=drift.current.min_rows),
            performance=performance and Performance(metric=performance.metric, max_drop=0.0),
            regret=regret and RegretConfig(metric=regret.metric, min_gain=0.0, confidence=level),
        ),
    )
    return Check(
        config=spell(kept),
        champion=champion,
        probe=plan_probe(config, as_of, source) if regret else None,
        newest=plan_rows(aim_at_newest(config), as_of, source),
        as_of=as_of,
        known_until=known_until if drift.min_new_labels else None,
    )


def plan_window(config: PipelineConfig, since: datetime, until: datetime, source: str) -> Window:
    """Name the rows of a period."""
    return Window(config=spell(neutralise(config)), since=since, until=until, source=source)
