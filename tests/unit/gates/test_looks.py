from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.gates import BeatsChampion, NotWorse
from evertrain.gates.looks import judged_confidence
from evertrain.records import ChampionScore, Evaluation, Gain, GateEvidence, MetricEstimate, Signature

LEVELS = st.floats(0.51, 0.9999)


def evidence_at(look, confidence, low=0.01, high=0.05):
    estimate = MetricEstimate(value=0.7, low=0.6, high=0.8)
    evaluation = Evaluation(
        rows=10,
        metrics={"roc_auc": estimate},
        champion=ChampionScore(version=1, metrics={"roc_auc": estimate}),
        gains=(Gain(metric="roc_auc", confidence=confidence, gain=0.02, low=low, high=high),),
        look=look,
    )
    return GateEvidence(
        evaluation=evaluation, signature=Signature(task="regression", target="y", features=())
    )


@given(LEVELS)
def test_the_first_look_has_the_stated_confidence(confidence):
    """The contract's figure is meant literally where a hold-out is looked at once, or nothing is counted."""
    assert judged_confidence(confidence, 1) == confidence
    assert judged_confidence(confidence, None) == confidence


@given(LEVELS, st.integers(1, 500))
def test_all_looks_together_spend_what_is_stated(confidence, looks):
    """The chances of a wrong promotion, half of each look's error, never sum to over 1 - confidence."""
    spent = sum((1 - judged_confidence(confidence, look)) / 2 for look in range(1, looks + 1))
    assert spent <= (1 - confidence) * (1 + 1e-9)


@given(LEVELS, st.integers(2, 500))
def test_each_look_asks_for_more(confidence, look):
    """No look is easier than the one before it."""
    assert judged_confidence(confidence, look) > judged_confidence(confidence, look - 1) - 1e-12


def test_beats_champion_says_which_look_it_is():
    """The reason tells the look and the confidence; the figures are at that confidence."""
    confidence = judged_confidence(0.95, 3)
    result = BeatsChampion(type="beats_champion", metric="roc_auc").check(evidence_at(3, confidence))
    assert (result.verdict, result.low, result.high) == ("pass", 0.01, 0.05)
    assert "(99.24 % interval" in result.reason
    assert result.reason.endswith("; look 3 at this hold-out: judged at 99.24 %")


@pytest.mark.parametrize("look", [None, 1])
def test_the_first_look_is_no_news(look):
    """A reason speaks of looks only where they change something."""
    gate = BeatsChampion(type="beats_champion", metric="roc_auc")
    assert "look" not in gate.check(evidence_at(look, 0.95)).reason


def test_other_gates_count_no_looks():
    """``not_worse`` compares at its own confidence, whatever the look."""
    result = NotWorse(type="not_worse", metric="roc_auc").check(evidence_at(9, 0.95))
    assert result.verdict == "pass"
    assert "look" not in result.reason
