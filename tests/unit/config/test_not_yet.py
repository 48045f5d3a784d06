"""What parses and isn't done yet."""

from __future__ import annotations

from typing import Any

import pytest

from evertrain.config import PipelineConfig
from evertrain.config.not_yet import find_dormant, find_not_yet

FILES = {"type": "files", "uri": "a.csv"}
SEARCH = {"trials": 2, "space": {"a": {"type": "int", "low": 1, "high": 2}}}


def make_config(source: Any = FILES, **sections: Any) -> PipelineConfig:
    raw = {"name": "p", "data": {"source": source, "target": "y"}, "training": {"estimator": "a.B"}}
    return PipelineConfig.model_validate({**raw, "evaluation": {"task": "regression"}, **sections})


def test_an_ab_test_is_refused_once_there_is_a_champion():
    """Any strategy promotes the first version; the next one would have to be walked."""
    config = make_config(promotion={"strategy": {"type": "ab", "metric": "r2"}})

    (fault,) = find_not_yet(config, has_champion=True)

    assert fault.path == "promotion.strategy.type"
    assert find_not_yet(config) == []


@pytest.mark.parametrize("strategy", ["direct", "blue_green", "canary", "shadow"])
def test_what_can_be_walked_is_not_refused(strategy):
    """These are acted on, and so is an approval."""
    config = make_config(promotion={"strategy": {"type": strategy}, "approval": "required"})

    assert find_not_yet(config, has_champion=True) == []


def test_all_else_does_not_hinder():
    """A search, slices, drift, labels, batch, schedules and any strategy are parsed and carried."""
    config = make_config(
        training={"estimator": "a.B", "search": SEARCH},
        evaluation={"task": "regression", "slices": ["a"]},
        labels={
            "source": {"type": "sql", "url_env": "X", "query": "SELECT 1"},
            "join": "prediction_id",
            "column": "y",
        },
        drift={"schedule": "0 * * * *", "regret": {"metric": "r2"}},
        promotion={"strategy": {"type": "ab", "metric": "r2"}},
        batch={"schedule": "0 * * * *", "input": "a", "output": "b"},
        schedule={"train": "0 * * * *"},
        notify=[{"type": "email", "url_env": "X"}],
    )

    assert find_not_yet(config) == []


def test_what_nothing_acts_on_yet_is_named_where_it_is_set():
    """Only what the YAML says: defaults surprise nobody."""
    config = make_config(
        evaluation={"task": "regression", "slices": ["a"]},
        labels={"source": {"type": "files", "uri": "l.csv"}, "join": "prediction_id", "column": "y"},
    )

    assert find_dormant(config) == ("evaluation.slices",)
    assert find_dormant(make_config()) == ()


def test_schedules_and_notices_are_acted_on():
    """`deploy` registers the schedules, the flows send the notices: neither is told to be dormant."""
    config = make_config(
        schedule={"train": "0 3 * * 1"},
        drift={"schedule": "0 * * * *"},
        notify=[{"type": "email", "url_env": "X"}],
    )

    assert find_dormant(config) == ()


def test_slices_that_a_gate_judges_are_not_dormant():
    """Slices are looked into by the gate ``slices``, and by nothing else."""
    gates = [{"type": "slices", "metric": "r2"}]

    assert find_dormant(make_config(evaluation={"task": "regression", "slices": ["a"], "gates": gates})) == ()
