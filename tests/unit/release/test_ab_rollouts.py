"""An A/B test in the journal: its looks are counted, and a clear verdict binds."""

from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.errors import Conflict
from evertrain.release import ReleaseJournal, decide_promoted, open_journal
from evertrain.release.rollouts import decide_rollout_judged, find_rollout
from evertrain.storage import LocalStore
from tests.unit.release.test_rollouts import CANARY, registered, started

AB = {"type": "ab", "steps": [50], "bake_seconds": 600, "metric": "roc_auc"}


@pytest.fixture
def champion(tmp_path: Path) -> ReleaseJournal:
    """A pipeline with the champion 1, and with 2 registered."""
    made = open_journal(LocalStore(tmp_path), "flights", "me")
    for decide in (registered(1), decide_promoted(version=1), registered(2)):
        made.append(decide)
    return made


def test_the_looks_of_an_ab_test_are_counted_and_the_last_one_binds(champion: ReleaseJournal) -> None:
    """An open verdict may be followed by another look, a clear one by none; both stand in the state."""
    _, state = champion.append(started(2, AB))
    rollout = find_rollout(state, "flights")
    _, state = champion.append(decide_rollout_judged(rollout, "open", 300, {}, reason="gain +0.001"))
    again = find_rollout(state, "flights")
    assert state.aliases == {"champion": 1, "challenger": 2, "previous": None}
    assert (again.looks, again.judged_rows, again.verdict) == (1, 300, "open")
    with pytest.raises(Conflict, match="look 1 doesn't follow look 1"):
        champion.append(decide_rollout_judged(rollout, "open", 300, {}, reason="twice"))
    _, state = champion.append(decide_rollout_judged(again, "better", 400, {}, reason="gain +0.020"))
    clear = find_rollout(state, "flights")
    assert (clear.verdict, clear.verdict_reason) == ("better", "gain +0.020")
    with pytest.raises(Conflict, match="judged already"):
        champion.append(decide_rollout_judged(clear, "worse", 500, {}, reason="changed my mind"))


def test_only_a_metric_judges(champion: ReleaseJournal) -> None:
    """A canary has no labels to be judged by."""
    _, state = champion.append(started(2, CANARY))
    with pytest.raises(Conflict, match="no metric decides"):
        champion.append(decide_rollout_judged(find_rollout(state, "flights"), "better", 9, {}, reason="?"))
