"""Owns a bundle's bytes in the store: a folder named by its manifest's digest, verified at each reading."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from evertrain.canonical import canonical_json
from evertrain.errors import BundleRefused
from evertrain.predictions import Prediction
from evertrain.records import Record
from evertrain.storage import Store

Runtime = Literal["onnx", "native"]
Document = TypeVar("Document", bound=BaseModel)

MANIFEST = "manifest.json"
MODEL_FILES: Mapping[Runtime, str] = {"onnx": "model.onnx", "native": "model.skops"}
DOCUMENTS = ("signature.json", "golden.json", "statistics.json", "provenance.json")
DRIFT = "drift.json"
"""A document that a bundle may lack: those made before drift was looked for have none."""
SERVING = "serving.json"
"""A document that a bundle may lack: those made before rows were kept and counted have none."""


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
            codes=_as_array(self.codes, np.int64),
            values=_as_array(self.values, np.float64),
            probabilities=_as_array(self.probabilities, np.float64),
        )


def write_bundle(store: Store, runtime: Runtime, files: Mapping[str, bytes], created_by: str) -> str:
    """Put a bundle's files into the store, the manifest last, and return the bundle's digest.

    Args:
        store: Where ``bundles/<digest>/`` is made.
        runtime: Which model file is among *files*.
        files: By name: the model, the four documents, and those that it may lack.
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


def read_bundle(store: Store, digest: str) -> tuple[Manifest, dict[str, bytes]]:
    """Read a bundle's files and verify their bytes.

    Args:
        store: Holds ``bundles/<digest>/``.
        digest: 64 hex digits.

    Returns:
        The manifest, and the bytes of each file that it names: at least the model and the four documents.

    Raises:
        BundleRefused: A file is missing, its bytes aren't the manifest's, or the format is unknown.
    """
    manifest = _read_manifest(store, digest)
    files = {name: _read_file(store, digest, name, listed) for name, listed in manifest.files.items()}
    missing = {MODEL_FILES[manifest.runtime], *DOCUMENTS} - files.keys()
    if missing:
        raise BundleRefused(f"Bundle {digest[:12]} lacks {', '.join(sorted(missing))}.", digest=digest)
    return manifest, files


def copy_bundle(source: Store, target: Store, digest: str) -> None:
    """Copy a bundle from one store to another, verified on the way.

    Raises:
        BundleRefused: As for ``read_bundle``.
        StorageError: A store can't be read or written.
    """
    manifest, files = read_bundle(source, digest)
    for name, data in files.items():
        target.put_if_absent(_key(digest, name), data)
    target.put_if_absent(_key(digest, MANIFEST), canonical_json(manifest.model_dump(mode="json")))


def parse_document(kind: type[Document], data: bytes, name: str) -> Document:
    """Read one of a bundle's JSON files; raises BundleRefused where it isn't what this version reads."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as cause:
        fault = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise BundleRefused(
            f"{name} isn't what this version of evertrain reads: {place}: {fault['msg']}. Serve it with "
            "the version that made it, or train again."
        ) from cause


def _read_manifest(store: Store, digest: str) -> Manifest:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise BundleRefused(f"{digest!r} is no bundle; expected 64 hex digits.")
    data = store.get(_key(digest, MANIFEST))
    if data is None:
        raise BundleRefused(f"Bundle {digest[:12]} is not in {store.where}.", digest=digest)
    if _digest(data) != digest:
        raise BundleRefused(f"The manifest of bundle {digest[:12]} isn't as it was written.", digest=digest)
    return parse_document(Manifest, data, f"{MANIFEST} of bundle {digest[:12]}")


def _read_file(store: Store, digest: str, name: str, listed: BundleFile) -> bytes:
    data = store.get(_key(digest, name))
    if data is None:
        raise BundleRefused(f"Bundle {digest[:12]} lacks {name}.", digest=digest)
    if len(data) != listed.size or _digest(data) != listed.sha256:
        raise BundleRefused(f"{name} of bundle {digest[:12]} isn't as it was written.", digest=digest)
    return data


def _as_array(values: list[Any] | None, kind: type[np.generic]) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=kind)


def _key(digest: str, name: str) -> str:
    return f"bundles/{digest}/{name}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
