"""Owns the rules on sources, training and its search that need no estimator to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evertrain.config.faults import Fault, fault_at, spell_value
from evertrain.config.rules.raw import Raw, is_number, mappings, pick
from evertrain.expectations import expectation_faults as faults_of
from evertrain.expectations import quarantine_faults
from evertrain.settings import Settings


def source_faults(raw: Raw, settings: Settings) -> Iterator[Fault]:
    """Find sources that run code where that isn't allowed."""
    for section in ("data", "labels"):
        if pick(raw, section, "source", "type") == "python" and not settings.allow_python_sources:
            yield fault_at(
                (section, "source", "type"),
                '"python"',
                "EVERTRAIN_ALLOW_PYTHON_SOURCES=1, or a source that runs no code",
            )


def classifier_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find what only a classifier can be told."""
    if pick(raw, "evaluation", "task") != "regression":
        return
    for name, allowed in (("class_weight", ("balanced",)), ("calibration", ("sigmoid", "isotonic"))):
        value = pick(raw, "training", name)
        if value in allowed:
            yield fault_at(("training", name), spell_value(value), "none: regression has no classes")


def search_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find ranges that hold nothing to search."""
    for path, space in mappings(raw, "training", "search", "space"):
        low, high = space.get("low"), space.get("high")
        if not is_number(low) or not is_number(high):
            continue
        if low >= high:
            yield fault_at((*path, "low"), spell_value(low), f"less than high ({spell_value(high)})")
        if space.get("log") is True and low <= 0:
            yield fault_at((*path, "low"), spell_value(low), "over 0, as log is true")


def expectation_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find expectations that Great Expectations doesn't know or can't take."""
    for path, expectation in mappings(raw, "validation", "expectations"):
        name = expectation.get("type")
        if isinstance(name, str) and isinstance(path[-1], int):
            arguments: dict[str, Any] = {key: value for key, value in expectation.items() if key != "type"}
            found = faults_of(path[-1], name, arguments)
            if pick(raw, "validation", "on_failure") == "quarantine":
                found += quarantine_faults(path[-1], name)
            for fault in found:
                yield Fault(path=fault.path, found=fault.found, expected=fault.expected)
