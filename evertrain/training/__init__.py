"""Owns the step "train": a snapshot's learnt side becomes a fitted pipeline in the store, kept as skops."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import Any

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested
from evertrain.datasets.leakage import count_common_rows
from evertrain.errors import BundleRefused, TrainingError
from evertrain.native import dump_native
from evertrain.records import Label, Signature, TrainedModel
from evertrain.runs import StepRecords
from evertrain.settings import Settings
from evertrain.storage import Store
from evertrain.training.fitting import fit_pipeline
from evertrain.training.lone_features import find_lone_features
from evertrain.training.rows import TrainingRows, read_rows, thin_rows
from evertrain.training.search import choose_parameters, search_parameters

__all__ = ["describe_parameters", "find_leaks", "read_rows", "train"]

logger = logging.getLogger("evertrain.training")


def train(
    config: PipelineConfig,
    ingested: Ingested,
    store: Store,
    settings: Settings,
    records: StepRecords | None = None,
    *,
    most_rows: int | None = None,
) -> TrainedModel:
    """Fit the pipeline's estimator on the labelled rows of the training side and keep it.

    Where the pipeline has a search, its best parameters are those that are fitted, on all these rows.

    Args:
        config: The pipeline.
        ingested: The snapshot and the feature plan.
        store: Holds the snapshot; receives ``models/<sha256>.skops``.
        settings: Says which packages an estimator may come from.
        records: The run's step records, where a search keeps its finished trials; None: nowhere.
        most_rows: Fit at most so many of the rows, spread over the window; None: all.

    Returns:
        Where the fitted model lies, the signature it will be served with, what a search found, and what
        in the rows looks like leakage.

    Raises:
        ConfigError: The estimator isn't one that may be used.
        TrainingError: It can't be fitted on these rows, can't answer them, or can't be kept; or a search
            found nothing.
    """
    from evertrain.config.estimators import resolve_estimator

    kind = resolve_estimator(config.training.estimator, config.training.params, settings)
    rows, classes = read_rows(config, ingested, store)
    if most_rows is not None:
        rows = thin_rows(rows, most_rows, config.training.seed)
    suspicions = find_leaks(config, ingested, store, rows, classes)
    for suspicion in suspicions:
        logger.warning("leakage? %s", suspicion)
    found = search_parameters(kind, config, rows, records) if config.training.search else None
    training = choose_parameters(config.training, found) if found else config.training
    started = time.perf_counter()
    pipeline = fit_pipeline(kind, training, rows)
    fit_seconds = time.perf_counter() - started
    data = _dump(config, pipeline)
    digest = hashlib.sha256(data).hexdigest()
    key = f"models/{digest}.skops"
    store.put_if_absent(key, data)
    return TrainedModel(
        key=key,
        digest=digest,
        signature=_sign(config, ingested, classes, hasattr(pipeline, "predict_proba")),
        estimator=config.training.estimator,
        parameters=describe_parameters(pipeline[-1]),
        fit_seconds=fit_seconds,
        train_rows=len(rows.target),
        search=found,
        warnings=suspicions,
    )


def find_leaks(
    config: PipelineConfig,
    ingested: Ingested,
    store: Store,
    rows: TrainingRows,
    classes: tuple[Label, ...] | None,
) -> tuple[str, ...]:
    """Say what in the rows, as ``read_rows`` gave them, tells the answers beforehand; it hinders no run.

    Raises:
        StorageError: A part of the snapshot is missing, or its bytes aren't those that were written.
    """
    data = config.data
    suspicions = find_lone_features(ingested.plan.features, rows, classes)
    common = count_common_rows(store, ingested.snapshot, target=data.target, timestamp=data.timestamp)
    if common:
        suspicions += (f"{common:,} held-out rows are equal to rows that were learnt from, in every column",)
    return suspicions


def _dump(config: PipelineConfig, pipeline: Any) -> bytes:
    try:
        return dump_native(pipeline)
    except BundleRefused as cause:
        raise TrainingError(f"{config.training.estimator} was fitted, but can't be kept. {cause}") from cause


def _sign(
    config: PipelineConfig, ingested: Ingested, classes: tuple[Label, ...] | None, has_probabilities: bool
) -> Signature:
    data, plan = config.data, ingested.plan
    others = (data.target, data.timestamp, *data.entity, data.weight, *(each.name for each in plan.left_out))
    asked = {feature.name for feature in plan.features}
    return Signature(
        task=config.evaluation.task,
        target=data.target,
        features=plan.features,
        ignored=tuple(dict.fromkeys(name for name in others if name is not None and name not in asked)),
        entity=data.entity,
        timestamp=data.timestamp,
        classes=classes,
        has_probabilities=has_probabilities and classes is not None,
    )


def describe_parameters(model: Any) -> dict[str, Any]:
    """The effective parameters of an estimator (of the inner one, if calibrated) as JSON values."""
    from sklearn.calibration import CalibratedClassifierCV

    inner = model.estimator if isinstance(model, CalibratedClassifierCV) else None
    estimator = model if inner is None else inner
    return {name: _as_json(value) for name, value in sorted(estimator.get_params(deep=False).items())}


def _as_json(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)
