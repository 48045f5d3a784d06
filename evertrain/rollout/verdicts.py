"""Owns the verdict on an A/B test: one arm's metric beside the other's, looked at more than once."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import numpy as np

from evertrain.evaluation.bootstrap import count_resamples, evaluate_once
from evertrain.evaluation.gains import spread_gain
from evertrain.evaluation.scores import Answers, ClassAnswers, FloatArray, Formula, IntArray, metric_formula
from evertrain.frozen import Record
from evertrain.guardrails import SAMPLE_RATIO_ALPHA
from evertrain.metrics import METRICS
from evertrain.release.state import Verdict
from evertrain.sequential import log_e_different

ALPHA = 0.05
"""The chance that equal arms are ever told apart, over all looks."""
FEWEST_CALLERS = 30
"""So many callers each arm has before the spread between them is taken for known."""
CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class ArmOutcomes:
    """What one arm answered and what happened, over its labelled rows.

    Attributes:
        answers: Beside the truth, n rows.
        callers: Whose row each is, as a number from 0, shape [n]: the rows of one caller resemble each other.
        logged: The arm's requests in the log, labelled or not.
    """

    answers: Answers
    callers: IntArray
    logged: int

    @property
    def rows(self) -> int:
        """How many are labelled."""
        return len(self.callers)


class Arms(NamedTuple):
    """The champion's arm and the challenger's."""

    stable: ArmOutcomes
    challenger: ArmOutcomes


class ArmsJudged(Record):
    """What one look showed. ``gain`` is challenger minus stable, in the metric's good direction.

    ``low`` and ``high`` hold the interval at this look's own ``confidence``; they and ``gain`` are None where
    the labels can't tell yet.
    """

    metric: str
    verdict: Verdict
    stable: float | None = None
    challenger: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float
    rows: tuple[int, int]
    reason: str


def confidence_of_look(look: int) -> float:
    """The two-sided confidence of look number *look*, from 1.

    Look k spends ALPHA / (k (k + 1)) of the error; over all looks, however many there are, that is ALPHA.
    """
    return 1 - ALPHA / (look * (look + 1))


def judge_arms(arms: Arms, metric: str, *, share: float, look: int, seed: int) -> ArmsJudged:
    """Hold both arms' metric against each other.

    The arms answered different rows, so each is resampled by itself, and by callers, not by rows: a sticky
    caller's rows all fell into one arm, and are no independent evidence (Field & Welsh, JRSS B 69, 2007).

    Args:
        arms: Both.
        metric: One that fits the answers.
        share: Of requests that the challenger was meant to answer, in (0, 1).
        look: Which look this is, from 1.
        seed: Seeds the resampling.
    """
    confidence = confidence_of_look(look)
    rows = (arms.stable.rows, arms.challenger.rows)
    doubt = _find_doubt(arms, share)
    if doubt is not None:
        return ArmsJudged(metric=metric, verdict="open", confidence=confidence, rows=rows, reason=doubt)
    formulas = [metric_formula(metric, arm.answers) for arm in arms]
    values = [evaluate_once(formula, arm.rows) for formula, arm in zip(formulas, arms, strict=True)]
    sign = METRICS[metric].sign
    resamples = min(count_resamples(each) for each in rows)
    draws = [
        _draw(formula, arm.callers, resamples, seed + place)
        for place, (formula, arm) in enumerate(zip(formulas, arms, strict=True))
    ]
    spread = sign * (draws[1] - draws[0])
    paired = spread_gain(sign * (values[1] - values[0]), spread[np.isfinite(spread)])
    low, high = paired.interval(confidence)
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "open"
    return ArmsJudged(
        metric=metric,
        verdict=verdict,
        stable=values[0],
        challenger=values[1],
        gain=paired.gain,
        low=low,
        high=high,
        confidence=confidence,
        rows=rows,
        reason=(
            f"{metric} {values[1]:.4f} beside {values[0]:.4f}: gain {paired.gain:+.4f} "
            f"({low:+.4f} to {high:+.4f} at {confidence:.2%}) on {rows[1]:,} and {rows[0]:,} labelled rows"
        ),
    )


def _find_doubt(arms: Arms, share: float) -> str | None:
    stable, challenger = arms.stable.logged, arms.challenger.logged
    if log_e_different(challenger, stable + challenger, share) >= log(1 / SAMPLE_RATIO_ALPHA):
        return (
            f"the log holds {challenger:,} requests of the challenger and {stable:,} of stable, where "
            f"{share:.0%} were meant: what is missing may be what would decide. Find out why first"
        )
    for name, arm in zip(("stable", "the challenger"), arms, strict=True):
        callers = len(np.unique(arm.callers))
        if callers < FEWEST_CALLERS:
            return f"{callers} callers of {name} have labels; {FEWEST_CALLERS} are the least to go by"
        if isinstance(arm.answers, ClassAnswers) and len(np.unique(arm.answers.truth)) < 2:
            return f"all labelled rows of {name} are of one class"
    return None


def _draw(formula: Formula, callers: IntArray, resamples: int, seed: int) -> FloatArray:
    """The metric of *resamples* draws of callers with replacement, shape [resamples]."""
    _, callers = np.unique(callers, return_inverse=True)
    count = int(callers.max()) + 1
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK_CELLS // max(len(callers), count))
    parts = []
    for first in range(0, resamples, step):
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=min(step, resamples - first))
        with np.errstate(invalid="ignore", divide="ignore"):  # A draw may hold one class alone: not finite.
            parts.append(formula(drawn[:, callers].astype(np.float64)))
    return np.concatenate(parts)
