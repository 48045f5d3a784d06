"""Owns the bundle as a model that answers: loaded from verified bytes, asked through the column layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evertrain.bundle_files import (
    DRIFT,
    MODEL_FILES,
    SERVING,
    Document,
    Golden,
    Runtime,
    parse_document,
    read_bundle,
)
from evertrain.columns import Values, encode_inputs
from evertrain.drift_records import DriftPlan
from evertrain.errors import BundleRefused, EvertrainError, ModelFailed
from evertrain.native import open_native
from evertrain.predictions import Prediction, Runner, compare_predictions
from evertrain.records import Signature
from evertrain.serving_plan import ServingPlan
from evertrain.sessions import open_onnx
from evertrain.storage import Store

__all__ = ["Bundle", "Prediction", "check_golden", "load_bundle", "open_model"]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model ready to answer, with what was written down when it was made.

    Attributes:
        digest: SHA-256 of the manifest, in hex; the bundle's name in the store.
        runtime: Whether ONNX Runtime or scikit-learn answers.
        signature: What the model is asked with and answers.
        golden: Rows and the answers they must give.
        statistics: By feature, what its training rows looked like.
        provenance: What the bundle was made from (digests, run key, library versions).
        size_bytes: Of all its files.
        run: The model behind the column layer.
        drift: How drift from its training rows is told; None in bundles that were made before there was one.
        serving: What the service keeps and counts of its rows; as by default in bundles made before it was.
    """

    digest: str
    runtime: Runtime
    signature: Signature
    golden: Golden = field(repr=False)
    statistics: Mapping[str, Any] = field(repr=False)
    provenance: Mapping[str, str] = field(repr=False)
    size_bytes: int
    run: Runner = field(repr=False)
    drift: DriftPlan | None = field(default=None, repr=False)
    serving: ServingPlan = field(default_factory=ServingPlan, repr=False)

    def predict(self, columns: Mapping[str, Values]) -> Prediction:
        """Answer raw rows.

        Args:
            columns: By column name, n values each: an array, or a list of JSON values.

        Raises:
            InvalidInput: A column is missing, ragged or ill-typed.
            ModelFailed: The model raised, or gave a number that isn't finite.
        """
        return self.predict_inputs(encode_inputs(self.signature.features, columns))

    def predict_inputs(self, inputs: Mapping[str, np.ndarray]) -> Prediction:
        """Answer rows that went through the column layer; raises ModelFailed as ``predict`` does."""
        prediction = self.run(inputs)
        if not prediction.is_finite:
            raise ModelFailed(f"The model of bundle {self.digest[:12]} gave a number that isn't finite.")
        return prediction


def open_model(runtime: Runtime, data: bytes, signature: Signature) -> Runner:
    """Open a model's bytes in its runtime; raises BundleRefused if they can't be opened."""
    return open_onnx(data, signature) if runtime == "onnx" else open_native(data, signature)


def load_bundle(store: Store, digest: str) -> Bundle:
    """Read a bundle and verify it on the very bytes that are then loaded.

    Args:
        store: Holds ``bundles/<digest>/``.
        digest: The bundle's name: 64 hex digits.

    Raises:
        BundleRefused: A file is missing, its bytes aren't the manifest's, the format is unknown, or the model
            can't be opened.
    """
    manifest, files = read_bundle(store, digest)
    signature = parse_document(Signature, files["signature.json"], f"signature.json of bundle {digest[:12]}")
    return Bundle(
        digest=digest,
        runtime=manifest.runtime,
        signature=signature,
        golden=parse_document(Golden, files["golden.json"], f"golden.json of bundle {digest[:12]}"),
        statistics=json.loads(files["statistics.json"]),
        provenance=json.loads(files["provenance.json"]),
        size_bytes=sum(len(data) for data in files.values()),
        run=open_model(manifest.runtime, files[MODEL_FILES[manifest.runtime]], signature),
        drift=_parse_optional(DriftPlan, DRIFT, files, digest),
        serving=_parse_optional(ServingPlan, SERVING, files, digest) or ServingPlan(),
    )


def _parse_optional(
    kind: type[Document], name: str, files: Mapping[str, bytes], digest: str
) -> Document | None:
    return parse_document(kind, files[name], f"{name} of bundle {digest[:12]}") if name in files else None


def check_golden(bundle: Bundle) -> None:
    """Ask the bundle its golden rows again.

    Raises:
        BundleRefused: It answers otherwise than when it was made.
    """
    golden = bundle.golden
    try:
        found = bundle.predict(golden.columns)
    except EvertrainError as cause:
        raise BundleRefused(f"Bundle {bundle.digest[:12]} fails on its golden rows: {cause}") from cause
    difference = compare_predictions(golden.expected, found, golden.tolerance)
    if difference.labels_different or difference.largest > golden.tolerance:
        raise BundleRefused(
            f"Bundle {bundle.digest[:12]} answers its golden rows otherwise than when it was made: "
            f"{difference.labels_different} labels differ, numbers by up to {difference.largest:.3g} "
            f"(allowed {golden.tolerance:.3g}). Train again on this machine.",
            digest=bundle.digest,
        )
