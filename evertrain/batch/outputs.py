"""Owns where a batch's answers go: a file or an object, in the format of its suffix, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from evertrain.errors import ConfigError, StorageError
from evertrain.storage.objects import put_file

if TYPE_CHECKING:
    import pyarrow as pa

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Tables = Iterable["pa.Table"]


@dataclass(frozen=True)
class Output:
    """A place for answers: ``name`` in ``folder``, or the object ``uri``."""

    name: str
    folder: Path
    uri: str | None
    suffix: str

    def write(self, tables: Tables) -> None:
        """Write *tables*, one after the other; at least one.

        Raises:
            StorageError: They can't be written; what stood there before still does.
        """
        where = self.uri or str(self.folder / self.name)
        try:
            with self._beside() as path:
                with path.open("wb") as file:
                    _WRITERS[self.suffix](tables, file)
                    file.flush()
                    os.fsync(file.fileno())
                if self.uri is not None:
                    put_file(path, self.uri)
                else:
                    path.replace(self.folder / self.name)
        except OSError as cause:
            raise StorageError(
                f"Can't write {where}: {cause.strerror or cause}. Choose another --output, or free some "
                "space, and run the same command again: nothing is scored twice."
            ) from cause

    @contextmanager
    def _beside(self) -> Iterator[Path]:
        """A file next to the one that is meant, gone at the end unless it took its place."""
        if self.uri is not None:
            with TemporaryDirectory(prefix="evertrain-batch-") as folder:
                yield Path(folder, self.name)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f".{self.name}.{os.getpid()}.tmp"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def open_output(target: str) -> Output:
    """Look at where answers shall go; writes nothing.

    Raises:
        ConfigError: It is no path and no object, or its suffix is of no known format.
    """
    is_object = target.startswith("s3://")
    if "://" in target and not is_object:
        raise ConfigError(f"--output {target!r} is no address that evertrain writes; name a file or s3://….")
    path = PurePosixPath(target.removeprefix("s3://")) if is_object else Path(target).expanduser().absolute()
    if path.suffix.lower() not in _WRITERS:
        raise ConfigError(
            f"--output {target!r} is of no known format; expected a name that ends in {', '.join(_WRITERS)}."
        )
    if is_object and len(path.parts) < 2:
        raise ConfigError(f"--output {target!r} names no object; expected s3://bucket/key.")
    if not is_object and Path(path).is_dir():
        raise ConfigError(f"--output {target!r} is a folder; name a file in it.")
    folder = Path() if is_object else Path(path).parent
    return Output(path.name, folder, target if is_object else None, path.suffix.lower())


def _write_parquet(tables: Tables, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    for table in tables:
        writer = writer or pq.ParquetWriter(file, table.schema, compression="snappy")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _write_csv(tables: Tables, file: IO[bytes]) -> None:
    import pyarrow.csv as pc

    writer: pc.CSVWriter | None = None
    for table in tables:
        harmless = _without_formulas(table)
        writer = writer or pc.CSVWriter(file, harmless.schema)
        writer.write_table(harmless)
    if writer is not None:
        writer.close()


def _without_formulas(table: pa.Table) -> pa.Table:
    """Put an apostrophe before texts that a spreadsheet would run; numbers are numbers and stay."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if not pa.types.is_string(field.type):
            continue
        texts = table.column(place)
        risky = pc.match_substring_regex(texts, "^[" + "".join(f"\\{letter}" for letter in "=+-@") + "\t\r]")
        if pc.any(risky).as_py():
            quoted = pc.binary_join_element_wise("'", texts, "")
            table = table.set_column(place, field, pc.if_else(risky, quoted, texts))
    return table


def _write_json_lines(tables: Tables, file: IO[bytes]) -> None:
    for table in tables:
        for row in table.to_pylist():
            file.write(
                json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
            )


_WRITERS: Mapping[str, Callable[[Tables, IO[bytes]], None]] = {
    ".parquet": _write_parquet,
    ".pq": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".ndjson": _write_json_lines,
}
