"""Owns the bundle: an immutable, content-addressed folder of the store that answers rows; numpy and records only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from evertrain.canonical import canonical_json
from evertrain.columns import Values, encode_inputs
from evertrain.errors import BundleRefused, EvertrainError, ModelFailed
from evertrain.native import open_native
from evertrain.predictions import Prediction, Runner, compare_predictions
from evertrain.records import Record, Signature
from evertrain.sessions import open_onnx
from evertrain.storage import Store

Runtime = Literal["onnx", "native"]
T = TypeVar("T", bound=BaseModel)

MANIFEST = "manifest.json"
MODEL_FILES: Mapping[Runtime, str] = {"onnx": "model.onnx", "native": "model.skops"}
DOCUMENTS = ("signature.json", "golden.json", "statistics.json", "provenance.json")


class BundleFile(Record):
    """One file of a bundle, as its manifest knows it."""

    sha256: str
    size: int


class Manifest(Record):
    """What a bundle holds; the bundle's digest is the SHA-256 of this record's canonical JSON."""

    format: Literal[1] = 1
    runtime: Runtime
    created_by: str
    files: dict[str, BundleFile]


class Golden(Record):
    """Rows with the answers that the bundle gave when it was made.

    ``columns`` holds raw JSON values by column; of ``codes``, ``values`` and ``probabilities`` those are set
    that a Prediction of the bundle sets. ``tolerance`` is in the units of ``Difference.largest``.
    """

    columns: dict[str, list[Any]]
    tolerance: float
    codes: list[int] | None = None
    values: list[float] | None = None
    probabilities: list[list[float]] | None = None

    @property
    def expected(self) -> Prediction:
        """The recorded answers."""
        return Prediction(
            codes=None if self.codes is None else np.array(self.codes, dtype=np.int64),
            values=None if self.values is None else np.array(self.values, dtype=np.float64),
            probabilities=None
            if self.probabilities is None
            else np.array(self.probabilities, dtype=np.float64),
        )


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
    """

    digest: str
    runtime: Runtime
    signature: Signature
    golden: Golden
    statistics: Mapping[str, Any]
    provenance: Mapping[str, str]
    size_bytes: int
    run: Runner = field(repr=False)

    def predict(self, columns: Mapping[str, Values]) -> Prediction:
        """Answer raw rows.

        Args:
            columns: By column name, n values each: an array, or a list of JSON values.

        Raises:
            InvalidInput: A column is missing, ragged or ill-typed.
            ModelFailed: The model raised, or answered with a number that isn't finite.
        """
        return self.predict_inputs(encode_inputs(self.signature.features, columns))

    def predict_inputs(self, inputs: Mapping[str, np.ndarray]) -> Prediction:
        """Answer rows that went through the column layer; raises ModelFailed as ``predict`` does."""
        prediction = self.run(inputs)
        if not prediction.is_finite:
            raise ModelFailed(
                f"The model of bundle {self.digest[:12]} answered with a number that isn't finite."
            )
        return prediction


def open_model(runtime: Runtime, data: bytes, signature: Signature) -> Runner:
    """Open a model's bytes in its runtime; raises BundleRefused if they can't be opened."""
    return open_onnx(data, signature) if runtime == "onnx" else open_native(data, signature)


def write_bundle(store: Store, runtime: Runtime, files: Mapping[str, bytes], created_by: str) -> str:
    """Put a bundle's files into the store, the manifest last, and return the bundle's digest.

    Args:
        store: Where ``bundles/<digest>/`` is made.
        runtime: Which model file is among *files*.
        files: By name: the model and the four documents.
        created_by: The version of evertrain that made it.

    Raises:
        BundleRefused: A file stands there already with other bytes.
    """
    listed = {name: BundleFile(sha256=_digest(files[name]), size=len(files[name])) for name in sorted(files)}
    manifest = canonical_json(Manifest(runtime=runtime, created_by=created_by, files=listed).model_dump())
    digest = _digest(manifest)
    for name, data in [*sorted(files.items()), (MANIFEST, manifest)]:
        key = _key(digest, name)
        if not store.put_if_absent(key, data) and store.get(key) != data:
            raise BundleRefused(f"{key} exists with other bytes; remove it and train again.", key=key)
    return digest


def load_bundle(store: Store, digest: str) -> Bundle:
    """Read a bundle and verify it on the very bytes that are then loaded.

    Args:
        store: Holds ``bundles/<digest>/``.
        digest: The bundle's name: 64 hex digits.

    Raises:
        BundleRefused: A file is missing or its bytes aren't those of the manifest, the format is unknown, or the
            model can't be opened.
    """
    manifest = _read_manifest(store, digest)
    files = {name: _read_file(store, digest, name, listed) for name, listed in manifest.files.items()}
    missing = {MODEL_FILES[manifest.runtime], *DOCUMENTS} - files.keys()
    if missing:
        raise BundleRefused(f"Bundle {digest[:12]} lacks {', '.join(sorted(missing))}.", digest=digest)
    signature = _parse(Signature, digest, "signature.json", files)
    return Bundle(
        digest=digest,
        runtime=manifest.runtime,
        signature=signature,
        golden=_parse(Golden, digest, "golden.json", files),
        statistics=json.loads(files["statistics.json"]),
        provenance=json.loads(files["provenance.json"]),
        size_bytes=sum(len(data) for data in files.values()),
        run=open_model(manifest.runtime, files[MODEL_FILES[manifest.runtime]], signature),
    )


def check_golden(bundle: Bundle) -> None:
    """Ask the bundle its golden rows again.

    Raises:
        BundleRefused: It answers otherwise than when it was made.
    """
    golden = bundle.golden
    try:
        found = bundle.predict(golden.columns)
    except EvertrainError as cause:
        raise BundleRefused(
            f"Bundle {bundle.digest[:12]} fails on its golden rows: {cause.message}"
        ) from cause
    difference = compare_predictions(golden.expected, found, golden.tolerance)
    if difference.labels_different or difference.largest > golden.tolerance:
        raise BundleRefused(
            f"Bundle {bundle.digest[:12]} answers its golden rows otherwise than when it was made: "
            f"{difference.labels_different} labels differ, numbers by up to {difference.largest:.3g} "
            f"(allowed {golden.tolerance:.3g}). Train again on this machine.",
            digest=bundle.digest,
        )


def _read_manifest(store: Store, digest: str) -> Manifest:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise BundleRefused(f"{digest!r} is no bundle; expected 64 hex digits.")
    data = store.get(_key(digest, MANIFEST))
    if data is None:
        raise BundleRefused(f"Bundle {digest[:12]} is not in {store.where}.", digest=digest)
    if _digest(data) != digest:
        raise BundleRefused(
            f"The manifest of bundle {digest[:12]} was changed after it was written.", digest=digest
        )
    return _parse(Manifest, digest, MANIFEST, {MANIFEST: data})


def _read_file(store: Store, digest: str, name: str, listed: BundleFile) -> bytes:
    data = store.get(_key(digest, name))
    if data is None:
        raise BundleRefused(f"Bundle {digest[:12]} lacks {name}.", digest=digest)
    if len(data) != listed.size or _digest(data) != listed.sha256:
        raise BundleRefused(
            f"{name} of bundle {digest[:12]} was changed after it was written.", digest=digest
        )
    return data


def _parse(kind: type[T], digest: str, name: str, files: Mapping[str, bytes]) -> T:
    try:
        return kind.model_validate_json(files[name])
    except ValidationError as cause:
        fault = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"])) or name
        raise BundleRefused(
            f"{name} of bundle {digest[:12]} isn't understood by this version of evertrain ({place}: {fault['msg']}).",
            digest=digest,
        ) from cause


def _key(digest: str, name: str) -> str:
    return f"bundles/{digest}/{name}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
