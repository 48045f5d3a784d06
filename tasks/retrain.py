"""Owns the retrain that a check starts: one claim, one start in the journal, one end."""

from __future__ import annotations

from collections.abc import Callable

from evertrain.claims import claim
from evertrain.drift_records import DriftOutcome, Failure
from evertrain.errors import Conflict, EvertrainError
from evertrain.records import TrainOutcome
from evertrain.release.retraining import decide_retrain_ended, decide_retrain_started
from tasks.check import Check
from tasks.decide import ask_policy, past_check

RETRAIN = "retrain"


def retrain_once(check: Check, outcome: DriftOutcome, train: Callable[[str], TrainOutcome]) -> DriftOutcome:
    """Claim the retrain that *outcome* calls for, and run it; of many checks at once, one does.

    Args:
        check: The check.
        outcome: What it found, with ``retrain: started``.
        train: Trains as of the ISO time that it is given, for the trigger ``drift``.

    Returns:
        *outcome* with what became of the retrain: ``started`` stands only where this check won the claim.
    """
    journal = check.pipeline.journal
    try:
        with claim(journal, check.pipeline.store, RETRAIN) as held:
            start = decide_retrain_started(
                past_check(check, outcome),
                lambda state: ask_policy(check, outcome, state, may_retrain=True),
                fence=held.number,
            )
            journal.append(start)
            return run_claimed(check, outcome, train, held.number)
    except Conflict as busy:
        action = busy.attributes.get("action", "already_running")
        return outcome.model_copy(update={"retrain": action, "why": busy.message})


def run_claimed(
    check: Check, outcome: DriftOutcome, train: Callable[[str], TrainOutcome], fence: int
) -> DriftOutcome:
    """Train under the claim *fence*, and write what it came to.

    A process that is killed here writes nothing: the next check takes its claim over and tries again.
    """
    journal = check.pipeline.journal
    try:
        trained = train(outcome.as_of.isoformat())
    except Conflict as busy:
        journal.append(decide_retrain_ended("already_running", busy.message, fence=fence))
        raise
    except EvertrainError as failed:
        journal.append(decide_retrain_ended("failed", failed.message, fence=fence))
        failure = Failure(type=type(failed).__name__, message=failed.message, exit=failed.exit_code)
        return outcome.model_copy(update={"retrain": "failed", "failure": failure})
    journal.append(decide_retrain_ended(trained.decision, "; ".join(trained.reasons), fence=fence))
    return outcome.model_copy(update={"train": trained})
