"""Owns the kinds of data source: where a pipeline's rows come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evertrain.numbers import VariableName


class FilesSource(BaseModel):
    """CSV, Parquet or JSON lines: a local path, a glob, or an object-store prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["files"]
    uri: str = Field(min_length=1, examples=["data/flights/*.parquet"])


class SqlSource(BaseModel):
    """One read-only query against any SQLAlchemy URL, named by an environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["sql"]
    url_env: VariableName
    query: str = Field(min_length=1, examples=["SELECT * FROM flights"])


class PythonSource(BaseModel):
    """A function that returns a frame; off unless EVERTRAIN_ALLOW_PYTHON_SOURCES=1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["python"]
    entry: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", examples=["package.module:function"])


Source = Annotated[
    FilesSource | SqlSource | PythonSource,
    Field(discriminator="type", examples=[{"type": "files", "uri": "data/flights/*.parquet"}]),
]
