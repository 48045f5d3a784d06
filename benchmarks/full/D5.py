"""Owns the proof D5: a rise of a model's error starts a retrain soon, noise starts almost none."""

from __future__ import annotations

import numpy as np
from resumable import prove
from streams import DRIFT_AT, LENGTH, WARM, Stream, make_stream
from watchers import RIVER, Watch, alarms_of_river, ask_river, has_river

from evertrain.evaluation.gains import exact_interval

CLAIM = (
    "an abrupt rise of the error by 1 sigma starts a retrain in at least 95 % of streams, at the median "
    "within 110 steps and in 95 % within 250; one of 0.5 sigma in 85 % within 1,000; a gradual one (500 "
    "steps) within 500 at the median; at most 1 false retrain in 1,000 checks; on SEA, Hyperplane and "
    "AGRAWAL F1 is at least 0.88 (1,000 steps at most). river's detectors beside it, as they come"
)
SHIFTS = {"abrupt_1_sigma": (1.0, 0), "abrupt_half_sigma": (0.5, 0), "gradual_1_sigma": (1.0, 500)}
BEFORE, AFTER, STATIONARY = 1_000, 1_000, 3_000
SOON = {"abrupt_1_sigma": (110, 250), "abrupt_half_sigma": (1_000,), "gradual_1_sigma": (500,)}
ERRORS_WINDOW, ERRORS_EVERY, MAX_RISE = 100, 10, 0.45
ERRORS_POLICY = {
    "current": {"window": f"{ERRORS_WINDOW}h"},
    "performance": {"metric": "mean_absolute_error", "max_drop": MAX_RISE},
    "retrain_on": ["performance"],
    "confirm": {"checks": 2, "of": 2},
    "cooldown": f"{ERRORS_WINDOW}h",
}
WINDOW, TRAIN, HOLDOUT, MIN_GAIN = 200, 300, 100, 0.01
STREAM_POLICY = {
    "current": {"window": f"{WINDOW}h"},
    "regret": {"metric": "accuracy", "min_gain": MIN_GAIN},
    "retrain_on": ["regret"],
    "cooldown": f"{WINDOW}h",
}
MAX_DELAY = 1_000


def trial(number: int) -> dict[str, int]:
    """Watch one series of each kind of rise, one without any, and one stream of a generator."""
    rng = np.random.default_rng([5, number])
    counts: dict[str, int] = {}
    for kind, (size, ramp) in SHIFTS.items():
        errors = rng.normal(size=BEFORE + AFTER)
        errors[BEFORE:] += size * (np.clip(np.arange(AFTER) / ramp, 0, 1) if ramp else 1)
        alarms, _ = watch_errors(errors)
        tell_first(counts, f"evertrain_{kind}", alarms, SOON[kind])
        for detector in RIVER[:2] if has_river() else ():
            found = ask_river(detector, errors)
            tell_first(counts, f"{detector}_{kind}", [] if found is None else [found], SOON[kind])
    quiet = rng.normal(size=STATIONARY)
    alarms, checks = watch_errors(quiet)
    counts |= {"stationary_checks": checks, "evertrain_stationary_retrains": len(alarms)}
    if has_river():
        for detector in RIVER[:2]:
            found = alarms_of_river(detector, lambda start: quiet[start:], 0, STATIONARY)
            counts[f"{detector}_stationary_retrains"] = len(found)
    return counts | judge_stream(make_stream(number, rng))


def watch_errors(errors: np.ndarray) -> tuple[list[int], int]:
    """Let the policy watch *errors*, shape [n], whose held-out mean is 0; retraining changes nothing.

    Returns:
        The steps at which it started a retrain, and how many checks there were.
    """
    watch, sums = Watch(ERRORS_POLICY), np.concatenate([[0.0], np.cumsum(errors)])
    started, steps = [], range(ERRORS_WINDOW, len(errors) + 1, ERRORS_EVERY)
    for step in steps:
        rise = float(sums[step] - sums[step - ERRORS_WINDOW]) / ERRORS_WINDOW
        fired = ("performance",) if rise > MAX_RISE else ()
        if watch.check(step, fired, {"performance": rise}).name == "started":
            started.append(step)
    return started, len(steps)


def tell_first(counts: dict[str, int], what: str, alarms: list[int], soon: tuple[int, ...]) -> None:
    """Count whether the first alarm after the rise came, and how soon; and whether one came before it."""
    counts[f"{what}_before"] = int(any(step < BEFORE for step in alarms))
    after = [step - BEFORE for step in alarms if step >= BEFORE]
    for limit in soon:
        counts[f"{what}_within_{limit}"] = int(bool(after) and after[0] <= limit)
    counts[f"{what}_found"] = int(bool(after))


def judge_stream(stream: Stream) -> dict[str, int]:
    """Watch a generator's stream; count true alarms, false ones and drifts that nobody saw."""
    alarms = {"evertrain": watch_stream(stream)}
    if has_river():

        def errors(start: int) -> np.ndarray:
            model = stream.learn(start - TRAIN, start)
            return stream.wrong(model, start, LENGTH).astype(float)

        alarms |= {name: alarms_of_river(name, errors, WARM, LENGTH) for name in RIVER}
    counts = {}
    for who, steps in alarms.items():
        in_time = sum(DRIFT_AT <= step < DRIFT_AT + MAX_DELAY for step in steps)
        for kind in ("all", stream.name):
            counts[f"{who}_{kind}_true"] = int(in_time > 0)
            counts[f"{who}_{kind}_again"] = max(0, in_time - 1)
            counts[f"{who}_{kind}_false"] = len(steps) - in_time
            counts[f"{who}_{kind}_missed"] = int(in_time == 0)
    return counts


def watch_stream(stream: Stream) -> list[int]:
    """Let the policy watch a model beside probes, at each look that can count; give its retrains' steps."""
    watch, started = Watch(STREAM_POLICY), []
    champion = stream.learn(WARM - HOLDOUT - TRAIN, WARM - HOLDOUT)
    for step in range(WARM, LENGTH + 1, WINDOW // 2):
        since = step - WINDOW
        theirs = stream.right(champion, since, step)
        ours = stream.right(stream.learn(since - TRAIN, since), since, step)
        won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        low, _ = exact_interval(won, lost, WINDOW, watch.level)
        fired = ("regret",) if low > MIN_GAIN else ()
        if watch.check(step, fired, {"regret": (won - lost) / WINDOW}).name == "started":
            started.append(step)
            champion = stream.learn(step - HOLDOUT - TRAIN, step - HOLDOUT)
    return started


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim; river's figures are told and judged by nobody."""
    figures = {}
    for what, count in totals.items():
        if what.endswith("_found") or "_within_" in what or what.endswith("_before"):
            figures[what] = count / n
    for who in ("evertrain", *RIVER):
        for kind in ("all", "sea", "hyperplane", "agrawal"):
            true = totals.get(f"{who}_{kind}_true")
            if true is not None:
                errors = totals[f"{who}_{kind}_false"] + totals[f"{who}_{kind}_missed"]
                figures[f"{who}_f1_{kind}"] = 2 * true / (2 * true + errors)
                figures[f"{who}_alarms_a_drift_{kind}"] = 1 + totals[f"{who}_{kind}_again"] / max(true, 1)
        if f"{who}_stationary_retrains" in totals:
            per = totals[f"{who}_stationary_retrains"] / totals["stationary_checks"]
            figures[f"{who}_false_in_1000_checks"] = 1_000 * per
    least = {
        "evertrain_abrupt_1_sigma_found": 0.95,
        "evertrain_abrupt_1_sigma_within_110": 0.5,
        "evertrain_abrupt_1_sigma_within_250": 0.95,
        "evertrain_abrupt_half_sigma_within_1000": 0.85,
        "evertrain_gradual_1_sigma_within_500": 0.5,
        "evertrain_f1_all": 0.88,
    }
    failed = sum(figures[what] < wanted for what, wanted in least.items())
    return failed + (figures["evertrain_false_in_1000_checks"] > 1), figures


if __name__ == "__main__":
    prove("D5", CLAIM, trial, judge, n=400)
