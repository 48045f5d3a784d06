"""Owns what a rollout does next: from what its arms did to a move; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, exp, log
from typing import Literal, NamedTuple

from evertrain.durations import spell_duration
from evertrain.guardrails import Evidence, StepCounts, find_breach, weigh
from evertrain.release.rollouts import Pause
from evertrain.release.state import Rollout
from evertrain.rollout.reports import ShadowTotals
from evertrain.sequential import log_e_greater

FEWEST_LABELLED = 100
"""So many labelled rows each arm has before a metric of them is taken for evidence."""
MORE_LABELS = 1.25
"""An open verdict is looked at again once the arm with fewer labels has so many times as many."""
FEWEST_REQUESTS = 100
"""So many requests the challenger has answered at a step before that is taken for evidence."""
SUSPICIOUS = log(10.0)
"""An e-value over 10 against the challenger is no proof, and no good sign to go on from."""
BY_PEOPLE = "sample_ratio"
"""This pause ends by a person's command alone: what gave the arms other shares must be found first."""

Kind = Literal["wait", "judge", "step", "promote", "roll_back", "pause", "resume"]


class Move(NamedTuple):
    """What a rollout does next, and why; ``cause`` where it pauses."""

    kind: Kind
    reason: str
    cause: Pause | None = None


class Pairs(NamedTuple):
    """Labelled rows that a champion and its shadow both answered, and on how many of them only one was right.

    ``won`` are the challenger's; of numbers those that it was nearer to.
    """

    rows: int = 0
    won: int = 0
    lost: int = 0


NO_PAIRS = Pairs()


@dataclass(frozen=True)
class Seen:
    """What there is to be seen of a rollout.

    Attributes:
        steps: What the arms did at each step that was begun, of all processes; the last is the present one.
        since_seconds: How long it has been at its step.
        shadow: What the rows came to that a shadow was shown; None where the strategy is another.
        unready: Why processes that answer haven't loaded the challenger, each once.
        answering: How many processes answer.
        tripped: The guardrail that a process found crossed by its own counts, and closed its arm for; None if
            none did. Together they may show less: it is proof none the less.
        labelled: Where a metric decides: labelled rows of the arm that has fewer; None: not looked up.
        pairs: Of a shadow's rows, those that have labels by now.
    """

    steps: Sequence[StepCounts]
    since_seconds: float
    shadow: ShadowTotals | None = None
    unready: Sequence[str] = ()
    answering: int = 1
    tripped: str | None = None
    labelled: int | None = None
    pairs: Pairs = NO_PAIRS

    @property
    def told(self) -> str:
        """What was counted, in words."""
        return tell_arms(self.steps) if self.shadow is None else tell_shadow(self.shadow, self.pairs)


def decide_move(rollout: Rollout, seen: Seen) -> Move:
    """Decide what *rollout* does next.

    Args:
        rollout: As the journal has it.
        seen: What its arms did.

    Returns:
        A canary that is shown to be worse is rolled back, whatever else holds. No move gives a challenger
        more requests without evidence: without requests, with suspicious ones, or with a sample that isn't
        the share that was meant, it pauses.
    """
    max_error_rate = float(rollout.guardrails["max_error_rate"])
    if seen.shadow is None:
        evidence = weigh(seen.steps, max_error_rate)
    else:
        evidence = weigh_shadow(seen.shadow, seen.pairs, max_error_rate)
    breach = find_breach(evidence)
    crossed = seen.tripped if breach in (None, "sample_ratio") else breach
    if crossed is not None:
        return Move("roll_back", f"{crossed}: {seen.told}")
    if rollout.paused == BY_PEOPLE:
        return Move("wait", f"paused: {rollout.paused}")
    if breach == "sample_ratio":
        return _pause(rollout, "sample_ratio", f"the arms got other shares than meant: {seen.told}")
    if seen.since_seconds < rollout.bake_seconds:
        left = spell_duration(timedelta(seconds=ceil(rollout.bake_seconds - seen.since_seconds)))
        return _go_on(rollout, evidence, f"bakes for another {left}", seen.unready)
    return _move_on(rollout, evidence, seen)


def _move_on(rollout: Rollout, evidence: Evidence, seen: Seen) -> Move:
    doubt = _find_doubt(evidence, seen.unready, seen.answering)
    if doubt is not None:
        return _pause(rollout, *doubt)
    if rollout.metric is not None:
        return _decide_by_metric(rollout, seen.labelled)
    is_last = rollout.step + 1 == len(rollout.steps)
    return Move("promote" if is_last else "step", f"nothing speaks against it: {seen.told}")


def _decide_by_metric(rollout: Rollout, labelled: int | None) -> Move:
    """An A/B test takes no step on silence: one of the two is shown to be better, or it stays as it is."""
    if rollout.verdict == "better":
        return Move("promote", rollout.verdict_reason)
    if rollout.verdict == "worse":
        return Move("roll_back", rollout.verdict_reason)
    if labelled is None:
        return Move("wait", f"is about to be judged by the labels of {rollout.metric}")
    if labelled < FEWEST_LABELLED:
        told = f"{labelled} labelled rows in the arm that has fewer; {FEWEST_LABELLED} are the least to go by"
        return _pause(rollout, "no_data", told)
    if is_due(rollout, labelled):
        return Move("judge", f"{labelled:,} labelled rows in the arm that has fewer")
    told = f"{rollout.verdict_reason}; judged again at {_rows_due(rollout):,} labelled rows"
    return _pause(rollout, "inconclusive", told)


def is_due(rollout: Rollout, labelled: int) -> bool:
    """Whether *labelled* rows, of the arm that has fewer, are enough for the next look."""
    return labelled >= _rows_due(rollout)


def _rows_due(rollout: Rollout) -> int:
    return max(FEWEST_LABELLED, ceil(MORE_LABELS * rollout.judged_rows))


def _find_doubt(evidence: Evidence, unready: Sequence[str], answering: int) -> tuple[Pause, str] | None:
    if not answering:
        return "no_data", "no process of the service reports"
    if unready:
        return "not_loaded", "; ".join(unready)
    if evidence.challenger_requests < FEWEST_REQUESTS:
        told = f"the challenger answered {evidence.challenger_requests} requests at this step"
        return "no_data", f"{told}; {FEWEST_REQUESTS} are the least to go by"
    worst = max(evidence.log_errors, evidence.log_slow, evidence.log_worse)
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


def weigh_shadow(shadow: ShadowTotals, pairs: Pairs, max_error_rate: float) -> Evidence:
    """What speaks against a shadow: rows it failed on, requests it was slower for, rows it was wrong on.

    It answers nobody, so there are no shares: each row may fail with the probability *max_error_rate*, each
    request take it half as long again with one half, and of the labelled rows on which only one of the two
    was right half be the champion's: McNemar's test (Psychometrika 12, 1947), looked at as labels come.
    """
    return Evidence(
        log_errors=log_e_greater(shadow.failed, shadow.failed + shadow.compared, max_error_rate),
        log_slow=log_e_greater(shadow.slower, shadow.requests, 0.5),
        log_sample_ratio=0.0,
        challenger_requests=shadow.requests,
        log_worse=log_e_greater(pairs.lost, pairs.won + pairs.lost, 0.5),
    )


def tell_shadow(shadow: ShadowTotals, pairs: Pairs) -> str:
    """What a shadow's rows came to, in words."""
    compared = max(1, shadow.compared)
    labelled = (
        f"; of {pairs.rows} labelled rows it alone was right on {pairs.won}, stable alone on {pairs.lost}"
    )
    return (
        f"{shadow.compared} rows compared, {shadow.disagreeing / compared:.1%} answered otherwise, "
        f"scores shifted by {shadow.score_shift_sum / compared:+.4f}, "
        f"{shadow.failed} failed, {shadow.dropped} dropped, "
        f"{shadow.slower} of {shadow.requests} requests slower{labelled if pairs.rows else ''}"
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
