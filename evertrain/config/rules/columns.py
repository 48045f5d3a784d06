"""Owns the rules on columns: which may stand in which role, and which roles need each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evertrain.config.faults import Fault, Path, fault_at, spell_value
from evertrain.config.rules.raw import Raw, pick, pick_text, texts
from evertrain.records import Record
from evertrain.settings import Settings

FEATURE_KINDS = ("numeric", "categorical", "datetime")
ALONE = ("target", "weight")


class Role(Record):
    """One mention of a column: where it stands, and as what."""

    path: Path
    name: str
    column: str


def role_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find columns in two roles that exclude each other, and columns listed twice."""
    singles = [
        Role(path=("data", name), name=name, column=column)
        for name in ("target", "timestamp", "weight")
        if (column := pick_text(raw, "data", name)) is not None
    ]
    features = [role for kind in FEATURE_KINDS for role in _listed(raw, "features", "data", "features", kind)]
    entity = _listed(raw, "entity", "data", "entity")
    for group in (singles, entity, features, _listed(raw, "slices", "evaluation", "slices")):
        yield from _twice(group)
    for role in (*entity, *features):
        for single in singles:
            if single.name in ALONE and single.column == role.column:
                yield _taken(role, f"the {single.name}")


def _listed(raw: Raw, name: str, *path: str) -> list[Role]:
    return [Role(path=place, name=name, column=column) for place, column in texts(raw, *path)]


def _twice(group: list[Role]) -> Iterator[Fault]:
    seen: dict[str, Role] = {}
    for role in group:
        first = seen.setdefault(role.column, role)
        if first is not role:
            yield _taken(role, f"among the {role.name}" if role.name == first.name else f"the {first.name}")


def _taken(role: Role, other: str) -> Fault:
    return fault_at(role.path, f"{spell_value(role.column)} is {other} already", "another column")


def window_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find a window that has no time to be measured in."""
    if isinstance(pick(raw, "data", "window"), dict) and pick(raw, "data", "timestamp") is None:
        yield fault_at(
            ("data", "window"), "a window without data.timestamp", "data.timestamp too, or no window"
        )


def join_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find labels that are joined by columns which don't say whose and when they are."""
    known = [column for _, column in texts(raw, "data", "entity")]
    known += [column for column in [pick_text(raw, "data", "timestamp")] if column is not None]
    joined = _listed(raw, "join", "labels", "join")
    yield from _twice(joined)
    names = f"a column of data.entity or data.timestamp ({', '.join(known)})" if known else "prediction_id"
    for role in joined:
        if role.column not in known:
            yield fault_at(role.path, spell_value(role.column), names)
    if pick(raw, "labels", "join") == []:
        yield fault_at(
            ("labels", "join"), "[]", "prediction_id, or columns of data.entity and data.timestamp"
        )


def label_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find labels whose columns are one another's, and a delay that nothing measures from."""
    column, arrived = pick_text(raw, "labels", "column"), pick_text(raw, "labels", "arrived_at")
    for role in _listed(raw, "join", "labels", "join"):
        if role.column == column:
            yield _taken(role, "the labels' column")
    if arrived is not None and arrived == column:
        yield fault_at(("labels", "arrived_at"), f"{spell_value(arrived)} is the labels' column", "another")
    delayed = re.search("[1-9]", pick_text(raw, "labels", "delay") or "")
    by_id = pick(raw, "labels", "join") == "prediction_id"
    if delayed and arrived is None and not by_id and pick(raw, "data", "timestamp") is None:
        yield fault_at(
            ("labels", "delay"),
            "a delay without data.timestamp",
            "data.timestamp, from which it counts, or labels.arrived_at",
        )
