"""Owns the scalars that the YAML is read with; nothing is coerced: "5" is not 5, and 1 is not true."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict


def accept_integral(value: Any) -> Any:
    """Turn an integral float such as ``5.0`` into the integer it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(accept_integral)

Switch = Annotated[bool, Strict()]
Whole = Annotated[int, Strict(), INTEGRAL]
Count = Annotated[int, Strict(), Field(ge=1), INTEGRAL]
Tally = Annotated[int, Strict(), Field(ge=0), INTEGRAL]
UpToHundred = Annotated[int, Strict(), Field(ge=1, le=100), INTEGRAL]
Percent = UpToHundred
Seed = Annotated[int, Strict(), Field(ge=0, le=2**32 - 1), INTEGRAL]
Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Share = Annotated[Finite, Field(ge=0.0, le=1.0)]
Confidence = Annotated[Finite, Field(gt=0.5, lt=1.0)]
NotNegative = Annotated[Finite, Field(ge=0.0)]
Positive = Annotated[Finite, Field(gt=0.0)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", examples=["WAREHOUSE_URL"])]
