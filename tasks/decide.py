"""Owns the task ``decide``: what a check found, what the policy does about it, and both in the journal."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from evertrain.drift_records import (
    CAME_TO_A_DECISION,
    CheckedRows,
    DriftOutcome,
    PastCheck,
    PerformanceMeasured,
    RegretMeasured,
    RetrainAction,
)
from evertrain.journal import JSON
from evertrain.policy import AGE, Action, decide_action, is_too_old
from evertrain.progress import step
from evertrain.release.lifecycle import PipelineState
from evertrain.release.retraining import decide_checked
from tasks.check import Check
from tasks.drift import Found
from tasks.steps import step_task

MOST_ALERTS = 20


@step_task("decide")
def decide_task(
    check: Check,
    found: Found,
    performance: PerformanceMeasured | str | None,
    regret: RegretMeasured | str | None,
    may_retrain: bool,
    new_labels: int | None = None,
) -> DriftOutcome:
    """Write the check with its evidence to the journal.

    Args:
        check: The check.
        found: What the columns showed.
        performance: What the newest labels showed, or why nothing; None: not asked.
        regret: The same of a probe.
        may_retrain: Whether a retrain may be started.
        new_labels: How many labelled rows are newer than what was learnt from; None: not asked.

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
        ).model_copy(update={"new_labels": new_labels})
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
        looked = outcome.regret and outcome.regret.model_copy(update={"counted": entry.data["counted"]})
    return outcome.model_copy(update={"retrain": action, "why": entry.reason, "regret": looked})


def ask_policy(check: Check, outcome: DriftOutcome, state: PipelineState, *, may_retrain: bool) -> Action:
    """Ask the policy in *state* what the finding leads to."""
    if outcome.decision == "too_little_data":
        return Action("none", f"did nothing, because {tell_too_little(check, outcome.rows)}")
    last = state.retrain
    return decide_action(
        check.config.drift,
        past_check(check, outcome),
        state.checks,
        generation=state.generation,
        retrained_as_of=last.as_of if last and last.ended in CAME_TO_A_DECISION else None,
        may_retrain=may_retrain,
        past=state.retrains,
    )


def tell_too_little(check: Check, rows: CheckedRows) -> str:
    """Say what there is too little of to say anything."""
    least = check.config.drift.current.min_rows
    if rows.current < least:
        return f"{rows.current:,} rows are current, drift.current.min_rows is {least:,}"
    return "there are no rows to hold them against"


def past_check(check: Check, outcome: DriftOutcome) -> PastCheck:
    """Reduce the finding to what the policy remembers."""
    performance, regret = outcome.performance, outcome.regret
    sizes = {
        "data": outcome.share,
        "performance": performance.drop if performance else None,
        "regret": regret.gain if regret else None,
    }
    wanted = check.config.drift.retrain_on
    return PastCheck(
        as_of=outcome.as_of.isoformat(),
        generation=check.generation,
        triggers=outcome.triggers,
        sizes={name: size for name, size in sizes.items() if size is not None and name in wanted},
        new_labels=outcome.new_labels,
        counted=bool(regret and regret.counted),
    )


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
    fired_causes = [name for name in fired if fired[name] and name in check.config.drift.retrain_on]
    aged = [AGE] if drift is not None and is_old(check, found.as_of) else []
    triggers = (*fired_causes, *aged)
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


def is_old(check: Check, as_of: datetime) -> bool:
    """Whether the champion is older than the policy lets it become."""
    config = check.config.drift
    return config.max_age is not None and is_too_old(config, as_of, check.known_until())


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
        "new_labels": outcome.new_labels,
        "report": outcome.report,
        **{name: each.model_dump(exclude={"counted"}) if each else None for name, each in measured.items()},
    }


def report_place(check: Check, found: Found) -> str | None:
    """Say where a person finds the page of a check; None where too little was seen to draw one."""
    return found.page and f"{check.pipeline.store.where}/{found.page}"
