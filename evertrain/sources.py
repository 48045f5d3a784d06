"""Owns the kinds of data source: where a pipeline's rows come from."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evertrain.durations import Span
from evertrain.numbers import VariableName

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_READS = re.compile(r"[(\s]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|INTO)\b", re.IGNORECASE)


def refuse_writing(query: str) -> str:
    """Refuse what isn't one reading statement: not every database has a transaction that can't write.

    Raises:
        ValueError: *query* is several statements, or one that writes.
    """
    bare = _QUOTED.sub(" ", query).strip().removesuffix(";")
    if ";" in bare or not _READS.match(bare):
        raise ValueError("expected one SELECT, without a semicolon inside")
    found = _WRITES.search(bare)
    if found:
        raise ValueError(f"expected a SELECT that writes nothing; quote a column called {found[0]}")
    return query


class FilesSource(BaseModel):
    """CSV, Parquet or JSON lines: a local path or glob, or an object's address such as s3://bucket/*.csv."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["files"]
    uri: str = Field(min_length=1, examples=["data/flights/*.parquet"])


class SqlSource(BaseModel):
    """One read-only query against any SQLAlchemy URL, named by an environment variable.

    ``timeout`` bounds the whole reading.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["sql"]
    url_env: VariableName
    query: Annotated[
        str, AfterValidator(refuse_writing), Field(min_length=1, examples=["SELECT * FROM flights"])
    ]
    timeout: Span = timedelta(minutes=30)


class PythonSource(BaseModel):
    """A function that returns a frame; off unless EVERTRAIN_ALLOW_PYTHON_SOURCES=1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["python"]
    entry: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", examples=["package.module:function"])


Source = Annotated[
    FilesSource | SqlSource | PythonSource,
    Field(discriminator="type", examples=[{"type": "files", "uri": "data/flights/*.parquet"}]),
]
