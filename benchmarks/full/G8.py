"""Owns the proof G8: a challenger that ruins one slice is held, a harmless one not, a small slice named."""

from __future__ import annotations

import numpy as np
from resumable import prove

from evertrain.evaluation.answers import Truth
from evertrain.evaluation.gains import accuracy_gain, same_rows
from evertrain.evaluation.scores import ClassAnswers
from evertrain.evaluation.slices import cut_slices, judge_slices
from evertrain.records import SliceGains

CLAIM = (
    "gate slices in accuracy, margin one point, ten slices of 20,000 rows: one that loses 5 points while the "
    "whole gains half a point is blocked in at least 99 %, an equal challenger in at most 5 %, and a slice "
    "under min_rows is never ok"
)
ROWS, SLICES, DIFFER = 20_000, 10, 0.10
HARM, GAIN_ELSEWHERE = -0.05, 0.01 / 0.9


def trial(seed: int) -> dict[str, int]:
    """Let a harmful and a harmless challenger meet the champion."""
    rng = np.random.default_rng([8, seed])
    place = rng.integers(0, SLICES, ROWS)
    place[:50] = SLICES  # too few to be shown
    harmful = look_into(rng, place, np.where(place == 0, HARM, GAIN_ELSEWHERE))
    harmless = look_into(rng, place, np.zeros(ROWS))
    small = [each for found in (harmful, harmless) for each in found.slices if each.value == str(SLICES)]
    return {
        "harmful_blocked": int(any(each.verdict == "fail" and each.value == "0" for each in harmful.slices)),
        "harmless_blocked": int(any(each.verdict == "fail" for each in harmless.slices)),
        "small_not_shown": int([each.verdict for each in small] == ["not_shown"] * 2),
    }


def look_into(rng: np.random.Generator, place: np.ndarray, gain: np.ndarray) -> SliceGains:
    """Let a challenger whose true gain in accuracy is *gain*, row by row, be judged by slices."""
    draw = rng.random(ROWS)
    won = draw < (DIFFER + gain) / 2
    lost = ~won & (draw < DIFFER)
    alike = rng.random(ROWS) < 0.8
    truth = Truth((np.arange(ROWS) % 2).astype(np.int64), (0, 1))
    ours, theirs = (
        ClassAnswers(truth.codes, np.where(right, truth.codes, 1 - truth.codes), None)
        for right in (won | (alike & ~lost), lost | (alike & ~won))
    )
    return judge_slices(
        cut_slices({"place": place}, ["place"]),
        truth,
        lambda rows: accuracy_gain(same_rows(ours, rows), same_rows(theirs, rows)),
        metric="accuracy",
        max_regression=0.01,
        min_rows=200,
    )


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    failed = (shares["harmful_blocked"] < 0.99) + (shares["harmless_blocked"] > 0.05)
    return failed + (shares["small_not_shown"] < 1), shares


if __name__ == "__main__":
    prove("G8", CLAIM, trial, judge, n=2_000)
