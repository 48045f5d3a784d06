from __future__ import annotations

import pytest

from evertrain.gates import LatencyGate, SlicesGate
from evertrain.records import (
    ChampionScore,
    Evaluation,
    GateEvidence,
    Latency,
    MetricEstimate,
    Signature,
    SliceGain,
    SliceGains,
)

GATE = SlicesGate(type="slices", metric="roc_auc")


def seen(*verdicts, total=None, **key):
    slices = tuple(
        SliceGain(column="origin", value=f"v{place}", rows=300, verdict=verdict, missing="7 of 200 rows")
        if verdict == "not_shown"
        else SliceGain(
            column="origin",
            value=f"v{place}",
            rows=300,
            verdict=verdict,
            gain=-0.05,
            low=-0.08,
            high=-0.02,
            confidence=0.99,
        )
        for place, verdict in enumerate(verdicts)
    )
    return SliceGains(
        **{"metric": "roc_auc", "max_regression": 0.03, "min_rows": 200, **key},
        shown=sum(each.verdict != "not_shown" for each in slices),
        total=total or len(slices),
        slices=slices,
    )


def evidence(*tables, latency=None):
    estimate = MetricEstimate(value=0.7, low=0.6, high=0.8)
    evaluation = Evaluation(
        rows=10,
        metrics={"roc_auc": estimate},
        champion=ChampionScore(version=1, metrics={"roc_auc": estimate}),
        slices=tables,
    )
    signature = Signature(task="regression", target="y", features=())
    return GateEvidence(evaluation=evaluation, signature=signature, latency=latency)


def test_a_slice_that_fails_fails_the_gate_and_is_named():
    """The worst slice gives the figures, and every slice that fails its name."""
    result = GATE.check(evidence(seen("fail", "fail", "pass")))
    assert (result.verdict, result.gain, result.low, result.high) == ("fail", -0.05, -0.08, -0.02)
    assert result.reason == (
        "origin = v0, origin = v1 lose too much in roc_auc; the worst: origin = v0, gain -0.05 "
        "(99 % interval -0.08 to -0.02, 300 rows); no upper end may be below -0.03"
    )


def test_many_slices_that_fail_are_counted():
    """Three are named."""
    assert "origin = v2 and 2 more lose too much" in GATE.check(evidence(seen(*["fail"] * 5))).reason


def test_harmless_slices_pass():
    """Where no slice fails the nearest to it is told, and those not shown are named, not passed over."""
    result = GATE.check(evidence(seen("pass", "pass", "not_shown", total=9)))
    assert result.verdict == "pass"
    assert result.reason.startswith("of 2 slices none loses too much; the nearest to it: origin = v0")
    assert result.reason.endswith("not shown: origin = v2 (7 of 200 rows) and 6 more")
    assert [each.verdict for each in result.slices] == ["pass", "pass", "not_shown"]


def test_slices_that_can_t_be_compared_are_not_shown():
    """Where no slice has the rows, nothing is claimed."""
    result = GATE.check(evidence(seen("not_shown", "not_shown")))
    assert (result.verdict, result.gain) == ("not_shown", None)
    assert result.reason == "not shown: origin = v0 (7 of 200 rows), origin = v1 (7 of 200 rows)"


def test_a_gate_without_columns_says_so():
    """A gate on slices where no column is named has nothing to look at."""
    result = GATE.check(evidence(seen()))
    assert (result.verdict, result.reason) == ("not_shown", "evaluation.slices names no column")


def test_each_gate_sees_its_own_slices():
    """Two gates on slices differ in metric, margin or least rows: each finds what was measured for it."""
    tables = seen("pass"), seen("fail", min_rows=50)
    assert GATE.check(evidence(*tables)).verdict == "pass"
    strict = SlicesGate(type="slices", metric="roc_auc", min_rows=50)
    assert strict.check(evidence(*tables)).verdict == "fail"
    assert SlicesGate(type="slices", metric="f1").check(evidence(*tables)).verdict == "not_shown"


@pytest.mark.parametrize(("p99", "verdict"), [(19.9, "pass"), (20.0, "pass"), (20.1, "fail")])
def test_latency_holds_p99_against_its_limit(p99, verdict):
    """At most the limit passes, and the reason tells the value."""
    measured = Latency(calls=1000, p50_ms=1.25, p99_ms=p99)
    result = LatencyGate(type="latency", p99_ms=20).check(evidence(latency=measured))
    assert (result.verdict, result.gain) == (verdict, None)
    assert result.reason == (
        f"one row takes {p99:.3g} ms at p99 (1.25 ms at the median) over 1,000 calls; the limit is 20 ms"
    )


def test_latency_tells_of_its_tries():
    """What was measured anew says so."""
    measured = Latency(calls=1000, tries=3, p50_ms=1, p99_ms=2)
    reason = LatencyGate(type="latency", p99_ms=20).check(evidence(latency=measured)).reason
    assert "over 1,000 calls, the quickest of 3 tries" in reason


def test_latency_that_was_not_measured_is_not_shown():
    """Without a measurement nothing is claimed."""
    assert LatencyGate(type="latency", p99_ms=20).check(evidence()).verdict == "not_shown"
