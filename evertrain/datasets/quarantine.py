"""Owns the quarantine: rows that an expectation doesn't expect leave both sides, and lie apart with why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evertrain.canonical import digest_of
from evertrain.config import ExpectationConfig, ValidationConfig
from evertrain.datasets.hints import name_closest
from evertrain.datasets.masks import Mask, find_unexpected, is_row_wise
from evertrain.datasets.mismatches import spell_mismatch
from evertrain.datasets.snapshots import HASH, SIDES
from evertrain.datasets.tables import Table
from evertrain.errors import DataRefused, StorageError
from evertrain.expectations import columns_of
from evertrain.records import Masked, Snapshot
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 5
WORST = 5
SIDE, REASONS = "evertrain_side", "evertrain_reasons"


class SetAside(NamedTuple):
    """What was taken out of a table, and what each row-wise expectation found in it.

    Attributes:
        rows: How many rows.
        digest: Over their logical values, sides and reasons; None if there are none.
        key: The Parquet object that holds them; None if there are none.
        masks: One an expectation that says which rows it doesn't expect, in the YAML's order.
    """

    rows: int = 0
    digest: str | None = None
    key: str | None = None
    masks: tuple[Masked, ...] = ()

    def cover(self, digest: str) -> str:
        """Make a snapshot's *digest* one of the rows that were set aside too."""
        return digest if self.digest is None else digest_of([digest, self.digest])


def set_aside(kept: Table, config: ValidationConfig, store: Store) -> SetAside:
    """Take the rows out of *kept* that an unmet row-wise expectation doesn't expect, and store them.

    Args:
        kept: Both sides' rows, with ``holdout`` and the rows' hashes; loses rows.
        config: Its expectations; nothing happens unless it says ``quarantine``.
        store: Receives ``quarantine/<sha256>.parquet``: all columns, the side, and the list of reasons.

    Raises:
        DataRefused: More rows than ``max_quarantine_share`` allows, or an expectation can't be checked.
        StorageError: The rows can't be written.
    """
    if config.on_failure != "quarantine":
        return SetAside()
    found = [
        (index, expectation, _mask(kept, index, expectation))
        for index, expectation in enumerate(config.expectations)
        if is_row_wise(expectation)
    ]
    masks = tuple(
        Masked(index=index, unexpected_rows=mask.unexpected_rows, met=_is_met(expectation, mask))
        for index, expectation, mask in found
    )
    unmet = {index: mask for (index, _, mask), told in zip(found, masks, strict=True) if not told.met}
    if not unmet:
        return SetAside(masks=masks)
    _mark(kept, unmet)
    _refuse_too_many(kept, config, unmet)
    table, hashes = _take_out(kept, config.expectations)
    data = _to_parquet(table)
    key = f"quarantine/{hashlib.sha256(data).hexdigest()}.parquet"
    store.put_if_absent(key, data)
    facts = [table.column(place).to_pylist() for place in (-2, -1)]
    columns = sorted([column.name, column.type] for column in kept.columns)
    return SetAside(table.num_rows, digest_of([columns, hashes, *facts]), key, masks)


def read_quarantine(store: Store, snapshot: Snapshot) -> pa.Table:
    """Read the rows that were set aside when *snapshot* was taken.

    Returns:
        All the snapshot's columns; then the side that the row stood on (``evertrain_side``) and why it was
        set aside (``evertrain_reasons``: index under ``validation.expectations``, type and column of each
        expectation that didn't expect it). An empty table without columns where nothing was set aside.

    Raises:
        StorageError: They are missing, or not those that were written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if snapshot.quarantine_key is None:
        return pa.table({})
    data = store.get(snapshot.quarantine_key)
    if data is None or hashlib.sha256(data).hexdigest() not in snapshot.quarantine_key:
        state = "are missing from the store" if data is None else "aren't those that were written"
        raise StorageError(
            f"The quarantined rows {snapshot.quarantine_key!r} {state}; train again to write them anew.",
            key=snapshot.quarantine_key,
        )
    return pq.read_table(pa.BufferReader(data))


def named_columns(expectation: ExpectationConfig, names: Sequence[str]) -> list[str]:
    """Name those of the columns *names* that *expectation* or its condition may speak of, in their order."""
    condition = str(expectation.arguments.get("row_condition") or "")
    wanted = columns_of(expectation.arguments)
    return [name for name in names if name in wanted or name in condition]


def _mask(kept: Table, index: int, expectation: ExpectationConfig) -> Mask:
    missing = [name for name in columns_of(expectation.arguments) if name not in kept.names]
    if missing:
        raise DataRefused(
            f"validation.expectations[{index}]: {expectation.type} names column {missing[0]!r}: "
            f"{name_closest(missing[0], kept.names)}"
        )
    table = _read_columns(kept, expectation)
    try:
        return find_unexpected(expectation, table)
    # pandas raises whatever a condition or a comparison made it stumble over.
    except Exception as cause:
        why = spell_mismatch(expectation, table) or cause
        raise DataRefused(
            f"validation.expectations[{index}]: {expectation.type} can't be checked on the data: {why}. "
            "Mend the expectation, or cast the column in data.query."
        ) from cause


def _read_columns(kept: Table, expectation: ExpectationConfig) -> pa.Table:
    names = named_columns(expectation, kept.names)
    cells = [kept.cell(name).sql for name in names]
    table = kept.stream(*cells, rest="ORDER BY rowid").read_all()
    return table.rename_columns(names)


def _is_met(expectation: ExpectationConfig, mask: Mask) -> bool:
    return mask.meets(float(expectation.arguments.get("mostly", 1)))


def _mark(kept: Table, unmet: dict[int, Mask]) -> None:
    import pyarrow as pa

    (ids,) = kept.stream("rowid", rest="ORDER BY rowid").read_all().columns
    places = ids.to_numpy()
    rows = [places[mask.unexpected] for mask in unmet.values()]
    reasons = [np.full(len(found), index) for found, index in zip(rows, unmet, strict=True)]
    pairs = pa.table({"place": np.concatenate(rows), "reason": np.concatenate(reasons)})
    kept.connection.register("marks", pairs)
    kept.connection.execute(
        "CREATE TABLE marked AS "
        "SELECT place, list(reason ORDER BY reason) AS reasons FROM marks GROUP BY place"
    )
    kept.connection.unregister("marks")


def _refuse_too_many(kept: Table, config: ValidationConfig, unmet: dict[int, Mask]) -> None:
    (rows,) = kept.fetch_one("count(*)")
    (marked,) = kept.fetch_one("count(*)", where="rowid IN (SELECT place FROM marked)")
    if marked <= config.max_quarantine_share * rows:
        return
    worst = sorted(unmet, key=lambda index: unmet[index].unexpected_rows, reverse=True)
    lines = [f"- {_told(kept, index, config.expectations[index], unmet[index])}" for index in worst[:WORST]]
    if len(worst) > WORST:
        lines.append(f"- and {len(worst) - WORST} more")
    head = (
        f"{marked:,} of {rows:,} rows ({marked / rows:.2%}) would be quarantined, more than "
        f"validation.max_quarantine_share ({config.max_quarantine_share:.2%}) allows:"
    )
    tail = "Mend the data, or change validation in the pipeline's YAML."
    raise DataRefused("\n".join([head, *lines, tail]), quarantined=marked, rows=rows)


def _told(kept: Table, index: int, expectation: ExpectationConfig, mask: Mask) -> str:
    names = columns_of(expectation.arguments)
    where = f"rowid IN (SELECT place FROM marked WHERE list_contains(reasons, {index}))"  # noqa: S608 - names of ours
    cells = [kept.cell(name).sql for name in names]
    found = kept.fetch(*cells, where=where, rest=f"GROUP BY ALL ORDER BY ALL LIMIT {EXAMPLES}")
    shown = [_shorten(repr(row[0] if len(row) == 1 else row)) for row in found]
    columns = ", ".join(map(repr, names))
    return f"{expectation.type} on {columns}: {mask.unexpected_rows:,} unexpected, such as {', '.join(shown)}"


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _take_out(kept: Table, expectations: Sequence[ExpectationConfig]) -> tuple[pa.Table, list[str]]:
    """Delete the marked rows; gives them with side and reasons, and their hashes."""
    import pyarrow as pa

    where = "rowid IN (SELECT place FROM marked)"
    reasons = f"(SELECT reasons FROM marked WHERE place = {kept.name}.rowid)"  # noqa: S608 - names of ours
    cells = [cell.sql for cell in kept.cells]
    order = f"ORDER BY holdout, {HASH}"
    found = kept.stream(*cells, "holdout", reasons, HASH, where=where, rest=order).read_all()
    *columns, holdout, indices, hashes = found.columns
    told = [[_reason(index, expectations[index]) for index in each] for each in indices.to_pylist()]
    sides = pa.array([SIDES[value] for value in holdout.to_pylist()])
    kind = pa.list_(pa.struct({"index": pa.int64(), "type": pa.string(), "column": pa.string()}))
    names = [*kept.names, *_free_names(kept.names)]
    table = pa.table([*columns, sides, pa.array(told, kind)], names=names)
    kept.connection.execute(f"DELETE FROM {kept.name} WHERE {where}")  # noqa: S608 - names of ours
    return table, hashes.to_pylist()


def _reason(index: int, expectation: ExpectationConfig) -> dict[str, Any]:
    columns = ", ".join(columns_of(expectation.arguments))
    return {"index": index, "type": expectation.type, "column": columns}


def _free_names(names: Sequence[str]) -> Iterator[str]:
    for name in (SIDE, REASONS):
        while name in names:
            name += "_"  # noqa: PLW2901 - the data may be a quarantine that was mended
        yield name


def _to_parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
