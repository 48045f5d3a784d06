"""Owns the list of rules that a YAML must keep beyond its types; each looks at raw values by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evertrain.config.faults import Fault
from evertrain.config.rules.columns import join_faults, label_faults, role_faults, window_faults
from evertrain.config.rules.learning import (
    classifier_faults,
    expectation_faults,
    search_faults,
    source_faults,
)
from evertrain.config.rules.metrics import limit_faults, repeated_faults, task_faults
from evertrain.config.rules.raw import Raw
from evertrain.config.rules.steering import (
    ab_faults,
    batch_faults,
    canary_faults,
    clock_faults,
    confirm_faults,
    schedule_faults,
    timezone_faults,
)
from evertrain.settings import Settings

Rule = Callable[[Raw, Settings], Iterator[Fault]]

RULES: tuple[Rule, ...] = (
    source_faults,
    role_faults,
    window_faults,
    join_faults,
    label_faults,
    expectation_faults,
    classifier_faults,
    search_faults,
    task_faults,
    repeated_faults,
    limit_faults,
    canary_faults,
    ab_faults,
    confirm_faults,
    clock_faults,
    batch_faults,
    schedule_faults,
    timezone_faults,
)


def find_rule_faults(raw: Raw, settings: Settings) -> list[Fault]:
    """Hold *raw* against every rule; what isn't of the right type is no rule's concern."""
    return [fault for rule in RULES for fault in rule(raw, settings)]
