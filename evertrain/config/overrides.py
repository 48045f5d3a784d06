"""Owns ``--set a.b=VALUE``: a value put into the YAML before it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evertrain.config.faults import Fault, Path, fault_at, spell_value
from evertrain.config.yaml_reader import parse_value
from evertrain.errors import ConfigError

PATH = re.compile(r"[^.\[\]]+(\[\d{1,6}\])*(\.[^.\[\]]+(\[\d{1,6}\])*)*")
STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def apply_overrides(raw: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[Fault]]:
    """Put each of *overrides* into a copy of *raw*, in their order.

    Returns:
        What came of it, and a fault for each that couldn't be put in. A key that no pipeline has is put in,
        and found wherever the whole is checked.
    """
    changed: Any = dict(raw)
    faults: list[Fault] = []
    for text in overrides:
        try:
            path, value = _read_override(text)
            changed = _put(changed, path, value, at=())
        except ConfigError as error:
            faults.append(Fault(**error.attributes["fault"]))
    return changed, faults


def _read_override(text: str) -> tuple[Path, Any]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not PATH.fullmatch(name):
        raise _wrong(("--set",), spell_value(text), "PATH=VALUE, such as training.params.max_iter=200")
    path = tuple(int(place) if place else key for place, key in STEP.findall(name))
    try:
        return path, parse_value(value)
    except ConfigError as error:
        raise _wrong(path, error.message.rstrip("."), "one YAML value after =") from error


def _put(value: Any, path: Path, new: Any, at: Path) -> Any:
    if not path:
        return new
    step, rest = path[0], path[1:]
    here = (*at, step)
    if isinstance(step, int):
        if not isinstance(value, list) or step >= len(value):
            found = f"a list of {len(value)}" if isinstance(value, list) else "no list in the file"
            raise _wrong(here, found, "a place of a list in the file, or the whole list set at once")
        return [*value[:step], _put(value[step], rest, new, here), *value[step + 1 :]]
    if value is not None and not isinstance(value, dict):
        raise _wrong(here, f"{spell_value(value)} above it", "a mapping to put it in")
    inner = value or {}
    return {**inner, step: _put(inner.get(step), rest, new, here)}


def _wrong(path: Path, found: str, expected: str) -> ConfigError:
    fault = fault_at(path, found, expected)
    return ConfigError(fault.line, fault=fault.model_dump())
