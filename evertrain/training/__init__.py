"""Owns the step "train": a snapshot's learnt side becomes a fitted pipeline in the store, kept as skops."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import numpy as np

from evertrain.columns import encode_inputs, encode_target, input_names
from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, read_side, to_columns
from evertrain.errors import BundleRefused, TrainingError
from evertrain.native import dump_native
from evertrain.records import Label, Signature, TrainedModel
from evertrain.settings import Settings
from evertrain.storage import Store
from evertrain.training.fitting import TrainingRows, fit_pipeline


def train(config: PipelineConfig, ingested: Ingested, store: Store, settings: Settings) -> TrainedModel:
    """Fit the pipeline's estimator on the labelled rows of the training side and keep it.

    Args:
        config: The pipeline.
        ingested: The snapshot and the feature plan.
        store: Holds the snapshot; receives ``models/<sha256>.skops``.
        settings: Says which packages an estimator may come from.

    Returns:
        Where the fitted model lies, and the signature it will be served with.

    Raises:
        ConfigError: The estimator isn't one that may be used.
        TrainingError: It can't be fitted on these rows, can't answer them, or can't be kept.
    """
    from evertrain.config.estimators import resolve_estimator

    kind = resolve_estimator(config.training.estimator, config.training.params, settings)
    rows, classes = read_rows(config, ingested, store)
    started = time.perf_counter()
    pipeline = fit_pipeline(kind, config.training, rows)
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
    )


def read_rows(
    config: PipelineConfig, ingested: Ingested, store: Store
) -> tuple[TrainingRows, tuple[Label, ...] | None]:
    """Read the labelled rows of the training side as what an estimator learns from.

    Returns:
        The rows, and the classes that occur among them in the order of their codes (None for regression).
    """
    data, features = config.data, ingested.plan.features
    table = read_side(store, ingested.snapshot, "train", target=data.target)
    extra = [name for name in (data.timestamp, data.weight) if name is not None]
    columns = to_columns(table, [*dict.fromkeys([*(each.name for each in features), data.target, *extra])])
    target, classes = _encode_target(columns[data.target], ingested.classes)
    rows = TrainingRows(
        inputs=encode_inputs(features, columns),
        specs=input_names(features),
        target=target,
        is_classification=classes is not None,
        weights=None if data.weight is None else columns[data.weight].astype(np.float64),
        newest=_newest_fifth(None if data.timestamp is None else columns[data.timestamp], len(target)),
    )
    return rows, classes


def _encode_target(
    labels: np.ndarray, classes: tuple[Label, ...] | None
) -> tuple[np.ndarray, tuple[Label, ...] | None]:
    if classes is None:
        return labels.astype(np.float64), None
    codes = encode_target(labels, classes)
    seen, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.int64), tuple(classes[code] for code in seen)


def _newest_fifth(timestamps: np.ndarray | None, rows: int) -> np.ndarray:
    """Mark the newest fifth; without timestamps every fifth row, for the snapshot's order is stable."""
    newest: np.ndarray = np.arange(rows) % 5 == 4
    if timestamps is not None:
        order = np.argsort(timestamps, kind="stable")
        newest = np.zeros(rows, dtype=bool)
        newest[order[rows - rows // 5 :]] = True
    return newest


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
