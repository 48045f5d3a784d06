"""Owns the task ``decide``: what a check found, what the policy does about it, and both in the journal."""

from __future__ import annotations

from typing import Literal

from evertrain.drift_records import (
    CheckedRows,
    DriftOutcome,
    PastCheck,
    PerformanceMeasured,
    RegretMeasured,
    RetrainAction,
)
from evertrain.journal import JSON
from evertrain.policy import Action, decide_action
from evertrain.progress import step
from evertrain.release.lifecycle import PipelineState
from evertrain.release.retraining import decide_checked
from tasks.check import Check
from tasks.drift import Found
from tasks.steps import step_task

MOST_ALERTS = 20
CAME_TO_A_DECISION = ("promoted", "held", "rollout")


@step_task("decide")
def decide_task(
    check: Check,
    found: Found,
    performance: PerformanceMeasured | str | None,
    regret: RegretMeasured | str | None,
    may_retrain: bool,
) -> DriftOutcome:
    """Write the check with its evidence to the journal.

    Returns:
        What was found; ``retrain: started`` means that the retrain is yet to be claimed.
    """
    with step("decide", check.seconds) as note:
        outcome = summarise(
            check,
            found,
            None if isinstance(performance, str) else performance,
            None if isinstance(regret, str) else regret,
            tell_unmeasured(performance=performance, regret=regret),
        )
        decide = decide_checked(
            outcome.decision,
            past_check(check, outcome),
            gather_evidence(outcome),
            lambda state: ask_policy(check, outcome, state, may_retrain=may_retrain),
        )
        entry, _ = check.pipeline.journal.append(decide)
        action: RetrainAction = entry.data["retrain"]  # type: ignore[assignment]
        # Another check may win it yet.
        note.text = f"{outcome.decision}, retrain: {'called for' if action == 'started' else action}"
    return outcome.model_copy(update={"retrain": action, "why": entry.reason})


def ask_policy(check: Check, outcome: DriftOutcome, state: PipelineState, *, may_retrain: bool) -> Action:
    """Ask the policy in *state* what the finding leads to."""
    last = state.retrain
    return decide_action(
        check.config.drift,
        past_check(check, outcome),
        state.checks,
        generation=state.generation,
        retrained_as_of=last.as_of if last and last.ended in CAME_TO_A_DECISION else None,
        may_retrain=may_retrain,
    )


def past_check(check: Check, outcome: DriftOutcome) -> PastCheck:
    """Reduce the finding to what the policy remembers."""
    return PastCheck(as_of=outcome.as_of.isoformat(), generation=check.generation, triggers=outcome.triggers)


def summarise(
    check: Check,
    found: Found,
    performance: PerformanceMeasured | None,
    regret: RegretMeasured | None,
    notes: tuple[str, ...],
) -> DriftOutcome:
    """Put together what was found, before anything is done about it."""
    drift = found.drift
    fired = {
        "data": drift is not None and drift.drifted,
        "performance": performance is not None and performance.fired,
        "regret": regret is not None and regret.fired,
    }
    triggers = tuple(name for name in fired if fired[name] and name in check.config.drift.retrain_on)
    decision: Literal["steady", "drifted", "too_little_data"] = "drifted" if triggers else "steady"
    return DriftOutcome(
        pipeline=check.config.name,
        decision="too_little_data" if drift is None else decision,
        triggers=triggers,
        why="",
        champion=check.champion.version,
        as_of=found.as_of,
        share=drift.share if drift else None,
        max_share=check.config.drift.max_share,
        columns=drift.columns if drift else (),
        predictions=found.predictions,
        quality=drift.quality if drift else (),
        performance=performance,
        regret=regret,
        notes=notes,
        rows=CheckedRows(reference=found.reference_rows, current=found.current_rows),
        report=report_place(check, found),
    )


def tell_unmeasured(**found: object) -> tuple[str, ...]:
    """Name what couldn't be measured, and why; one reason for two stands once."""
    reasons: dict[str, list[str]] = {}
    for name, each in found.items():
        if isinstance(each, str):
            reasons.setdefault(each, []).append(name)
    return tuple(f"{' and '.join(names)}: {reason}" for reason, names in reasons.items())


def gather_evidence(outcome: DriftOutcome) -> dict[str, JSON]:
    """Name what the decision rests on, for whoever audits it."""
    drifted = [column.name for column in outcome.columns if column.drifted]
    measured = {"performance": outcome.performance, "regret": outcome.regret}
    return {
        "champion": outcome.champion,
        "share": outcome.share,
        "max_share": outcome.max_share,
        "drifted": list(drifted),
        "predictions_drifted": outcome.predictions is not None and outcome.predictions.drifted,
        "quality": [found.words for found in outcome.quality if found.alert][:MOST_ALERTS],
        "rows": outcome.rows.model_dump(),
        "report": outcome.report,
        **{name: each.model_dump() if each else None for name, each in measured.items()},
    }


def report_place(check: Check, found: Found) -> str | None:
    """Say where a person finds the page of a check; None where too little was seen to draw one."""
    return found.page and f"{check.pipeline.store.where}/{found.page}"
