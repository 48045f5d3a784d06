"""Owns what every record is: a frozen value with a closed set of fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value with a closed set of fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
