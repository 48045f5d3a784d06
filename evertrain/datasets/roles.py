"""Owns what a pipeline's named columns must be: there, and of a type that suits their role."""

from __future__ import annotations

from collections.abc import Iterator

from evertrain.config import DataConfig, PipelineConfig
from evertrain.datasets.hints import name_closest
from evertrain.datasets.tables import Cell, Table
from evertrain.datasets.times import is_time_sql, time_sql
from evertrain.errors import DataRefused, SourceError
from evertrain.records import LogicalType

INTEGRAL = "({0} = trunc({0}) AND abs({0}) < 9e15)"


def require_columns(table: Table, config: PipelineConfig) -> None:
    """Check that each column that *config* names is there.

    Raises:
        SourceError: Some aren't; the message names each with those that resemble it.
    """
    missing = [(path, name) for path, name in _named_columns(config) if name not in table.names]
    if missing:
        told = [f"{path} names {name!r}: {name_closest(name, table.names)}" for path, name in missing[:5]]
        more = f" And {len(missing) - 5} more." if len(missing) > 5 else ""
        raise SourceError(
            f"The data lacks {len(missing)} of the columns that the pipeline names. {' '.join(told)}{more}",
            columns=[name for _, name in missing],
        )


def settle_roles(table: Table, config: PipelineConfig) -> Table:
    """Give the columns the types that their roles ask for: times as times, integral labels as integers.

    Raises:
        SourceError: The timestamp is no time.
        DataRefused: A datetime feature is no time, or the target can't be one.
    """
    data = config.data
    if data.timestamp is not None:
        table = table.with_cell(_read_timestamp(table, data.timestamp))
    for name in data.features.datetime if data.features else ():
        table = table.with_cell(_read_datetime(table, name))
    return settle_target(table, config)


def settle_target(table: Table, config: PipelineConfig) -> Table:
    """Make integers of whole labels that some null made floats; a target that isn't there yet is let be."""
    if config.data.target not in table.names:
        return table
    return table.with_cell(_settle_target(table, config))


def check_weights(kept: Table, data: DataConfig) -> None:
    """Check that the learnt rows' weights are numbers from 0 up, and not all 0.

    Raises:
        DataRefused: They aren't.
    """
    if data.weight is None:
        return
    cell = kept.cell(data.weight)
    if cell.type not in ("integer", "float"):
        raise DataRefused(
            f"data.weight: column {cell.name!r} holds {spell_type(cell.type)}; expected numbers. Cast it in "
            "data.query."
        )
    wrong, positive = kept.fetch_one(
        f"count(*) FILTER (WHERE {cell.sql} IS NULL OR NOT isfinite({cell.sql}) OR {cell.sql} < 0)",
        f"count(*) FILTER (WHERE {cell.sql} > 0)",
        where="labelled AND NOT holdout",
    )
    if wrong or not positive:
        found = f"{wrong:,} rows have a missing, negative or infinite one" if wrong else "all are 0"
        raise DataRefused(
            f"data.weight: column {cell.name!r}: {found}; expected weights from 0 up. Mend them in "
            "data.query, for instance with coalesce or greatest."
        )


def show_values(table: Table, column: str, where: str) -> str:
    """Up to three of the values of *column* where *where* holds, as a user would read them."""
    found = table.fetch(column, where=where, rest="GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 3")
    return ", ".join(repr(value) if isinstance(value, str) else str(value) for (value,) in found)


def spell_type(kind: LogicalType) -> str:
    """Spell what a column of type *kind* holds, as a user would say it."""
    return {"string": "text", "other": "nested, mixed or other values"}.get(kind, f"{kind}s")


def _named_columns(config: PipelineConfig) -> Iterator[tuple[str, str]]:
    data = config.data
    if config.target_labels is None:
        yield "data.target", data.target
    for path, single in (("data.timestamp", data.timestamp), ("data.weight", data.weight)):
        if single is not None:
            yield path, single
    groups = {"data.entity": data.entity, "evaluation.slices": config.evaluation.slices}
    if data.features:
        groups |= {
            f"data.features.{kind}": getattr(data.features, kind) for kind in type(data.features).model_fields
        }
    for path, names in groups.items():
        yield from ((path, name) for name in names)


def _read_timestamp(table: Table, name: str) -> Cell:
    cell = table.cell(name)
    if cell.type in ("date", "timestamp"):
        return cell._replace(type="timestamp", sql=f"CAST({cell.sql} AS TIMESTAMP)")
    if cell.type != "string":
        raise SourceError(
            f"data.timestamp: column {name!r} holds {spell_type(cell.type)}; expected times. Turn it into "
            "one in data.query, for instance with to_timestamp (seconds since 1970) or make_timestamp."
        )
    wrong = _wrong_times(table, cell)
    if wrong:
        raise SourceError(
            f"data.timestamp: column {name!r} holds text that is no ISO 8601 time, such as {wrong}; turn it "
            "into a time in data.query, for instance with strptime."
        )
    return cell._replace(type="timestamp", sql=time_sql(cell.sql))


def _read_datetime(table: Table, name: str) -> Cell:
    cell = table.cell(name)
    if cell.type in ("date", "timestamp"):
        return cell
    wrong = (
        _wrong_times(table, cell)
        if cell.type == "string"
        else show_values(table, cell.sql, f"{cell.sql} IS NOT NULL")
    )
    if wrong:
        raise DataRefused(
            f"data.features.datetime: column {name!r} holds {spell_type(cell.type)}, no ISO 8601 times, such "
            f"as {wrong}; turn it into a time in data.query, or list it elsewhere."
        )
    text = f"CAST({cell.sql} AS VARCHAR)"
    return cell._replace(type="timestamp", sql=time_sql(text))


def _wrong_times(table: Table, cell: Cell) -> str:
    return show_values(table, cell.sql, f"{cell.sql} IS NOT NULL AND NOT ({is_time_sql(cell.sql)})")


def _settle_target(table: Table, config: PipelineConfig) -> Cell:
    cell = table.cell(config.data.target)
    if cell.type != "float" or config.evaluation.task == "regression":
        return cell
    (whole,) = table.fetch_one(f"bool_and({INTEGRAL.format(cell.sql)})", where=f"{cell.sql} IS NOT NULL")
    return cell._replace(type="integer", sql=f"CAST({cell.sql} AS BIGINT)") if whole else cell
