"""Owns the feature plan: which columns callers send, as what, and which were left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from evertrain.columns import LARGEST, numeric_offset
from evertrain.config import DataConfig, FeaturesConfig
from evertrain.datasets.roles import show_values, spell_type
from evertrain.datasets.tables import Cell, Table
from evertrain.errors import DataRefused
from evertrain.records import Feature, FeatureKind, FeaturePlan, LeftOut, LogicalType

NAME_LIKE_SHARE = 0.5
LEARNT = "labelled AND NOT holdout"
_DEFAULT_KINDS: Mapping[LogicalType, FeatureKind] = {
    "boolean": "numeric",
    "integer": "numeric",
    "float": "numeric",
    "string": "categorical",
    "date": "datetime",
    "timestamp": "datetime",
}
_FITTING: Mapping[FeatureKind, frozenset[LogicalType]] = {
    "numeric": frozenset({"boolean", "integer", "float"}),
    "categorical": frozenset({"boolean", "integer", "float", "string", "date", "timestamp"}),
    "datetime": frozenset({"date", "timestamp"}),
}


class _Facts(NamedTuple):
    """What the learnt rows say of a column; ``distinct`` is counted for text alone."""

    rows: int
    values: int
    constant: bool
    distinct: int


def plan_features(kept: Table, data: DataConfig) -> FeaturePlan:
    """Plan the features as ``data.features`` says, or else by default.

    Args:
        kept: The kept rows with their sides; what is measured is measured on labelled training rows.
        data: The columns' roles and the features, if they are given.

    Raises:
        DataRefused: A listed column doesn't suit its kind, holds infinite numbers, or no feature is left.
    """
    if data.features is None or not data.features.names:
        planned, left_out = _plan_default(kept, data)
    else:
        planned = [(name, kind) for kind in _FITTING for name in _listed(data.features, kind)]
        roles = _role_names(data)
        left_out = [
            LeftOut(name=name, reason="not listed in data.features")
            for name in kept.names
            if name not in data.features.names and name not in roles
        ]
    if not planned:
        reasons = "; ".join(f"{each.name!r}: {each.reason}" for each in left_out[:10])
        raise DataRefused(f"No column is left to learn from ({reasons}). List some in data.features.")
    _refuse_infinite(kept, [kept.cell(name) for name, kind in planned if kind == "numeric"])
    features = tuple(_settle(kept, kept.cell(name), kind) for name, kind in planned)
    return FeaturePlan(features=features, left_out=tuple(left_out))


def _listed(features: FeaturesConfig, kind: FeatureKind) -> tuple[str, ...]:
    listed: tuple[str, ...] = getattr(features, kind)
    return listed


def _role_names(data: DataConfig) -> set[str]:
    return {name for name in (data.target, data.timestamp, data.weight, *data.entity) if name is not None}


def _plan_default(kept: Table, data: DataConfig) -> tuple[list[tuple[str, FeatureKind]], list[LeftOut]]:
    roles = _role_names(data)
    cells = [cell for cell in kept.cells if cell.name not in roles]
    planned: list[tuple[str, FeatureKind]] = []
    left_out: list[LeftOut] = []
    for cell, facts in zip(cells, _measure(kept, cells), strict=True):
        reason = _reason_against(cell, facts)
        if reason is None:
            planned.append((cell.name, _DEFAULT_KINDS[cell.type]))
        else:
            left_out.append(LeftOut(name=cell.name, reason=reason))
    return planned, left_out


def _measure(kept: Table, cells: list[Cell]) -> list[_Facts]:
    expressions = ["count(*)"]
    for cell in cells:
        distinct = f"count(DISTINCT {cell.sql})" if cell.type == "string" else "0"
        expressions += [f"count({cell.sql})", f"min({cell.sql}) = max({cell.sql})", distinct]
    rows, *found = kept.fetch_one(*expressions, where=LEARNT)
    return [_Facts(rows, *found[place : place + 3]) for place in range(0, len(found), 3)]


def _reason_against(cell: Cell, facts: _Facts) -> str | None:
    if not facts.values:
        return "all null"
    if facts.constant and facts.values == facts.rows:
        return "constant"
    if cell.type == "other":
        return "nested, mixed, or of a type that is no feature"
    if cell.name.startswith("__index_level_"):
        return "pandas' row index"
    if facts.distinct > NAME_LIKE_SHARE * facts.values:
        return f"name-like: {facts.distinct:,} different texts in {facts.values:,} rows"
    return None


def _settle(kept: Table, cell: Cell, kind: FeatureKind) -> Feature:
    if cell.type not in _FITTING[kind]:
        found = show_values(kept, cell.sql, f"{cell.sql} IS NOT NULL")
        if found:
            raise DataRefused(
                f"data.features.{kind}: column {cell.name!r} holds {spell_type(cell.type)}, such as {found}. "
                f"{_advice(cell.type)}"
            )
        return Feature(name=cell.name, kind=kind, type="float" if kind == "numeric" else "string")
    offset = _offset(kept, cell) if kind == "numeric" and cell.type != "boolean" else 0.0
    return Feature(name=cell.name, kind=kind, type=cell.type, offset=offset)


def _advice(kind: LogicalType) -> str:
    if kind == "string":
        return "List it under categorical, or turn it into numbers in data.query, for instance with try_cast."
    if kind in ("date", "timestamp"):
        return "List it under datetime."
    return "Take what you need out of it in data.query, for instance with ->> where it is JSON."


def _offset(kept: Table, cell: Cell) -> float:
    number = f"CAST({cell.sql} AS DOUBLE)"
    where = f"{LEARNT} AND isfinite({number})"
    count, *facts = kept.fetch_one(
        "count(*)",
        f"bool_and(trunc({number}) = {number})",
        f"max(abs({number}))",
        f"avg({number})",
        f"stddev_pop({number})",
        where=where,
    )
    if not count:
        return 0.0
    whole, largest, mean, spread = facts

    def middle() -> float:
        # A sort can spill, and DuckDB's median can't.
        rest = f"ORDER BY {number} LIMIT {2 - count % 2} OFFSET {(count - 1) // 2}"
        found = [value for (value,) in kept.fetch(number, where=where, rest=rest)]
        return float(sum(found) / len(found))

    return numeric_offset(whole=whole, largest=largest, mean=mean, spread=spread, middle=middle)


def _refuse_infinite(kept: Table, cells: list[Cell]) -> None:
    floats = [cell for cell in cells if cell.type == "float"]
    if not floats:
        return
    counts = kept.fetch_one(*(f"count(*) FILTER (WHERE abs({cell.sql}) > {LARGEST})" for cell in floats))
    for cell, count in zip(floats, counts, strict=True):
        if count:
            raise DataRefused(
                f"Feature {cell.name!r} is infinite, or too large for 32 bits, in {count:,} rows; make "
                "them NULL in data.query, for instance with CASE WHEN isfinite(x) THEN x END or nullif."
            )
