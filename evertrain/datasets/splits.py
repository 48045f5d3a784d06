"""Owns on which side a row stands: learnt from, held out, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evertrain.config import DataConfig, WindowConfig
from evertrain.datasets.roles import INTEGRAL
from evertrain.datasets.sql import quote_text
from evertrain.datasets.tables import Cell, Table
from evertrain.datasets.times import literal, show_time, to_naive
from evertrain.errors import DataRefused

HOLDOUT_SHARE = 0.2
# A fifth of all SHA-256 digests, as text, sort before this.
HOLDOUT_BELOW = "33333333"


@dataclass(frozen=True)
class Split:
    """Where rows stand, as SQL over the table that was split.

    ``kept`` and ``holdout`` are conditions, ``moment`` gives a row's time. Times are naive UTC;
    ``newest`` is that of the rows at or before ``as_of``.
    """

    kept: str = "true"
    holdout: str = "false"
    moment: str = "CAST(NULL AS TIMESTAMP)"
    as_of: datetime | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    without_timestamp: int = 0

    @property
    def extent(self) -> str:
        """From when to when the rows at or before as-of reach."""
        ends = [show_time(end) for end in (self.oldest, self.newest) if end]
        return f"from {' to '.join(ends)}"


def split_rows(table: Table, data: DataConfig, *, as_of: datetime | None, now: datetime) -> Split:
    """Say which rows are learnt from and which are held out.

    Args:
        table: The query's rows; the timestamp is a time already.
        data: Its timestamp and window, or its entity.
        as_of: Rows with a later timestamp don't exist; None: now, or the newest row where that is earlier.
        now: This moment.

    Raises:
        DataRefused: No row has a timestamp at or before as-of, or all labelled rows have the same one.
    """
    if data.timestamp is None:
        return Split(holdout=_by_hash(table, data.entity), as_of=to_naive(as_of) if as_of else None)
    moment = table.cell(data.timestamp).sql
    limit = to_naive(as_of or now)
    oldest, newest, last, without = table.fetch_one(
        f"min({moment})",
        f"max({moment}) FILTER (WHERE {moment} <= {literal(limit)})",
        f"max({moment})",
        f"count(*) FILTER (WHERE {moment} IS NULL)",
    )
    if newest is None:
        raise DataRefused(_nothing_before(data.timestamp, limit, oldest))
    until = limit if as_of else min(limit, last)
    if data.window:
        kept, holdout = _by_window(moment, data.window, until)
    else:
        kept, holdout = _by_share(table, data, moment, until)
    return Split(kept, holdout, moment, until, oldest, newest, without)


def show_bond(data: DataConfig) -> str:
    """Say which rows a split without a timestamp never parts."""
    return f"rows {'of one entity' if data.entity else 'that are alike'} stand on one side"


def spell_sql(cell: Cell) -> str:
    """The expression that spells a value alike whatever type its column was read with: 1.0 is ``1``."""
    text = f"CAST({cell.sql} AS VARCHAR)"
    if cell.type != "float":
        return text
    whole = f"CAST(CAST({cell.sql} AS BIGINT) AS VARCHAR)"
    return f"CASE WHEN {INTEGRAL.format(cell.sql)} THEN {whole} ELSE {text} END"


def _nothing_before(name: str, limit: datetime, oldest: datetime | None) -> str:
    if oldest is None:
        return f"data.timestamp: column {name!r} is null in every row; expected times. Mend it in data.query."
    return (
        f"data.timestamp: no row of {name!r} lies at or before {show_time(limit)}; the data begins at "
        f"{show_time(oldest)}. Choose another --as-of."
    )


def _by_window(moment: str, window: WindowConfig, until: datetime) -> tuple[str, str]:
    middle = until - window.holdout
    start = middle - window.train
    return f"{moment} > {literal(start)} AND {moment} <= {literal(until)}", f"{moment} > {literal(middle)}"


def _by_share(table: Table, data: DataConfig, moment: str, until: datetime) -> tuple[str, str]:
    """The newest fifth of the labelled rows; rows of one time stand together, so it may be a bit off."""
    kept = f"{moment} <= {literal(until)}"
    found = table.fetch(
        moment,
        f"sum(count(*)) OVER (ORDER BY {moment} DESC) AS newer",
        "sum(count(*)) OVER () AS total",
        where=f"{kept} AND {table.cell(data.target).sql} IS NOT NULL",
        rest="GROUP BY 1 QUALIFY newer < total "
        f"ORDER BY abs(newer - {HOLDOUT_SHARE} * total), 1 DESC LIMIT 1",
    )
    if not found:
        raise DataRefused(
            f"data.timestamp: fewer than two different times in {data.timestamp!r} have a labelled row up to "
            f"{show_time(until)}, so the newest can't be held out. Take data.timestamp away to split by "
            "entity or row instead."
        )
    return kept, f"{moment} >= {literal(found[0][0])}"


def _by_hash(table: Table, entity: Sequence[str]) -> str:
    """A side that a row keeps for ever: new columns don't move it, since missing values add nothing."""
    # What a query derives may change without a row changing sides, as long as the row's source can be told.
    whole = set(table.source_names) <= set(table.names)
    cells = [table.cell(name) for name in sorted(entity or (table.source_names if whole else table.names))]
    parts = ", ".join(f"{quote_text(cell.name)} || '=' || {spell_sql(cell)}" for cell in cells)
    return f"sha256(concat_ws(chr(31), {parts})) < '{HOLDOUT_BELOW}'"
