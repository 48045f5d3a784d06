"""The kinds of promotion strategy, as the YAML names them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from evertrain.strategies import Strategy

ADAPTER = TypeAdapter(Strategy)


@pytest.mark.parametrize(
    ("raw", "defaults"),
    [
        ({"type": "direct"}, {}),
        ({"type": "blue_green"}, {"keep_warm": timedelta(minutes=15)}),
        ({"type": "canary"}, {"steps": (5, 25, 50, 100), "bake": timedelta(minutes=10)}),
        ({"type": "shadow"}, {"duration": timedelta(hours=1), "then": "direct"}),
        ({"type": "ab", "metric": "roc_auc"}, {"share": 50, "duration": timedelta(days=7)}),
    ],
)
def test_a_strategy_has_the_contracts_defaults_and_survives_json(raw, defaults):
    """As the contract's sample shows them."""
    strategy = ADAPTER.validate_python(raw)

    assert {name: getattr(strategy, name) for name in defaults} == defaults
    assert ADAPTER.validate_json(strategy.model_dump_json()) == strategy


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "rolling"},
        {},
        {"type": "canary", "steps": []},
        {"type": "shadow", "then": "canary"},
        {"type": "ab"},
    ],
)
def test_another_strategy_is_refused(raw):
    """The union is closed."""
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(raw)
