"""Owns what a rollout does next: from what its arms did to a move; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil, exp, log
from typing import Literal, NamedTuple

from evertrain.durations import spell_duration
from evertrain.guardrails import Evidence, StepCounts, find_breach, weigh
from evertrain.release.rollouts import Pause
from evertrain.release.state import Rollout
from evertrain.rollout.reports import ShadowTotals
from evertrain.sequential import log_e_greater

FEWEST_REQUESTS = 100
"""So many requests the challenger has answered at a step before that is taken for evidence."""
SUSPICIOUS = log(10.0)
"""An e-value over 10 against the challenger is no proof, and no good sign to go on from."""
BY_PEOPLE = "sample_ratio"
"""This pause ends by a person's command alone: what gave the arms other shares must be found first."""

Kind = Literal["wait", "step", "promote", "roll_back", "pause", "resume"]


class Move(NamedTuple):
    """What a rollout does next, and why; ``cause`` where it pauses."""

    kind: Kind
    reason: str
    cause: Pause | None = None


def decide_move(
    rollout: Rollout,
    steps: Sequence[StepCounts],
    *,
    shadow: ShadowTotals | None = None,
    since_seconds: float,
    unready: Sequence[str] = (),
    answering: int = 1,
    tripped: str | None = None,
) -> Move:
    """Decide what *rollout* does next.

    Args:
        rollout: As the journal has it.
        steps: What the arms did at each step that was begun, of all processes; the last is the present one.
        shadow: What the rows came to that a shadow was shown; None where the strategy is another.
        since_seconds: How long it has been at its step.
        unready: Why processes that answer haven't loaded the challenger, each once.
        answering: How many processes answer.
        tripped: The guardrail that a process found crossed by its own counts, and closed its arm for; None if
            none did. Together they may show less: it is proof none the less.

    Returns:
        A canary that is shown to be worse is rolled back, whatever else holds. No move gives a challenger
        more requests without evidence: without requests, with suspicious ones, or with a sample that isn't
        the share that was meant, it pauses.
    """
    max_error_rate = float(rollout.guardrails["max_error_rate"])
    told = tell_arms(steps) if shadow is None else tell_shadow(shadow)
    evidence = weigh(steps, max_error_rate) if shadow is None else weigh_shadow(shadow, max_error_rate)
    breach = find_breach(evidence)
    crossed = breach if breach in ("errors", "latency") else tripped
    if crossed is not None:
        return Move("roll_back", f"{crossed}: {told}")
    if rollout.paused == BY_PEOPLE:
        return Move("wait", f"paused: {rollout.paused}")
    if breach == "sample_ratio":
        return _pause(rollout, "sample_ratio", f"the arms got other shares than meant: {told}")
    if since_seconds < rollout.bake_seconds:
        left = spell_duration(timedelta(seconds=ceil(rollout.bake_seconds - since_seconds)))
        return _go_on(rollout, evidence, f"bakes for another {left}", unready)
    doubt = _find_doubt(evidence, unready, answering)
    if doubt is not None:
        return _pause(rollout, *doubt)
    is_last = rollout.step + 1 == len(rollout.steps)
    return Move("promote" if is_last else "step", f"nothing speaks against it: {told}")


def _find_doubt(evidence: Evidence, unready: Sequence[str], answering: int) -> tuple[Pause, str] | None:
    if not answering:
        return "no_data", "no process of the service reports"
    if unready:
        return "not_loaded", "; ".join(unready)
    if evidence.challenger_requests < FEWEST_REQUESTS:
        told = f"the challenger answered {evidence.challenger_requests} requests at this step"
        return "no_data", f"{told}; {FEWEST_REQUESTS} are the least to go by"
    worst = max(evidence.log_errors, evidence.log_slow)
    if worst >= SUSPICIOUS:
        return (
            "inconclusive",
            f"the evidence against the challenger is {exp(worst):.0f} to 1: too much to go on",
        )
    return None


def _pause(rollout: Rollout, cause: Pause, reason: str) -> Move:
    return Move("wait", reason) if rollout.paused == cause else Move("pause", reason, cause)


def _go_on(rollout: Rollout, evidence: Evidence, reason: str, unready: Sequence[str]) -> Move:
    if rollout.paused is None:
        return Move("wait", reason)
    if _find_doubt(evidence, unready, 1) is None:
        return Move("resume", f"no longer {rollout.paused}")
    return Move("wait", f"paused: {rollout.paused}")


def weigh_shadow(shadow: ShadowTotals, max_error_rate: float) -> Evidence:
    """What speaks against a shadow: rows that it failed on, requests that it took half as long again for.

    It answers nobody, so there are no shares: each row may fail with the probability *max_error_rate*, and
    each request be slower with one half.
    """
    return Evidence(
        log_errors=log_e_greater(shadow.failed, shadow.failed + shadow.compared, max_error_rate),
        log_slow=log_e_greater(shadow.slower, shadow.requests, 0.5),
        log_sample_ratio=0.0,
        challenger_requests=shadow.requests,
    )


def tell_shadow(shadow: ShadowTotals) -> str:
    """What a shadow's rows came to, in words."""
    compared = max(1, shadow.compared)
    return (
        f"{shadow.compared} rows compared, {shadow.disagreeing / compared:.1%} answered otherwise, "
        f"scores shifted by {shadow.score_shift_sum / compared:+.4f}, "
        f"{shadow.failed} failed, {shadow.dropped} dropped, "
        f"{shadow.slower} of {shadow.requests} requests slower"
    )


def tell_arms(steps: Sequence[StepCounts]) -> str:
    """What the arms did, in words, over all steps."""
    told = []
    for name in ("challenger", "stable"):
        arms = [getattr(step, name) for step in steps]
        requests, errors, slow = (
            sum(getattr(arm, of) for arm in arms) for of in ("requests", "errors", "slow")
        )
        told.append(f"{name} {errors} errors and {slow} slow answers of {requests}")
    return ", ".join(told)
