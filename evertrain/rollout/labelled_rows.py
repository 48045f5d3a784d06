"""Owns what late labels say of a rollout: both arms' outcomes, or a shadow's beside the champion's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from evertrain.config import LabelsConfig
from evertrain.datasets.prediction_log import LoggedRows, open_log
from evertrain.evaluation.answers import Truth, ask
from evertrain.evaluation.scores import Answers, ClassAnswers, IntArray, ValueAnswers
from evertrain.metrics import METRICS
from evertrain.realised.outcomes import take_outcomes
from evertrain.release.state import Rollout, VersionState
from evertrain.rollout.label_watch import Labelled
from evertrain.rollout.moves import NO_PAIRS, Pairs, is_due
from evertrain.rollout.verdicts import ArmOutcomes, Arms, judge_arms
from evertrain.storage import Store

if TYPE_CHECKING:
    from evertrain.bundles import Bundle
    from evertrain.realised.outcomes import Outcomes

ARMS = ("a", "b")
STABLE = "stable"
REGRESSION = "regression"


class LabelReader:
    """Reads what the labels say of one pipeline's rollouts.

    Args:
        store: Holds the service's log and the labels that callers sent.
        pipeline: Whose.
        labels: The YAML's; None: those that callers sent alone.
        find_version: Gives a version as the journal has it.
    """

    def __init__(
        self,
        store: Store,
        pipeline: str,
        labels: LabelsConfig | None,
        find_version: Callable[[int], VersionState],
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._labels = labels
        self._find_version = find_version
        self._challenger: Bundle | None = None

    def __call__(self, rollout: Rollout) -> Labelled:
        """Read what had arrived by now for what was answered since *rollout* began.

        Raises:
            StorageError: The store can't be read, or a part of the log can't be understood.
            SourceError: The YAML's labels can't be had.
            BundleRefused: A shadow's bundle isn't what its digest says.
        """
        look = rollout.looks + 1
        if rollout.metric is None:
            pairs = self._read_pairs(rollout)
            return Labelled(rollout.number, look, pairs.rows, pairs=pairs)
        arms = self._read_arms(rollout, rollout.metric)
        rows = min(arms.stable.rows, arms.challenger.rows)
        if not is_due(rollout, rows):
            return Labelled(rollout.number, look, rows)
        share, seed = rollout.percent / 100, rollout.number
        judged = judge_arms(arms, rollout.metric, share=share, look=look, seed=seed)
        return Labelled(rollout.number, look, rows, judged=judged)

    def _read_arms(self, rollout: Rollout, metric: str) -> Arms:
        since, now = datetime.fromisoformat(rollout.step_since), datetime.now(UTC)
        is_regression = REGRESSION in METRICS[metric].tasks
        log = open_log(self._store, self._pipeline, self._labels, since=since, until=now, as_of=now)
        with log as logged:
            outcomes = take_outcomes(logged, is_regression=is_regression)
            counted = _count_requests(logged)
        arms = (_take_arm(outcomes, arm, counted.get(arm, 0)) for arm in ARMS)
        return Arms(*arms)

    def _read_pairs(self, rollout: Rollout) -> Pairs:
        """Ask the challenger what the champion was asked, where it is known what was right."""
        challenger = self._load(rollout)
        signature = challenger.signature
        since, now = datetime.fromisoformat(rollout.step_since), datetime.now(UTC)
        names = [feature.name for feature in signature.features]
        log = open_log(
            self._store, self._pipeline, self._labels, since=since, until=now, as_of=now, features=names
        )
        with log as logged:
            outcomes = take_outcomes(logged, is_regression=signature.task == REGRESSION)
        places = np.flatnonzero(outcomes.arm == STABLE)
        if not len(places) or set(names) - outcomes.features.keys():
            return NO_PAIRS
        known = Truth(outcomes.truth.target[places], outcomes.truth.names or None, signature.classes or ())
        columns = {name: outcomes.features[name][places] for name in names}
        return count_pairs(outcomes.answers_to(places), ask(challenger, columns, known))

    def _load(self, rollout: Rollout) -> Bundle:
        from evertrain.bundles import load_bundle

        digest = self._find_version(rollout.version).bundle
        if self._challenger is None or self._challenger.digest != digest:
            self._challenger = load_bundle(self._store, digest)
        return self._challenger


def count_pairs(stable: Answers, challenger: Answers) -> Pairs:
    """Count the rows on which one of two is right and the other wrong; of numbers, which is the nearer."""
    if isinstance(stable, ClassAnswers) and isinstance(challenger, ClassAnswers):
        right, rival = challenger.codes == challenger.truth, stable.codes == stable.truth
        won, lost = right & ~rival, rival & ~right
    else:
        assert isinstance(stable, ValueAnswers)
        assert isinstance(challenger, ValueAnswers)
        off, rival_off = (np.abs(each.values - each.truth) for each in (challenger, stable))
        won, lost = off < rival_off, off > rival_off
    return Pairs(len(won), int(won.sum()), int(lost.sum()))


def _take_arm(outcomes: Outcomes, arm: str, logged: int) -> ArmOutcomes:
    places: IntArray = np.flatnonzero(outcomes.arm == arm).astype(np.int64)
    named = outcomes.entity[places]
    # Who isn't named is one caller a request: that is what the arms were drawn by.
    keys = np.where([name is None for name in named], outcomes.request_id[places], named)
    callers = np.unique(keys.astype(str), return_inverse=True)[1] if len(places) else places
    return ArmOutcomes(outcomes.answers_to(places), callers.astype(np.int64), logged)


def _count_requests(logged: LoggedRows) -> dict[str, int]:
    counts = logged.table.fetch("arm", "count(DISTINCT request_id)", rest="GROUP BY arm")
    return {str(arm): int(count) for arm, count in counts}
