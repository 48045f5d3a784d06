"""Owns what a target must be: classes that can be learnt and judged, or finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evertrain.columns import LARGEST
from evertrain.config import DataConfig, PipelineConfig
from evertrain.datasets.roles import show_values, spell_type
from evertrain.datasets.splits import show_bond
from evertrain.datasets.tables import Cell, Table
from evertrain.errors import DataRefused
from evertrain.records import Label
from evertrain.spelling import spell_category

MOST_CLASSES = 1_000
SHOWN_CLASSES = 10


class ClassCount(NamedTuple):
    """One class and its labelled rows on each side."""

    label: Label
    train_rows: int
    holdout_rows: int


def check_target(kept: Table, config: PipelineConfig) -> tuple[tuple[Label, ...] | None, tuple[str, ...]]:
    """Check the target of the kept rows, of which some are labelled on each side.

    Returns:
        The classes in sort order, of two the positive one last; None for a regression. And notes to show.

    Raises:
        DataRefused: The target can't be learnt or judged; the message says why and what to do.
    """
    cell = kept.cell(config.data.target)
    if config.evaluation.task == "regression":
        _check_number(kept, cell)
        return None, ()
    if cell.type in ("date", "timestamp", "other"):
        raise DataRefused(
            f"data.target: column {cell.name!r} holds {spell_type(cell.type)}; expected text, "
            "booleans or numbers. Cast it in data.query."
        )
    counts = _count_classes(kept, cell)
    if config.evaluation.task == "binary_classification":
        _check_binary(cell.name, counts, config.data)
        return _order_binary(config, counts), ()
    labels = tuple(count.label for count in counts if count.train_rows)
    return labels, _check_sides(cell.name, counts, config.data, strict=config.data.timestamp is None)


def _check_number(kept: Table, cell: Cell) -> None:
    if cell.type not in ("integer", "float"):
        found = show_values(kept, cell.sql, "labelled")
        raise DataRefused(
            f"data.target: column {cell.name!r} holds {spell_type(cell.type)}, such as {found}; a regression "
            "expects numbers. Cast it in data.query, or choose a classification."
        )
    infinite, least, most = kept.fetch_one(
        f"count(*) FILTER (WHERE abs({cell.sql}) > {LARGEST})",
        f"min({cell.sql})",
        f"max({cell.sql})",
        where="labelled",
    )
    if infinite:
        raise DataRefused(
            f"data.target: column {cell.name!r} is infinite, or too large for 32 bits, in {infinite:,} rows; "
            "make them NULL in data.query, for instance with CASE WHEN isfinite(x) THEN x END, or scale them."
        )
    if least == most:
        raise _constant(cell.name, least)


def _count_classes(kept: Table, cell: Cell) -> list[ClassCount]:
    found = kept.fetch(
        cell.sql,
        "count(*) FILTER (WHERE NOT holdout)",
        "count(*) FILTER (WHERE holdout)",
        where="labelled",
        rest=f"GROUP BY 1 ORDER BY 1 LIMIT {MOST_CLASSES + 1}",
    )
    if len(found) > MOST_CLASSES:
        raise DataRefused(
            f"data.target: column {cell.name!r} has over {MOST_CLASSES:,} classes; expected fewer. "
            "Group them in data.query, or choose evaluation.task: regression."
        )
    counts = sorted((ClassCount(*row) for row in found), key=lambda count: count.label)
    if len(counts) == 1:
        raise _constant(cell.name, counts[0].label)
    return counts


def _constant(name: str, value: Label) -> DataRefused:
    return DataRefused(
        f"data.target: column {name!r} is constant: every labelled row of the two sides holds {value!r}, so "
        "there is nothing to learn. Widen data.window or mend data.query."
    )


def _check_binary(name: str, counts: Sequence[ClassCount], data: DataConfig) -> None:
    if len(counts) > 2:
        raise DataRefused(
            f"data.target: column {name!r} has {len(counts)} classes where binary_classification expects "
            f"two: {_show(counts)}. Derive two in data.query, or choose evaluation.task: "
            "multiclass_classification."
        )
    _check_sides(name, counts, data, strict=True)


def _check_sides(
    name: str, counts: Sequence[ClassCount], data: DataConfig, *, strict: bool
) -> tuple[str, ...]:
    one_sided = [count for count in counts if not (count.train_rows and count.holdout_rows)]
    learnt = [count for count in counts if count.train_rows]
    if (one_sided and strict) or len(learnt) < 2:
        advice = f"Add rows ({show_bond(data)})" if data.timestamp is None else "Add rows, widen data.window,"
        raise DataRefused(
            f"data.target: every class of column {name!r} must occur in the rows learnt from and in those "
            f"held out: {_show(one_sided)}. {advice} or merge rare classes in data.query."
        )
    unseen = [count for count in counts if not count.train_rows]
    if not unseen:
        return ()
    return (f"held-out rows of classes that no learnt row has count as wrong: {_show(unseen)}",)


def _order_binary(config: PipelineConfig, counts: Sequence[ClassCount]) -> tuple[Label, ...]:
    labels = [count.label for count in counts]
    if config.data.positive is None:
        return tuple(labels)
    wanted = spell_category(config.data.positive)
    positive = [label for label in labels if spell_category(label) == wanted]
    if not positive:
        raise DataRefused(
            f"data.positive: {config.data.positive!r} is no class of column {config.data.target!r}; "
            f"it has {_show(counts)}."
        )
    return (*(label for label in labels if label != positive[0]), positive[0])


def _show(counts: Sequence[ClassCount]) -> str:
    shown = [
        f"{count.label!r} ({count.train_rows:,} learnt, {count.holdout_rows:,} held out)"
        for count in counts[:SHOWN_CLASSES]
    ]
    more = f" and {len(counts) - SHOWN_CLASSES} more" if len(counts) > SHOWN_CLASSES else ""
    return ", ".join(shown) + more
