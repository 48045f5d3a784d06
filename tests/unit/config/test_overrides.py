"""``--set a.b=VALUE``."""

from __future__ import annotations

import pytest

from evertrain.config.overrides import apply_overrides

RAW = {
    "data": {"window": None, "features": {"numeric": ["a", "b"]}},
    "evaluation": {"gates": [{"min": 1}, {"min": 2}]},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name=x", {**RAW, "name": "x"}),
        ("evaluation.gates=[]", {**RAW, "evaluation": {"gates": []}}),
        ("evaluation.gates[1].min=0.5", {**RAW, "evaluation": {"gates": [{"min": 1}, {"min": 0.5}]}}),
        (
            "data.features.numeric[0]=c=d",
            {**RAW, "data": {"window": None, "features": {"numeric": ["c=d", "b"]}}},
        ),
        ("data.window.train=5d", {**RAW, "data": {**RAW["data"], "window": {"train": "5d"}}}),
        ("training.params.max_iter=20", {**RAW, "training": {"params": {"max_iter": 20}}}),
        ("data.window=", RAW),
    ],
)
def test_a_value_is_put_where_the_path_says(text, found):
    """In YAML, creating the mappings on the way."""
    assert apply_overrides(RAW, [text]) == (found, [])


def test_the_original_is_left_alone_and_the_last_one_wins():
    """Overrides are put in, in their order, into a copy."""
    changed, faults = apply_overrides(RAW, ["evaluation.gates[0].min=5", "evaluation.gates[0].min=6"])

    assert (changed["evaluation"]["gates"][0], faults) == ({"min": 6}, [])
    assert RAW["evaluation"]["gates"][0] == {"min": 1}


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("name", "--set", '"name"'),
        ("=5", "--set", '"=5"'),
        ("a..b=5", "--set", '"a..b=5"'),
        ("a[x]=5", "--set", '"a[x]=5"'),
        ("evaluation.gates[2].min=5", "evaluation.gates[2]", "a list of 2"),
        ("data.window[0]=5", "data.window[0]", "no list in the file"),
        ("evaluation.gates.min=5", "evaluation.gates.min", '[{"min": 1}, {"min": 2}] above it'),
        ("name=[1", "name", "the value, line 1"),
        ("name=!!str 5", "name", "the tag"),
    ],
)
def test_what_cannot_be_put_in_is_a_fault_with_its_path(text, path, found):
    """A typo in --set is told like a typo in the file, and the others are put in."""
    changed, (fault,) = apply_overrides(RAW, [text, "owner=me"])

    assert fault.path == path
    assert found in fault.found
    assert changed == {**RAW, "owner": "me"}
