"""Owns the number types that the YAML is read with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def accept_integral(value: Any) -> Any:
    """Turn an integral float such as ``5.0`` into the integer it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(accept_integral)]
Count = Annotated[Whole, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Confidence = Annotated[float, Field(gt=0.5, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Percent = Annotated[Whole, Field(ge=1, le=100)]
