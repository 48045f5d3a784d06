"""Owns the export of a model: a folder that answers as the service does, without evertrain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from evertrain.bundle_files import MANIFEST, MODEL_FILES, Runtime, read_bundle
from evertrain.canonical import canonical_json
from evertrain.errors import ConfigError, StorageError
from evertrain.exporting.column_layer import spell_column_layer
from evertrain.native import TRUSTED_TYPES
from evertrain.records import Record
from evertrain.storage import Store

_FILES = Path(__file__).parent / "files"
_EXAMPLES: Mapping[Runtime, Mapping[str, str]] = {
    "onnx": {
        "predict.py": "predict_onnx.py.txt",
        "browser/index.html": "browser/index.html",
        "browser/columns.js": "browser/columns.js",
        "browser/predict.js": "browser/predict.js",
    },
    "native": {"predict.py": "predict_native.py.txt"},
}


class Exported(Record):
    """What was exported, and where to; ``files`` are named from the folder."""

    pipeline: str
    version: int
    bundle: str
    runtime: Runtime
    folder: str
    files: tuple[str, ...]


def export_bundle(store: Store, pipeline: str, version: int, digest: str, folder: Path) -> Exported:
    """Write a bundle's verified files into *folder*, beside what asks them in Python and in a browser.

    Args:
        store: Holds the bundle.
        pipeline: The pipeline's name.
        version: The version that the bundle is.
        digest: The bundle's name.
        folder: Is made; may be there, if it is empty. It is there as a whole or not at all.

    Raises:
        ConfigError: *folder* isn't empty, or is no folder.
        BundleRefused: A file is missing, or isn't as it was written.
        StorageError: The store can't be read, or the folder can't be written.
    """
    _refuse_filled(folder)
    manifest, files = read_bundle(store, digest)
    files |= {MANIFEST: canonical_json(manifest.model_dump(mode="json"))}
    files |= _examples(manifest.runtime)
    files["README.md"] = _introduce(pipeline, version, digest, manifest.runtime)
    try:
        _write(folder, files)
    except OSError as cause:
        raise StorageError(
            f"Can't write {folder}: {cause.strerror or cause}. Free some space or choose another --to; "
            "nothing was left there."
        ) from cause
    return Exported(
        pipeline=pipeline,
        version=version,
        bundle=digest,
        runtime=manifest.runtime,
        folder=str(folder),
        files=tuple(sorted(files)),
    )


def _refuse_filled(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ConfigError(f"--to {str(folder)!r} is a file; name a folder that is new or empty.")
    if any(folder.iterdir()):
        raise ConfigError(f"The folder {str(folder)!r} isn't empty; name one that is, or a new one.")


def _examples(runtime: Runtime) -> dict[str, bytes]:
    found = {name: (_FILES / source).read_bytes() for name, source in _EXAMPLES[runtime].items()}
    found["columns.py"] = spell_column_layer().encode()
    if runtime == "native":
        found["trusted.json"] = canonical_json(sorted(TRUSTED_TYPES))
    return found


def _introduce(pipeline: str, version: int, digest: str, runtime: Runtime) -> bytes:
    text = (_FILES / f"README_{runtime}.md").read_text(encoding="utf-8")
    facts = {"{pipeline}": pipeline, "{version}": str(version), "{bundle}": digest}
    for name, value in {**facts, "{model}": MODEL_FILES[runtime]}.items():
        text = text.replace(name, value)
    return text.encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    whole = folder.absolute()
    whole.parent.mkdir(parents=True, exist_ok=True)
    beside = whole.parent / f".{whole.name}.{uuid4().hex[:8]}.tmp"
    try:
        for name, data in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        # An empty folder gives way; one that was filled meanwhile doesn't.
        beside.replace(whole)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
