"""Owns which local files a source names: matching, format, a first look at each, and their digest."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from evertrain.canonical import digest_of
from evertrain.datasets.hints import name_closest
from evertrain.errors import ConfigError, SourceError

Format = Literal["csv", "json", "parquet"]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
HEAD_BYTES = 65_536
_MAGIC = frozenset("*?[")


def match_files(uri: str) -> tuple[Path, ...]:
    """Find the files that *uri* names: one path, or a glob (``**`` crosses folders), in sort order.

    Raises:
        ConfigError: *uri* isn't a local path.
        SourceError: There is no such file; the message says which folder was looked in.
    """
    if "://" in uri:
        raise ConfigError(
            f"data.source.uri: {uri!r} is no kind of address that evertrain reads; name local files, such as "
            "'data/*.parquet', or objects, such as s3://bucket/prefix/*.parquet.",
            path="data.source.uri",
        )
    path = Path(uri).expanduser()
    if path.is_file():
        return (path,)
    if path.is_dir():
        raise SourceError(f"{uri!r} is a folder; name its files, such as '{path / '*.parquet'}'.", uri=uri)
    folder, pattern = _split_pattern(path)
    found = sorted(each for each in folder.glob(pattern) if each.is_file() and not each.name.startswith("."))
    if not found:
        raise SourceError(_nothing_found(uri, folder, pattern), uri=uri)
    return tuple(found)


def format_of(paths: Sequence[Path]) -> Format:
    """The one format of *paths*, told by their suffixes; gzip on top is looked through.

    Raises:
        SourceError: A suffix is unknown, or the formats are mixed.
    """
    formats = {path: _format_of(path) for path in paths}
    first, *others = formats
    for path in others:
        if formats[path] != formats[first]:
            raise SourceError(
                f"A source's files must have one format, but {str(first)!r} is {formats[first]} and "
                f"{str(path)!r} is {formats[path]}; narrow the pattern to one of them."
            )
    return formats[first]


def read_head(path: Path) -> bytes:
    """The first 64 KiB of what *path* holds, unzipped; proves that it can be read and isn't empty.

    Raises:
        SourceError: It can't be read, isn't gzip though its name says so, or holds nothing.
    """
    try:
        with _open(path) as file:
            head: bytes = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise SourceError(
            f"Can't read {str(path)!r}: {reason}. Check the file and its permissions.", file=str(path)
        ) from cause
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise SourceError(
            f"{str(path)!r} is empty; expected rows. Remove it or write it anew.", file=str(path)
        )
    return head


def digest_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of *paths*.

    Raises:
        SourceError: One of them can't be read.
    """
    facts = []
    for path in paths:
        try:
            with path.open("rb") as file:
                facts.append([path.as_posix(), hashlib.file_digest(file, "sha256").hexdigest()])
        except OSError as cause:
            raise SourceError(
                f"Can't read {str(path)!r}: {cause.strerror or cause}. Check its permissions.", file=str(path)
            ) from cause
    return digest_of(facts)


def _split_pattern(path: Path) -> tuple[Path, str]:
    # Path.glob takes no absolute pattern: what comes before the first magic character is the folder.
    plain = next((place for place, part in enumerate(path.parts) if _MAGIC & set(part)), len(path.parts) - 1)
    return Path(*path.parts[:plain]), str(Path(*path.parts[plain:]))


def _nothing_found(uri: str, folder: Path, pattern: str) -> str:
    where = folder.absolute()
    if not folder.is_dir():
        return f"No file matches {uri!r}: the folder {where} doesn't exist. Check data.source.uri."
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    hint = name_closest(pattern, names) if names else "it holds no files."
    return f"No file matches {uri!r}: looked for {pattern!r} in {where}; {hint} Check data.source.uri."


def _format_of(path: Path) -> Format:
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    found = FORMATS.get(suffix.lower())
    if found is None or (found == "parquet" and path.suffix.lower() == ".gz"):
        raise SourceError(
            f"{str(path)!r} is of no known format; expected one of {', '.join(FORMATS)} "
            "(all but Parquet also with .gz).",
            file=str(path),
        )
    return found


def _open(path: Path) -> gzip.GzipFile:
    # GzipFile and a plain file read alike; the annotation names what mypy can check.
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]
