"""G10 at the size of a pull request: a verdict is replayable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "golden_judgement.json"


def assert_alike(found, expected, place="judgement"):
    """Compare with room for the last bits that another processor's exp and log may differ in."""
    assert type(found) is type(expected), place
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key, value in expected.items():
            assert_alike(found[key], value, f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for index, value in enumerate(expected):
            assert_alike(found[index], value, f"{place}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), place
    else:
        assert found == expected, place


def test_the_judgement_is_the_golden_one(proof):
    """Fixed answers of two models give the metrics, intervals and verdicts that were once written down."""
    worlds = proof("worlds")
    rng = np.random.default_rng(42)
    target = rng.random(300) < 0.4
    ours, theirs = (2.0 * target - 0.8 + rng.normal(0, spread, 300) for spread in (1.0, 1.5))
    gates = [
        {"type": "threshold", "metric": "accuracy", "min": 0.5},
        {"type": "beats_champion", "metric": "roc_auc"},
        {"type": "beats_champion", "metric": "accuracy", "confidence": 0.9},
        {"type": "not_worse", "metric": "log_loss"},
        {"type": "slices", "metric": "roc_auc", "min_rows": 50},
        {"type": "signature"},
    ]
    config = worlds.make_config(["roc_auc", "log_loss"], gates)
    config = config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"slices": ("ours",)})}
    )
    found, results = worlds.challenge(config, ours, theirs, target, seed=1, look=2)
    told = {
        "evaluation": found.model_dump(mode="json", exclude={"curves"}),
        "gates": [result.model_dump(mode="json") for result in results],
    }
    assert_alike(json.loads(json.dumps(told)), json.loads(GOLDEN.read_text()))


def test_a_real_judgement_is_equal_in_other_processes(proof, tmp_path):
    """Two real bundles are judged alike to the byte under another hash seed and number of threads."""
    replay = proof("G10")
    replay.make_pair(tmp_path)
    one, other = (replay.record_elsewhere(tmp_path, seed, threads) for seed, threads in ((1, 1), (7, 2)))
    assert one == other
    judged = json.loads(one)
    assert [gate["verdict"] for gate in judged["gates"]].count("not_shown") == 0
    assert judged["evaluation"]["slices"][0]["shown"] >= 3
