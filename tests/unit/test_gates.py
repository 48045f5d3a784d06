from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from evertrain.gates import BeatsChampion, Gate, NotWorse, SignatureGate, Threshold
from evertrain.records import (
    ChampionScore,
    Evaluation,
    Feature,
    Gain,
    GateEvidence,
    MetricEstimate,
    Signature,
)

FIGURES = st.floats(-1, 1, allow_nan=False)
LIMITS = st.floats(0, 1, allow_nan=False)
ADAPTER = TypeAdapter(Gate)


def make_signature(*features):
    made = tuple(Feature(name=name, kind=kind, type=type_) for name, kind, type_ in features)
    return Signature(task="regression", target="y", features=made)


def make_evidence(*, value=0.7, gain=None, missing=None, old=None, new=(), allowed=False, champion=False):
    estimate = MetricEstimate(value=value, low=value, high=value)
    evaluation = Evaluation(
        rows=10,
        metrics={"roc_auc": estimate},
        champion=ChampionScore(version=1, metrics={"roc_auc": estimate}) if gain or champion else None,
        champion_missing=missing,
        gains=(Gain(metric="roc_auc", confidence=0.95, gain=gain[0], low=gain[1], high=gain[2]),)
        if gain
        else (),
    )
    return GateEvidence(
        evaluation=evaluation,
        signature=make_signature(*new),
        champion_signature=None if old is None else make_signature(*old),
        allow_signature_change=allowed,
    )


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"min": 0.7}, "pass"),
        ({"min": 0.71}, "fail"),
        ({"max": 0.7}, "pass"),
        ({"max": 0.69}, "fail"),
        ({"min": 0.6, "max": 0.8}, "pass"),
        ({"min": 0.75, "max": 0.8}, "fail"),
    ],
)
def test_threshold_holds_the_limits(limits, verdict):
    """The candidate's metric must keep within the limits, which belong to what is allowed."""
    result = Threshold(type="threshold", metric="roc_auc", **limits).check(make_evidence(value=0.7))
    assert (result.type, result.metric, result.verdict) == ("threshold", "roc_auc", verdict)
    assert "roc_auc is 0.7; the limit is" in result.reason


@pytest.mark.parametrize("limits", [{}, {"min": 2, "max": 1}])
def test_threshold_without_a_sensible_limit_is_refused(limits):
    """A threshold with no limit, or with one that nothing can meet, is a fault of the configuration."""
    with pytest.raises(ValidationError, match="expected min"):
        Threshold(type="threshold", metric="roc_auc", **limits)


@given(FIGURES, FIGURES, FIGURES)
def test_threshold_is_monotonic(limit, one, other):
    """What passes a lower limit passes it with any better value, and the other way round for an upper one."""
    low, high = sorted((one, other))
    gates = (
        Threshold(type="threshold", metric="roc_auc", min=limit),
        Threshold(type="threshold", metric="roc_auc", max=limit),
    )
    passed = [[g.check(make_evidence(value=v)).verdict == "pass" for v in (low, high)] for g in gates]
    assert passed[0][0] <= passed[0][1]
    assert passed[1][0] >= passed[1][1]


@pytest.mark.parametrize(
    ("gain", "min_gain", "verdict"),
    [
        ((0.02, 0.01, 0.03), 0.0, "pass"),
        ((0.02, 0.01, 0.03), 0.01, "fail"),
        ((0.02, -0.01, 0.05), 0.0, "fail"),
        ((0.0, 0.0, 0.0), 0.0, "fail"),
    ],
)
def test_beats_champion_looks_at_the_lower_end(gain, min_gain, verdict):
    """The candidate wins only where the interval's lower end is over the least gain: equal is no win."""
    gate = BeatsChampion(type="beats_champion", metric="roc_auc", min_gain=min_gain)
    result = gate.check(make_evidence(gain=gain))
    assert (result.verdict, (result.gain, result.low, result.high)) == (verdict, gain)


@pytest.mark.parametrize(
    ("gain", "margin", "verdict"),
    [
        ((-0.02, -0.03, -0.01), 0.0, "fail"),
        ((-0.02, -0.03, -0.01), 0.01, "pass"),
        ((-0.02, -0.05, 0.01), 0.0, "pass"),
        ((0.0, 0.0, 0.0), 0.0, "pass"),
    ],
)
def test_not_worse_looks_at_the_upper_end(gain, margin, verdict):
    """The candidate loses only where the interval's upper end is below the margin: being equal is no loss."""
    result = NotWorse(type="not_worse", metric="roc_auc", margin=margin).check(make_evidence(gain=gain))
    assert (result.verdict, (result.gain, result.low, result.high)) == (verdict, gain)


@given(st.tuples(FIGURES, FIGURES, FIGURES), LIMITS, LIMITS)
def test_comparisons_are_monotonic_in_their_limits(figures, one, other):
    """Asking for more gain never turns a no into a yes; allowing more loss never turns a yes into a no."""
    low, gain, high = sorted(figures)
    evidence = make_evidence(gain=(gain, low, high))
    strict, lax = max(one, other), min(one, other)
    beats = [
        BeatsChampion(type="beats_champion", metric="roc_auc", min_gain=limit).check(evidence).verdict
        for limit in (strict, lax)
    ]
    worse = [
        NotWorse(type="not_worse", metric="roc_auc", margin=limit).check(evidence).verdict
        for limit in (lax, strict)
    ]
    assert beats != ["pass", "fail"]
    assert worse != ["pass", "fail"]


@given(LIMITS, LIMITS)
def test_equal_models_neither_win_nor_lose(min_gain, margin):
    """With a gain of exactly nothing beats_champion never passes and not_worse always does."""
    evidence = make_evidence(gain=(0.0, 0.0, 0.0))
    beats = BeatsChampion(type="beats_champion", metric="roc_auc", min_gain=min_gain)
    worse = NotWorse(type="not_worse", metric="roc_auc", margin=margin)
    assert (beats.check(evidence).verdict, worse.check(evidence).verdict) == ("fail", "pass")


@pytest.mark.parametrize("kind", ["beats_champion", "not_worse"])
@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "there is no champion"),
        ({"missing": "its feature 'x' is gone"}, "its feature 'x' is gone"),
        ({"champion": True}, "the champion gives no probabilities"),
    ],
)
def test_comparison_that_is_not_shown_says_why(kind, facts, words):
    """Where nothing could be compared the verdict is "not shown", with the reason and no numbers."""
    result = ADAPTER.validate_python({"type": kind, "metric": "roc_auc"}).check(make_evidence(**facts))
    assert (result.verdict, result.gain, result.low, result.high) == ("not_shown", None, None, None)
    assert words in result.reason


@pytest.mark.parametrize(
    ("confidence", "words"), [(0.95, "(95 % interval"), (0.995, "(99.5 % interval"), (0.9, "(90 % interval")]
)
def test_reason_spells_gain_and_confidence(confidence, words):
    """The reason shows small gains and the confidence as they are, and rounds neither away."""
    gain = Gain(metric="roc_auc", confidence=confidence, gain=2e-05, low=1e-05, high=0.5)
    evaluation = make_evidence(champion=True).evaluation.model_copy(update={"gains": (gain,)})
    evidence = GateEvidence(evaluation=evaluation, signature=make_signature())
    gate = BeatsChampion(type="beats_champion", metric="roc_auc", confidence=confidence)
    reason = gate.check(evidence).reason
    assert words in reason
    assert "+2e-05" in reason


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (("numeric", "integer"), ("numeric", "float"), None),
        (("numeric", "float"), ("numeric", "integer"), None),
        (("numeric", "boolean"), ("numeric", "float"), "from numeric (boolean) to numeric (float)"),
        (("numeric", "integer"), ("numeric", "boolean"), "from numeric (integer) to numeric (boolean)"),
        (("categorical", "integer"), ("categorical", "string"), None),
        (("categorical", "string"), ("categorical", "date"), "to categorical (date)"),
        (("categorical", "timestamp"), ("categorical", "date"), None),
        (("datetime", "timestamp"), ("datetime", "string"), None),
        (("numeric", "float"), ("categorical", "string"), "to categorical (string)"),
        (("categorical", "string"), ("numeric", "float"), "to numeric (float)"),
    ],
)
def test_signature_fails_where_less_is_taken(old, new, words):
    """A feature that changes fails the gate if a value that callers may send would no longer do."""
    evidence = make_evidence(old=[("a", *old)], new=[("a", *new)])
    result = SignatureGate(type="signature").check(evidence)
    assert result.verdict == ("pass" if words is None else "fail")
    assert (words or "go on sending") in result.reason


def test_narrowing_agrees_with_the_column_layer():
    """What the gate calls a widening is taken by the column layer, and what it calls narrowing isn't."""
    from evertrain.columns import encode_inputs
    from evertrain.errors import InvalidInput

    values = {"integer": 3, "float": 1.5, "boolean": True}
    for old, value in values.items():
        for new in values:
            gate = SignatureGate(type="signature")
            evidence = make_evidence(old=[("a", "numeric", old)], new=[("a", "numeric", new)])
            feature = Feature(name="a", kind="numeric", type=new)
            try:
                encode_inputs([feature], {"a": [value]})
                taken = True
            except InvalidInput:
                taken = False
            assert taken == (gate.check(evidence).verdict == "pass")


def test_signature_names_each_change():
    """Features that come and go are named, all in one go."""
    evidence = make_evidence(old=[("gone", "numeric", "float")], new=[("new", "numeric", "float")])
    result = SignatureGate(type="signature").check(evidence)
    assert result.verdict == "fail"
    assert "feature 'new' is added; feature 'gone' is removed" in result.reason
    assert "allow_signature_change" in result.reason


def test_signature_change_can_be_allowed():
    """With promotion.allow_signature_change the gate passes and still says what changes."""
    evidence = make_evidence(old=[], new=[("new", "numeric", "float")], allowed=True)
    result = SignatureGate(type="signature").check(evidence)
    assert (result.verdict, "'new' is added" in result.reason) == ("pass", True)


def test_signature_without_a_champion_is_not_shown():
    """The first model has no callers yet."""
    assert SignatureGate(type="signature").check(make_evidence()).verdict == "not_shown"


def test_order_of_features_is_no_change():
    """Callers name their columns: another order of the same features breaks nobody."""
    features = [("a", "numeric", "float"), ("b", "categorical", "string")]
    evidence = make_evidence(old=features, new=features[::-1])
    assert SignatureGate(type="signature").check(evidence).verdict == "pass"


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "threshold", "metric": "r2", "min": 0.1},
        {"type": "beats_champion", "metric": "f1"},
        {"type": "not_worse", "metric": "f1"},
        {"type": "slices", "metric": "f1"},
        {"type": "latency", "p99_ms": 20},
        {"type": "signature"},
    ],
)
def test_every_kind_round_trips(raw):
    """Every kind of gate is read by its type, keeps through JSON and takes no unknown key."""
    gate = ADAPTER.validate_python(raw)
    assert ADAPTER.validate_json(gate.model_dump_json()) == gate
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({**raw, "mertic": "f1"})
