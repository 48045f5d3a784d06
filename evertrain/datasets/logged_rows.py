"""Owns rows to judge by that the service answered: the source's rows to learn from, the log's held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from evertrain.config import DataConfig, FeaturesConfig, PipelineConfig, ValidationConfig
from evertrain.datasets import Ingested, ingest
from evertrain.datasets.prediction_log import LoggedRows, open_log
from evertrain.datasets.roles import INTEGRAL
from evertrain.datasets.splits import spell_sql
from evertrain.datasets.tables import Cell, Table
from evertrain.datasets.times import literal, show_time, time_sql, to_naive
from evertrain.errors import DataRefused
from evertrain.records import Feature
from evertrain.storage import Store

EVER = timedelta(days=36_500)
_CASTS = {"boolean": "BOOLEAN", "integer": "BIGINT", "float": "DOUBLE"}


def ingest_logged(
    config: PipelineConfig, store: Store, features: Sequence[Feature], *, as_of: datetime, now: datetime
) -> Ingested:
    """Keep as a snapshot what a probe learns from, and what the service answered since as held-out rows.

    What is held out was answered within ``window.holdout``, with the labels that had arrived by *as_of*. What
    is learnt from are the source's rows before that: the newest ``window.train`` of them, wherever the source
    ends, for it may be loaded by the week while the service answers now. Both have the logged features alone,
    since of the others nobody knows what they were when the service was asked; no row is put into quarantine.

    Args:
        config: The pipeline, with a ``data.timestamp`` and a window.
        store: Holds the prediction log, and receives the snapshot.
        features: What the service is asked with.
        as_of: What was answered, happened or arrived later doesn't exist.
        now: This moment.

    Raises:
        ConfigError: The source can't be used.
        SourceError: The data or the labels can't be had.
        DataRefused: There are too few labelled rows to learn from, or to judge by.
        StorageError: The store can't be read or written.
    """
    window = config.data.window
    assert window is not None
    start = as_of - window.holdout
    names = [feature.name for feature in features]
    with open_log(
        store, config.name, config.labels, since=start, until=as_of, as_of=as_of, features=names
    ) as logged:
        extend = partial(
            _hold_out_logged,
            logged=logged,
            data=config.data,
            features=features,
            train=window.train,
            start=to_naive(start),
        )
        judged = {"data": _with_logged(config.data, logged), "validation": ValidationConfig()}
        return ingest(config.model_copy(update=judged), store, as_of=as_of, now=now, extend=extend)


def _with_logged(data: DataConfig, logged: LoggedRows) -> DataConfig:
    """The data's roles for both: the YAML may name features that nothing is served by yet."""
    assert data.window is not None
    # Which rows are old enough is seen to here.
    data = data.model_copy(update={"window": data.window.model_copy(update={"train": EVER})})
    if data.features is None:
        return data
    known = {
        kind: tuple(name for name in names if name in logged.table.names)
        for kind, names in data.features.model_dump().items()
    }
    return data.model_copy(update={"features": FeaturesConfig(**known)})


def _hold_out_logged(
    table: Table,
    *,
    logged: LoggedRows,
    data: DataConfig,
    features: Sequence[Feature],
    train: timedelta,
    start: datetime,
) -> Table:
    """Put the log's rows in the place of the source's since *start*, and leave *train* of those before."""
    assert data.timestamp is not None
    cells: list[Cell] = []
    own: list[str] = []
    theirs: list[str] = []
    for cell, mine, answered in _pairs(table, logged, data, features):
        place = f"c{len(cells)}"
        cells.append(cell._replace(sql=place))
        own.append(f"{mine} AS {place}")
        theirs.append(f"{answered} AS {place}")
    moment = table.cell(data.timestamp).sql
    (newest,) = table.fetch_one(f"max({moment})", where=f"{moment} <= {literal(start)}")
    if newest is None:
        raise DataRefused(
            f"There are no rows to learn from before {show_time(start)}, where the logged rows begin. Load "
            "older ones into data.source, or shorten drift.current.window."
        )
    before = f"{moment} <= {literal(newest)} AND {moment} > {literal(newest - train)}"
    connection = table.connection
    connection.register("answered", logged.table.stream(*theirs))
    # Not an injection: all names are ours, literals are times.
    connection.execute(
        f"CREATE TABLE extended AS SELECT {', '.join(own)} FROM {table.name} WHERE {before} "  # noqa: S608
        "UNION ALL FROM answered"
    )
    connection.unregister("answered")
    connection.execute(f"DROP TABLE {table.name}")
    return Table(connection, "extended", tuple(cells), table.source_names)


def _pairs(
    table: Table, logged: LoggedRows, data: DataConfig, features: Sequence[Feature]
) -> Iterator[tuple[Cell, str, str]]:
    """Give each column that both have: what it is, and how the source's rows and the log's give it."""
    kinds = {feature.name: feature for feature in features if feature.name in logged.table.names}
    roles = {data.timestamp, data.target, data.weight, *data.entity}
    for cell in table.cells:
        if cell.name == data.timestamp:
            yield cell, cell.sql, "answered_at"
        elif cell.name == data.target:
            yield cell, cell.sql, _label_as(cell)
        elif cell.name in kinds:
            yield _feature_pair(cell, kinds[cell.name], logged.table)
        elif cell.name in roles:
            yield cell, cell.sql, "NULL"


def _label_as(target: Cell) -> str:
    if target.type in ("integer", "float"):
        return f"try_cast(label_number AS {_CASTS[target.type]})"
    return f"try_cast(label AS {_CASTS.get(target.type, 'VARCHAR')})"


def _feature_pair(cell: Cell, feature: Feature, logged: Table) -> tuple[Cell, str, str]:
    answered = logged.cell(feature.name).sql
    if feature.kind == "categorical":
        # The log spells categories as models see them.
        return cell._replace(type="string"), spell_sql(cell), answered
    if feature.kind == "datetime":
        mine = f"CAST({cell.sql} AS TIMESTAMP)"
        return cell._replace(type="timestamp"), mine, time_sql(f"CAST({answered} AS VARCHAR)")
    if cell.type == "integer":
        (whole,) = logged.fetch_one(f"bool_and({INTEGRAL.format(answered)})", where=f"{answered} IS NOT NULL")
        if whole is False:
            return cell._replace(type="float"), f"CAST({cell.sql} AS DOUBLE)", f"CAST({answered} AS DOUBLE)"
    return cell, cell.sql, f"try_cast({answered} AS {_CASTS.get(cell.type, 'DOUBLE')})"
