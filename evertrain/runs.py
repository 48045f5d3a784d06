"""Owns step records (what a run's step gave, by run key) and the run key itself: the one cache there is."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from evertrain.canonical import digest_of
from evertrain.storage import Store

if TYPE_CHECKING:
    from pydantic import BaseModel

R = TypeVar("R", bound="BaseModel")

# What can change a model's numbers or a bundle's bytes while our own sources stay the same.
PACKAGES = (
    *("duckdb", "lightgbm", "numpy", "onnxruntime", "optuna", "pandas", "scikit-learn", "skl2onnx", "skops"),
    *("xgboost", "xgboost-cpu"),
)


class StepRecords:
    """What the steps of one run gave; read before any step starts, and so how a killed run resumes."""

    def __init__(self, store: Store, run_key: str) -> None:
        self.run_key = run_key
        self._store = store

    def read(self, step: str, model: type[R]) -> R | None:
        """What *step* gave; None if it hasn't ended, or if its record isn't of *model*'s present shape.

        Raises:
            StorageError: The store can't be read.
        """
        body = self._store.get(self._key(step))
        if body is None:
            return None
        try:
            return model.model_validate_json(body)
        except ValueError:
            return None

    def write(self, step: str, record: BaseModel) -> None:
        """Keep what *step* gave, in place of an earlier record.

        Raises:
            StorageError: The store can't be written.
        """
        self._store.put(self._key(step), record.model_dump_json().encode())

    def _key(self, step: str) -> str:
        return f"runs/{self.run_key}/{step}.json"


def run_key(pipeline: str, config_digest: str, snapshot_digest: str, code_digest: str) -> str:
    """SHA-256, in hex, of all that a run's outcome follows from."""
    return digest_of([pipeline, config_digest, snapshot_digest, code_digest])


@functools.cache
def code_digest() -> str:
    """SHA-256, in hex, over the library's sources (its command line aside) and its packages' versions."""
    return digest_of([digest_sources(Path(__file__).parent), {name: _version_of(name) for name in PACKAGES}])


def digest_sources(folder: Path) -> dict[str, str]:
    """By path below *folder*, the SHA-256 of each Python source, the command line aside."""
    sources = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.py"))}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sources.items()
        if name.split("/")[0] not in ("cli", "cli.py")
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
