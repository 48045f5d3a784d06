"""Owns the proof D6: rows that move and are answered as well as ever retrain nothing; changed answers do."""

from __future__ import annotations

from typing import Any

import numpy as np
from resumable import prove
from watchers import Watch

from evertrain.drift import measure_drift, plan_drift
from evertrain.evaluation.gains import exact_interval
from evertrain.records import Feature

CLAIM = (
    "300 streams each, retrain_on [regret, performance]: where rows move and the model is no worse, columns "
    "drift and nothing is retrained; where answers change and no row moves, at least 95 % are retrained"
)
FEATURES = tuple(Feature(name=f"x{place}", kind="numeric", type="float") for place in range(4))
MAX_SHARE, MAX_DROP, MIN_GAIN = 0.3, 0.05, 0.01
POLICY = {
    "current": {"window": "7d"},
    "max_share": MAX_SHARE,
    "performance": {"metric": "accuracy", "max_drop": MAX_DROP},
    "regret": {"metric": "accuracy", "min_gain": MIN_GAIN, "confidence": 0.95},
    "retrain_on": ["regret", "performance"],
    "confirm": {"checks": 2, "of": 3},
}
DAY = 288
"""A row each five minutes."""
WINDOW, TRAIN = 7 * DAY, 14 * DAY
DRIFT_AT, END = 5 * WINDOW, 11 * WINDOW
WEIGHTS = np.array([1.5, -1.0, 0.0, 0.0])
CHANGED = np.array([-0.5, -1.0, 1.5, 0.0])


class Rows:
    """Rows in memory, as a drift check reads them."""

    names = tuple(feature.name for feature in FEATURES)

    def __init__(self, inputs: np.ndarray) -> None:
        self._inputs = inputs
        self.rows = len(inputs)

    def column(self, name: str) -> np.ndarray:
        """One column's values."""
        values: np.ndarray = self._inputs[:, self.names.index(name)]
        return values

    def count_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values and in how many rows each stands."""
        return np.unique(self.column(name), return_counts=True)

    def code_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values, and which of them each row has."""
        return np.unique(self.column(name), return_inverse=True)


def trial(number: int) -> dict[str, int]:
    """Live through one stream of each kind."""
    counts = {}
    for kind in ("rows_moved", "answers_changed"):
        rng = np.random.default_rng([6, number, kind == "rows_moved"])
        inputs = rng.normal(size=(END, 4))
        weights = np.tile(WEIGHTS, (END, 1))
        if kind == "rows_moved":
            # Across what the answer depends on: rows move by up to two of their spreads, and spread out.
            inputs[DRIFT_AT:, 2:] = inputs[DRIFT_AT:, 2:] * rng.uniform(1, 2) + rng.uniform(0.5, 2, 2)
        else:
            weights[DRIFT_AT:] = CHANGED
        odds = np.einsum("nk,nk->n", inputs, weights)
        target = (rng.random(END) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        retrained, looks = live(inputs, target)
        counts |= {
            f"{kind}_retrained": int(any(step > DRIFT_AT for step in retrained)),
            f"{kind}_retrained_before": int(any(step <= DRIFT_AT for step in retrained)),
            f"{kind}_columns_drifted": int(alerts(inputs)),
            f"{kind}_looks": looks,
        }
    return counts


def alerts(inputs: np.ndarray) -> bool:
    """Whether the newest rows' columns drifted, beside those that the first champion learnt from."""
    reference, current = Rows(inputs[WINDOW : WINDOW + TRAIN]), Rows(inputs[END - WINDOW :])
    found: Any = measure_drift(plan_drift(FEATURES), reference, current, max_share=MAX_SHARE)  # type: ignore[arg-type]
    return bool(found.drifted)


def live(inputs: np.ndarray, target: np.ndarray) -> tuple[list[int], int]:
    """Check each day, retrain where the policy says so; give the rows at which it did, and the looks."""
    from sklearn.linear_model import LogisticRegression

    def learn(end: int) -> LogisticRegression:
        return LogisticRegression().fit(inputs[end - TRAIN : end], target[end - TRAIN : end])

    def right(model: LogisticRegression, end: int) -> np.ndarray:
        answers: np.ndarray = model.predict(inputs[end - WINDOW : end]) == target[end - WINDOW : end]
        return answers

    watch, retrained, looks = Watch(POLICY, step_seconds=300), [], 0
    champion = learn(TRAIN)
    held_out = float(right(champion, TRAIN + WINDOW).mean())
    for step in range(TRAIN + WINDOW + DAY, END + 1, DAY):
        theirs = right(champion, step)
        sizes = {"performance": held_out - float(theirs.mean())}
        fired = ["performance"] if sizes["performance"] > MAX_DROP else []
        # A look that doesn't count starts nothing, so its probe needn't be fitted here.
        if watch.counts(step):
            looks += 1
            probe = right(learn(step - WINDOW), step)
            won, lost = int((probe & ~theirs).sum()), int((theirs & ~probe).sum())
            sizes["regret"] = (won - lost) / WINDOW
            fired += ["regret"] if exact_interval(won, lost, WINDOW, watch.level)[0] > MIN_GAIN else []
        if watch.check(step, tuple(fired), sizes).name == "started":
            retrained.append(step)
            champion = learn(step - WINDOW)
            held_out = float(right(champion, step).mean())
    return retrained, looks


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim."""
    figures = {what: count / n for what, count in totals.items()}
    failed = (figures["rows_moved_retrained"] > 0) + (figures["rows_moved_columns_drifted"] < 1)
    return failed + (figures["answers_changed_retrained"] < 0.95), figures


if __name__ == "__main__":
    prove("D6", CLAIM, trial, judge, n=300)
