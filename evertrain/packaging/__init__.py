"""Owns the step "package": a fitted model becomes a bundle, in ONNX where that answers alike, else native."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions, version
from typing import Any, NamedTuple

import numpy as np

from evertrain.bundle_files import DRIFT, MODEL_FILES, SERVING, Runtime, write_bundle
from evertrain.canonical import canonical_json
from evertrain.columns import InputSpec, encode_inputs, input_names
from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, read_side, to_columns
from evertrain.datasets.stored_rows import reference_rows
from evertrain.drift import plan_drift
from evertrain.errors import BundleRefused, ModelFailed, TrainingError
from evertrain.native import load_native, native_runner
from evertrain.packaging.conversion import Conversion, convert_apart, find_inexact
from evertrain.packaging.feature_statistics import describe_features
from evertrain.packaging.golden import make_golden
from evertrain.packaging.parity import add_probes, check_parity, tolerance_for
from evertrain.predictions import Prediction, Runner
from evertrain.quiet import quiet
from evertrain.records import BundleRef, Feature, Parity, Side, Signature, TrainedModel
from evertrain.serving_plan import ServingPlan
from evertrain.sessions import open_onnx
from evertrain.storage import Store

BOOSTERS = {"lightgbm": ("lightgbm", "onnxmltools"), "xgboost": ("xgboost", "xgboost-cpu", "onnxmltools")}
"""By the package that an estimator comes from, the distributions that may hold it, and what converts it."""
LIBRARIES = ("evertrain", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx", "skops")


class Packed(NamedTuple):
    """The model as it will be served."""

    runtime: Runtime
    data: bytes
    run: Runner
    parity: Parity | None
    reason: str | None


def package(
    config: PipelineConfig,
    ingested: Ingested,
    trained: TrainedModel,
    store: Store,
    provenance: Mapping[str, str],
) -> BundleRef:
    """Make the bundle of a fitted model.

    Args:
        config: The pipeline.
        ingested: The snapshot whose held-out rows the parity gate and the golden rows are taken from.
        trained: What ``train`` kept.
        store: Holds snapshot and model; receives ``bundles/<digest>/``.
        provenance: What the bundle was made from, by name; library versions are added.

    Returns:
        The bundle's digest, and why it isn't in ONNX where it isn't.

    Raises:
        BundleRefused: The model's bytes aren't what ``train`` kept.
        TrainingError: The model can't answer the held-out rows.
    """
    data = _read_model(store, trained)
    pipeline = load_native(data)
    features = trained.signature.features
    held_out = _read_columns(config, ingested, store, "holdout", features)
    tolerance = tolerance_for(trained.signature)
    packed = pack_model(pipeline, data, trained.signature, encode_inputs(features, held_out), tolerance)
    golden = make_golden(features, held_out, packed.run, tolerance)
    learnt = _read_columns(config, ingested, store, "train", features)
    plan = plan_drift(features, reference_rows(store, ingested.snapshot))
    files = {
        MODEL_FILES[packed.runtime]: packed.data,
        "signature.json": canonical_json(trained.signature.model_dump(mode="json")),
        "golden.json": canonical_json(golden.model_dump(mode="json")),
        "statistics.json": canonical_json(describe_features(features, learnt)),
        "provenance.json": canonical_json({**_versions(trained.estimator), **provenance}),
        DRIFT: canonical_json(plan.model_dump(mode="json")),
        SERVING: canonical_json(plan_serving(config).model_dump(mode="json")),
    }
    return BundleRef(
        digest=write_bundle(store, packed.runtime, files, version("evertrain")),
        runtime=packed.runtime,
        reason=packed.reason,
        parity=packed.parity,
        size_bytes=sum(map(len, files.values())),
    )


def plan_serving(config: PipelineConfig) -> ServingPlan:
    """What the service keeps and counts of the model's rows."""
    expectations = config.validation.expectations
    return ServingPlan(
        log_predictions=config.serving.log_predictions,
        sample=config.serving.sample,
        expectations=tuple(each.model_dump(mode="json") for each in expectations),
    )


def pack_model(
    pipeline: Any,
    data: bytes,
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    tolerance: float,
    convert: Callable[[bytes, Sequence[InputSpec]], Conversion] = convert_apart,
) -> Packed:
    """Choose the runtime: ONNX if the model converts and answers as scikit-learn does, probe rows included.

    Args:
        pipeline: The fitted pipeline.
        data: The same as skops.
        signature: What it is asked with and answers.
        inputs: Held-out rows that went through the column layer, shape (n,) each.
        tolerance: The parity gate's.
        convert: The way to ONNX.

    Raises:
        TrainingError: The pipeline itself can't answer these rows.
    """
    run = native_runner(pipeline, signature)
    specs = input_names(signature.features)
    rows = add_probes(specs, inputs)
    reference = _answer(run, rows)
    reason = find_inexact(pipeline)
    if reason is not None:
        return Packed("native", data, run, None, reason)
    conversion = convert(data, specs)
    if conversion.model is None:
        return Packed("native", data, run, None, conversion.reason)
    try:
        converted = open_onnx(conversion.model, signature)
    except BundleRefused as cause:
        return Packed("native", data, run, None, cause.message)
    verdict = check_parity(reference, converted, rows, tolerance)
    if verdict.parity is None:
        return Packed("native", data, run, None, verdict.reason)
    return Packed("onnx", conversion.model, converted, verdict.parity, None)


def _answer(run: Runner, rows: Mapping[str, np.ndarray]) -> Prediction:
    try:
        with quiet():
            prediction = run(rows)
    except ModelFailed as cause:
        raise TrainingError(f"The fitted model can't answer the held-out rows. {cause}") from cause
    if not prediction.is_finite:
        raise TrainingError(
            "The fitted model answers held-out rows, or rows with missing or unseen values, with numbers "
            "that aren't finite; choose other parameters or another estimator."
        )
    return prediction


def _read_model(store: Store, trained: TrainedModel) -> bytes:
    data = store.get(trained.key)
    if data is None or hashlib.sha256(data).hexdigest() != trained.digest:
        found = "isn't there" if data is None else "isn't as it was written"
        raise BundleRefused(f"{trained.key} {found}; train again.", key=trained.key)
    return data


def _read_columns(
    config: PipelineConfig, ingested: Ingested, store: Store, side: Side, features: Sequence[Feature]
) -> dict[str, np.ndarray]:
    names = [feature.name for feature in features]
    return to_columns(
        read_side(store, ingested.snapshot, side, target=config.data.target, columns=names), names
    )


def _versions(estimator: str) -> dict[str, str]:
    booster = estimator.partition(".")[0]
    names = [*LIBRARIES, *BOOSTERS.get(booster, ())]
    installed = {each.name for each in distributions()} if booster in BOOSTERS else set(names)
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in names if name in installed},
    }
