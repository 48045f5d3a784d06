"""What parses and nothing acts on yet."""

from __future__ import annotations

from typing import Any

from evertrain.config import PipelineConfig
from evertrain.config.dormant import find_dormant

FILES = {"type": "files", "uri": "a.csv"}


def make_config(source: Any = FILES, **sections: Any) -> PipelineConfig:
    raw = {"name": "p", "data": {"source": source, "target": "y"}, "training": {"estimator": "a.B"}}
    return PipelineConfig.model_validate({**raw, "evaluation": {"task": "regression"}, **sections})


def test_what_nothing_acts_on_yet_is_named_where_it_is_set():
    """Only what the YAML says: defaults surprise nobody."""
    config = make_config(
        evaluation={"task": "regression", "slices": ["a"]},
        labels={"source": {"type": "files", "uri": "l.csv"}, "join": "prediction_id", "column": "y"},
    )

    assert find_dormant(config) == ("labels", "evaluation.slices")
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
