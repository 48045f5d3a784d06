"""Owns a table in DuckDB as our SQL sees it: columns by place, in their normal forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from evertrain.records import Column, LogicalType

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_WIDE_INTEGERS = ("UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM")
_TIMES = (
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMPTZ_NS",
)
_LOGICAL_TYPES: dict[str, LogicalType] = {
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DECIMAL": "float",
    "DOUBLE": "float",
    "ENUM": "string",
    "FLOAT": "float",
    "UUID": "string",
    "VARCHAR": "string",
    **dict.fromkeys((*_INTEGERS, *_WIDE_INTEGERS), "integer"),
    **dict.fromkeys(_TIMES, "timestamp"),
}
# Where a value has several spellings, one is made of them; NaN is missing as NULL is.
_NORMAL_FORMS = {
    "DECIMAL": "CAST({} AS DOUBLE)",
    "DOUBLE": "nullif({}, 'NaN'::DOUBLE)",
    "FLOAT": "nullif({}, 'NaN'::FLOAT)",
    "ENUM": "CAST({} AS VARCHAR)",
    "UUID": "CAST({} AS VARCHAR)",
    **dict.fromkeys(_INTEGERS, "CAST({} AS BIGINT)"),
    **dict.fromkeys(_TIMES, "CAST({} AS TIMESTAMP)"),
}


class Cell(NamedTuple):
    """One column of a table: its name outside, its type, and the expression that gives it."""

    name: str
    type: LogicalType
    sql: str


@dataclass(frozen=True)
class Table:
    """Rows in DuckDB. Their columns have names of ours inside, since those outside may be anything.

    ``source_names`` are the columns that ``source`` had before the query; ``gathered``: the rows are in the
    database, and not read anew each time.
    """

    connection: DuckDBPyConnection
    name: str
    cells: tuple[Cell, ...]
    source_names: tuple[str, ...]
    gathered: bool = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns by logical type."""
        return tuple(Column(name=cell.name, type=cell.type) for cell in self.cells)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(cell.name for cell in self.cells)

    def cell(self, name: str) -> Cell:
        """The column called *name*, which must exist."""
        return next(cell for cell in self.cells if cell.name == name)

    def with_cell(self, changed: Cell) -> Table:
        """The same table with the column of that name given by another expression."""
        return replace(
            self, cells=tuple(changed if cell.name == changed.name else cell for cell in self.cells)
        )

    def fetch(self, *expressions: str, where: str = "true", rest: str = "") -> list[tuple[Any, ...]]:
        """Evaluate *expressions* over the rows; *rest* may group, order and limit them."""
        return self.connection.execute(self._select(expressions, where, rest)).fetchall()

    def fetch_one(self, *expressions: str, where: str = "true") -> tuple[Any, ...]:
        """Evaluate aggregates over the rows."""
        return self.fetch(*expressions, where=where)[0]

    def stream(self, *expressions: str, where: str = "true", rest: str = "") -> pa.RecordBatchReader:
        """Evaluate *expressions* and give the rows in Arrow batches; one stream at a time."""
        return self.connection.sql(self._select(expressions, where, rest)).to_arrow_reader(65_536)

    def keep(self, name: str, where: str, **extra: str) -> Table:
        """Keep the rows where *where* holds as a table of their own, and give this one up.

        Args:
            name: The new table.
            where: Which rows.
            **extra: Further columns by our own names, which the new table's SQL may use.
        """
        cells = tuple(cell._replace(sql=f"c{place}") for place, cell in enumerate(self.cells))
        pairs = [(old.sql, new.sql) for old, new in zip(self.cells, cells, strict=True)]
        pairs += [(expression, alias) for alias, expression in extra.items()]
        select = self._select([f"{expression} AS {alias}" for expression, alias in pairs], where, "")
        self.connection.execute(f"CREATE TABLE {name} AS {select}")
        self.connection.execute(f"DROP {'TABLE' if self.gathered else 'VIEW'} {self.name}")
        return replace(self, name=name, cells=cells, gathered=True)

    def _select(self, expressions: Sequence[str], where: str, rest: str) -> str:
        # Not an injection: names are c0, c1 …, literals come out of quote_text.
        return f"SELECT {', '.join(expressions)} FROM {self.name} WHERE {where} {rest}"  # noqa: S608


def normal_cell(table: Table, column: str, name: str, kind: str) -> Cell:
    """Give *column* of *table* the normal form of its type.

    Args:
        table: Holds the column.
        column: Its name inside.
        name: Its name outside.
        kind: DuckDB's name of its type.
    """
    plain = kind.partition("(")[0] if not kind.endswith("]") else kind
    logical = _LOGICAL_TYPES.get(plain, "other")
    if plain in _WIDE_INTEGERS:
        (fits,) = table.fetch_one(f"bool_and(try_cast({column} AS BIGINT) IS NOT NULL OR {column} IS NULL)")
        logical, form = ("integer", "CAST({} AS BIGINT)") if fits else ("float", "CAST({} AS DOUBLE)")
    else:
        form = _NORMAL_FORMS.get(plain, "{}") if logical != "other" else "CAST({} AS VARCHAR)"
    return Cell(name, logical, form.format(column))
