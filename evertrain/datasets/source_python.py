"""Owns sources that are Python functions: finding one, calling it, and what it may return."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evertrain.datasets.source_staging import stage_batches
from evertrain.errors import ConfigError, EvertrainError, SourceError
from evertrain.settings import Settings
from evertrain.sources import PythonSource

if TYPE_CHECKING:
    import pyarrow as pa

_PATH = "data.source.entry"


def read_function(source: PythonSource, folder: Path, settings: Settings) -> tuple[Path, ...]:
    """Call the source's function and write what it returns to *folder* as Parquet.

    The function takes no argument and returns a pandas DataFrame (whose index is left out), a pyarrow Table
    or RecordBatchReader, or what else gives Arrow streams, such as a Polars DataFrame. Its module may lie
    in the current folder.

    Raises:
        ConfigError: Functions aren't allowed as sources, or there is no such function.
        SourceError: It raised, or returned something else or no rows.
        StorageError: The folder can't be written.
    """
    if not settings.allow_python_sources:
        raise ConfigError(
            f"data.source runs the function {source.entry!r}, and that isn't allowed here; set "
            "EVERTRAIN_ALLOW_PYTHON_SOURCES=1 where you trust it, or name a source that runs no code.",
            path="data.source.type",
        )
    told = f"The function {source.entry!r} of data.source.entry"
    # A reader may run the module's code until its last batch.
    with _current_folder_importable():
        with _faults_told(told):
            made = _find_function(source)()
        return stage_batches(_read_batches(made, told), folder, told)


def _find_function(source: PythonSource) -> Callable[[], Any]:
    name, _, attribute = source.entry.partition(":")
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as cause:
        # Another name: it is the module's own import that isn't there.
        if cause.name is None or not f"{name}.".startswith(f"{cause.name}."):
            raise
        raise ConfigError(
            f"{_PATH}: there is no module {name!r} in the current folder or among the installed packages.",
            path=_PATH,
        ) from cause
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(f"{_PATH}: the module {name!r} has no function {attribute!r}.", path=_PATH)
    return function  # type: ignore[no-any-return] # what it returns is looked at


def _read_batches(made: Any, told: str) -> Iterator[pa.RecordBatch]:
    import pandas as pd
    import pyarrow as pa

    with _faults_told(told):
        if isinstance(made, pd.DataFrame):
            made = pa.Table.from_pandas(made, preserve_index=False)
        if not hasattr(made, "__arrow_c_stream__"):
            raise SourceError(
                f"{told} returned a {type(made).__name__}; expected a pandas DataFrame, a pyarrow Table or a "
                "RecordBatchReader."
            )
        yield from pa.RecordBatchReader.from_stream(made)


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def _faults_told(told: str) -> Iterator[None]:
    try:
        yield
    except EvertrainError:
        raise
    # SystemExit: a function that ends its script must not end ours, as if all were well.
    except (Exception, SystemExit) as cause:
        raise SourceError(
            f"{told} failed: {type(cause).__name__}: {cause}. Mend it and try again."
        ) from cause
