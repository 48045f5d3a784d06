from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from evertrain.config import PipelineConfig
from evertrain.durations import LONGEST
from evertrain.evaluation import counts_looks, evaluate, judge, time_candidate
from evertrain.evaluation.gains import exact_interval
from evertrain.evaluation.held_out import HeldOut, gather_evidence
from evertrain.evaluation.newest import aim_at_newest, judge_by
from evertrain.predictions import Prediction
from evertrain.records import Feature, GateEvidence, Signature

ROWS = 400
BOTH = (False, True)


class FakeBundle:
    """Answers by its one column: the probability of True, or the value."""

    def __init__(self, task, classes=None, *, column="score", has_probabilities=True):
        feature = Feature(name=column, kind="numeric", type="float")
        self.signature = Signature(
            task=task, target="y", features=(feature,), classes=classes, has_probabilities=has_probabilities
        )
        self.column, self.has_probabilities = column, has_probabilities

    def predict(self, columns):
        score = columns[self.column]
        if self.signature.classes is None:
            return Prediction(values=score)
        positive = 1 / (1 + np.exp(1 - 2 * score))
        return Prediction(
            codes=(positive > 0.5).astype(np.int64),
            probabilities=np.column_stack([1 - positive, positive]) if self.has_probabilities else None,
        )


def make_config(task="binary_classification", **evaluation):
    return PipelineConfig.model_validate(
        {
            "name": "pipeline",
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y"},
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {"task": task, **evaluation},
        }
    )


def binary_rows(seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random(ROWS) < 0.4
    return {"score": target + rng.normal(0, 0.7, ROWS), "noise": rng.normal(size=ROWS)}, target


def test_every_gate_is_asked_in_its_order():
    """Each gate of the pipeline gives one verdict; the strictest latency is what is timed against."""
    columns, target = binary_rows()
    candidate = FakeBundle("binary_classification", BOTH)
    gates = [{"type": "signature"}, {"type": "latency", "p99_ms": 900}, {"type": "latency", "p99_ms": 1e-6}]
    config = make_config(gates=gates)
    evidence = GateEvidence(
        evaluation=evaluate(config, candidate, None, columns, target, BOTH, seed=0),
        latency=time_candidate(config, candidate, columns),
        signature=candidate.signature,
    )
    assert [(result.type, result.verdict) for result in judge(config, evidence)] == [
        ("signature", "not_shown"),
        ("latency", "pass"),
        ("latency", "fail"),
    ]
    assert time_candidate(make_config(), candidate, columns) is None


def test_later_looks_are_judged_at_higher_confidence():
    """Only ``beats_champion`` counts looks: its interval widens, that of ``not_worse`` stays."""
    columns, target = binary_rows()
    columns["near"] = columns["score"] + np.random.default_rng(1).normal(0, 0.1, ROWS)
    pair = (
        FakeBundle("binary_classification", BOTH),
        FakeBundle("binary_classification", BOTH, column="near"),
    )
    config = make_config()
    first, third = (
        evaluate(config, pair[0], (1, pair[1]), columns, target, BOTH, seed=0, look=look) for look in (1, 3)
    )
    assert [gain.confidence for gain in first.gains] == [0.95, 0.95]
    assert [gain.confidence for gain in third.gains] == [pytest.approx(0.9924, abs=1e-4), 0.95]
    assert third.gains[0].low < first.gains[0].low
    assert third.gains[1] == first.gains[1]
    evidence = GateEvidence(evaluation=third, signature=pair[0].signature)
    assert "look 3 at this hold-out: judged at 99.24 %" in judge(config, evidence)[0].reason
    assert counts_looks(config)
    assert not counts_looks(make_config(gates=[{"type": "signature"}]))


def test_accuracy_is_compared_exactly():
    """The interval of a gain in accuracy is McNemar's, exact, and not the bootstrap's."""
    columns, target = binary_rows()
    pair = (
        FakeBundle("binary_classification", BOTH),
        FakeBundle("binary_classification", BOTH, column="noise"),
    )
    config = make_config(metrics=["accuracy"], gates=[{"type": "beats_champion", "metric": "accuracy"}])
    (gain,) = evaluate(config, pair[0], (1, pair[1]), columns, target, BOTH, seed=0).gains
    right = [(columns[name] > 0.5) == target for name in ("score", "noise")]
    won, lost = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert (gain.low, gain.high) == exact_interval(int(won), int(lost), ROWS, 0.95)
    assert gain.gain == pytest.approx((won - lost) / ROWS)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_a_slice_that_loses_fails_its_gate_by_name(metric):
    """A candidate that is better on the whole and ruined in one slice is held, and the slice is named."""
    rng = np.random.default_rng(0)
    target = rng.random(4000) < 0.4
    columns = {"score": target + rng.normal(0, 0.4, 4000), "old": target + rng.normal(0, 0.9, 4000)}
    columns["place"] = rng.choice(
        np.array(["here", "there", "rare"], dtype=object), 4000, p=[0.8, 0.19, 0.01]
    )
    there = columns["place"] == "there"
    columns["score"][there] = rng.normal(size=there.sum())
    pair = (
        FakeBundle("binary_classification", BOTH),
        FakeBundle("binary_classification", BOTH, column="old"),
    )
    gates = [{"type": "beats_champion", "metric": metric}, {"type": "slices", "metric": metric}]
    config = make_config(metrics=[metric], slices=["place"], gates=gates)
    found = evaluate(config, pair[0], (1, pair[1]), columns, target, BOTH, seed=0)
    beats, slices = judge(config, GateEvidence(evaluation=found, signature=pair[0].signature))
    assert (beats.verdict, slices.verdict) == ("pass", "fail")
    assert slices.reason.startswith(
        f"place = there loses too much in {metric}; the worst: place = there, gain -"
    )
    assert "not shown: place = rare (" in slices.reason
    assert [(each.value, each.verdict) for each in slices.slices] == [
        ("there", "fail"),
        ("here", "pass"),
        ("rare", "not_shown"),
    ]
    assert (slices.gain, slices.low, slices.high) == (
        slices.slices[0].gain,
        slices.slices[0].low,
        slices.slices[0].high,
    )


def test_slices_of_a_champion_without_probabilities_are_not_shown():
    """Where the champion can't be scored in the gate's metric, or there is none, no slice is compared."""
    columns, target = binary_rows()
    gates = [{"type": "slices", "metric": "log_loss"}]
    config = make_config(metrics=["accuracy"], slices=["noise"], gates=gates)
    candidate = FakeBundle("binary_classification", BOTH)
    silent = FakeBundle("binary_classification", BOTH, has_probabilities=False)
    for champion, words in (((1, silent), "no probabilities"), (None, "there is no champion")):
        found = evaluate(config, candidate, champion, columns, target, BOTH, seed=0)
        (result,) = judge(config, GateEvidence(evaluation=found, signature=candidate.signature))
        assert (result.verdict, found.slices) == ("not_shown", ())
        assert words in result.reason


def test_slices_of_a_regression_are_compared():
    """A regression's slices need no classes."""
    rng = np.random.default_rng(0)
    target = rng.normal(50, 9, 3000)
    columns = {"score": target + rng.normal(0, 1, 3000), "worse": target + rng.normal(0, 2, 3000)}
    pair = FakeBundle("regression"), FakeBundle("regression", column="worse")
    gates = [{"type": "slices", "metric": "mean_absolute_error", "max_regression": 0}]
    config = make_config("regression", slices=["score"], gates=gates)
    found = evaluate(config, pair[0], (1, pair[1]), columns, target, None, seed=0)
    assert (found.slices[0].shown, found.slices[0].total) == (5, 5)
    assert all(each.low > 0.5 for each in found.slices[0].slices)


def test_the_gates_are_shown_both_models():
    """Candidate and champion on the same rows, both signatures, and what the pipeline lets change."""
    columns, target = binary_rows()
    candidate, champion = (
        FakeBundle("binary_classification", BOTH, column=name) for name in ("noise", "score")
    )
    config = make_config(gates=[{"type": "signature"}])

    evidence = gather_evidence(config, candidate, (3, champion), HeldOut(columns, target), BOTH)

    assert evidence.evaluation.champion is not None
    assert evidence.evaluation.champion.version == 3
    assert (evidence.signature, evidence.champion_signature) == (candidate.signature, champion.signature)
    assert [each.verdict for each in judge(config, evidence)] == ["fail"]
    alone = gather_evidence(config, candidate, None, HeldOut(columns, target), BOTH)
    assert (alone.champion_signature, alone.evaluation.champion) == (None, None)


@pytest.mark.parametrize(
    ("window", "train"), [({"train": "90d", "holdout": "30d"}, timedelta(days=90)), (None, LONGEST)]
)
def test_the_newest_rows_are_those_of_a_check(window, train):
    """Held out is the check's window, learnt from what lies before; one metric judges, no search runs."""
    config = PipelineConfig.model_validate(
        {
            "name": "pipeline",
            "data": {
                "source": {"type": "files", "uri": "x.csv"},
                "target": "y",
                "timestamp": "t",
                "window": window,
            },
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {"task": "binary_classification"},
            "drift": {"current": {"window": "5d"}},
        }
    )

    aimed = aim_at_newest(judge_by(config, "accuracy"))

    assert aimed.data.window is not None
    assert (aimed.data.window.train, aimed.data.window.holdout) == (train, timedelta(days=5))
    assert (aimed.evaluation.metrics, aimed.evaluation.gates, aimed.training.search) == (
        ("accuracy",),
        (),
        None,
    )
