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

HOLDOUT_ONE_IN = 5
STRETCHES = 10_000
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
    cut = _find_cut(table, moment, f"{kept} AND {table.cell(data.target).sql} IS NOT NULL")
    if cut is None:
        raise DataRefused(
            f"data.timestamp: fewer than two different times in {data.timestamp!r} have a labelled row up to "
            f"{show_time(until)}, so the newest can't be held out. Take data.timestamp away to split by "
            "entity or row instead."
        )
    return kept, f"{moment} >= {literal(cut)}"


def _find_cut(table: Table, moment: str, where: str) -> datetime | None:
    """The time from which on the rows are nearest to a fifth of all, but not all; the later of two."""
    first, last, total = table.fetch_one(
        f"epoch_us(min({moment}))", f"epoch_us(max({moment}))", "count(*)", where=where
    )
    if first == last:
        return None
    # The stretch of time where the fifth is reached comes first: all times at once may not fit into memory.
    stretch = f"((epoch_us({moment}) - {first}) // {(last - first) // STRETCHES + 1})"
    counts = table.fetch(stretch, "count(*)", where=where, rest="GROUP BY 1 ORDER BY 1 DESC")
    place, newer = _reach_share(counts, total)
    candidates: list[tuple[datetime, int]] = table.fetch(
        moment,
        f"{newer} + sum(count(*)) OVER (ORDER BY {moment} DESC) AS newer",
        where=f"{where} AND {stretch} = {place}",
        rest="GROUP BY 1 "
        f"QUALIFY newer < {total} ORDER BY abs({HOLDOUT_ONE_IN} * newer - {total}), 1 DESC LIMIT 1",
    )
    if newer:
        (oldest,) = table.fetch_one(f"min({moment})", where=f"{where} AND {stretch} > {place}")
        candidates.insert(0, (oldest, newer))
    return min(candidates, key=lambda each: abs(HOLDOUT_ONE_IN * each[1] - total))[0]


def _reach_share(counts: Sequence[tuple[int, int]], total: int) -> tuple[int, int]:
    """The stretch, of those from the newest on, where a fifth is reached; and how many rows are newer."""
    newer = 0
    for place, rows in counts:
        if HOLDOUT_ONE_IN * (newer + rows) >= total:
            return place, newer
        newer += rows
    raise AssertionError("all rows are more than a fifth of them")


def _by_hash(table: Table, entity: Sequence[str]) -> str:
    """A side that a row keeps for ever: new columns don't move it, since missing values add nothing."""
    # What a query derives may change without a row changing sides, as long as the row's source can be told.
    whole = set(table.source_names) <= set(table.names)
    cells = [table.cell(name) for name in sorted(entity or (table.source_names if whole else table.names))]
    parts = ", ".join(f"{quote_text(cell.name)} || '=' || {spell_sql(cell)}" for cell in cells)
    return f"sha256(concat_ws(chr(31), {parts})) < '{HOLDOUT_BELOW}'"
