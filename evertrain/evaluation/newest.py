"""Owns how models are held against the newest labelled rows: by a check, or by its replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evertrain.config import EvaluationConfig, PipelineConfig, WindowConfig
from evertrain.durations import LONGEST
from evertrain.evaluation import evaluate
from evertrain.evaluation.held_out import read_held_out

if TYPE_CHECKING:
    from evertrain.bundles import Bundle
    from evertrain.datasets import Ingested
    from evertrain.gates import BeatsChampion
    from evertrain.metrics import MetricName
    from evertrain.records import Evaluation
    from evertrain.storage import Store


def aim_at_newest(config: PipelineConfig) -> PipelineConfig:
    """Hold out the newest ``drift.current.window``; learn from ``window.train`` before it, or all."""
    window = config.data.window
    learnt = window.train if window else LONGEST
    aimed = WindowConfig(train=learnt, holdout=config.drift.current.window)
    return config.model_copy(update={"data": config.data.model_copy(update={"window": aimed})})


def judge_by(config: PipelineConfig, metric: MetricName, *gates: BeatsChampion) -> PipelineConfig:
    """The same pipeline without a search, judged by one metric."""
    evaluation = EvaluationConfig(task=config.evaluation.task, metrics=(metric,), gates=gates)
    training = config.training.model_copy(update={"search": None})
    return config.model_copy(update={"evaluation": evaluation, "training": training})


def score_newest(
    store: Store,
    config: PipelineConfig,
    newest: Ingested,
    candidate: Bundle,
    champion: tuple[int, Bundle] | None,
) -> Evaluation:
    """Measure one or both on the newest labelled rows.

    Args:
        store: Where the rows are.
        config: The pipeline as ``judge_by`` gives it.
        newest: The rows, split as ``aim_at_newest`` splits them.
        candidate: The one that is measured.
        champion: The one that it is held against, and its version.

    Raises:
        DataRefused: The rows can't tell.
        TrainingError: The candidate can't be measured by them.
        InvalidInput: They don't hold what a model takes.
        ModelFailed: A model raised, or answered with a number that isn't finite.
    """
    bundles = [candidate, champion[1] if champion else None]
    rows = read_held_out(store, newest.snapshot, config.data.target, bundles)
    return evaluate(
        config,
        candidate,
        champion,
        rows.columns,
        rows.target,
        newest.classes,
        seed=config.training.seed,
    )
