"""Owns reading the fields of an entry's data: each is what the fold needs, or the entry isn't legal."""

from __future__ import annotations

from collections.abc import Mapping

from evertrain.journal.chain import JSON, Entry, Illegal
from evertrain.liveness import ProcessIdentity


def owner_of(owner: Mapping[str, JSON]) -> ProcessIdentity:
    """Read the process that an entry names; Illegal if it names none."""
    match owner:
        case {
            "host": str(host),
            "host_id": str(host_id),
            "pid": int(pid),
            "started": int() | float() as start,
        }:
            return ProcessIdentity(host, host_id, pid, float(start))
    raise Illegal("its owner is not a process")


def positive(data: Mapping[str, JSON], name: str) -> float:
    """Read a number above 0; Illegal if it isn't one."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise Illegal(f"{name} is {value!r}, not a number above 0")
    return float(value)


def whole_number(entry: Entry, name: str) -> int:
    """Read a whole number; Illegal if it isn't one."""
    value = entry.data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Illegal(f"{name} is {value!r}, not a whole number")
    return value


def text(entry: Entry, name: str) -> str:
    """Read a text; Illegal if it isn't one."""
    value = entry.data.get(name)
    if not isinstance(value, str):
        raise Illegal(f"{name} is {value!r}, not a text")
    return value


def texts(entry: Entry, name: str) -> tuple[str, ...]:
    """Read a list of texts; Illegal if it isn't one."""
    value = entry.data.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Illegal(f"{name} is {value!r}, not a list of texts")
    return tuple(value)


def sizes(entry: Entry, name: str) -> dict[str, float]:
    """Read numbers by name; none where the entry has no such field, Illegal if it holds anything else."""
    found = {}
    value = entry.data.get(name, {})
    if not isinstance(value, Mapping):
        raise Illegal(f"{name} is {value!r}, not numbers by name")
    for key, each in value.items():
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise Illegal(f"{key} of {name} is {each!r}, not a number")
        found[key] = float(each)
    return found
