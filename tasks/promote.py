"""Owns the task ``promote``: the decision, written to the journal; the strategy says how."""

from __future__ import annotations

from evertrain.progress import step
from evertrain.records import (
    BundleRef,
    BundleSummary,
    ChampionSummary,
    Judgement,
    MetricEstimate,
    ModelVersion,
    SnapshotSummary,
    TrainOutcome,
)
from evertrain.release import decide_held, decide_promoted, decide_registered
from evertrain.release.lifecycle import PipelineState
from evertrain.runs import code_digest
from tasks.run import Run
from tasks.steps import step_task


@step_task("promote")
def promote_task(run: Run, version: ModelVersion, judgement: Judgement, bundle: BundleRef) -> TrainOutcome:
    """Promote the version, or hold it.

    Raises:
        Conflict: The champion changed since the candidate was judged.
    """
    with step("promote", run.seconds) as note:
        state = journal_version(run, version, judgement)
        state = journal_decision(run, version, judgement, state)
        outcome = summarise(run, version, judgement, bundle, state)
        note.text = f"version {version.version} {outcome.decision}"
    return outcome


def journal_version(run: Run, version: ModelVersion, judgement: Judgement) -> PipelineState:
    """Write that the version exists and which look it took, unless an earlier try of this run has."""
    _, state = run.pipeline.journal.read()
    if version.version in state.versions:
        return state
    decide = decide_registered(
        version=version.version,
        run_key=run.key,
        run_id=version.run_id,
        bundle=version.bundle,
        snapshot=run.ingested.snapshot.digest,
        config=run.config.digest(),
        code=code_digest(),
        look=judgement.evaluation.look,
        holdout=judgement.holdout,
        fence=run.fence,
    )
    return run.pipeline.journal.append(decide)[1]


def journal_decision(
    run: Run, version: ModelVersion, judgement: Judgement, state: PipelineState
) -> PipelineState:
    """Write the decision, unless an earlier try of this run has."""
    known = state.versions[version.version]
    if known.status not in ("registered", "held"):
        return state
    reasons = judgement.held_because
    if reasons and known.status == "held" and known.judged_generation == judgement.generation:
        return state
    if reasons:
        held = decide_held(
            version=version.version,
            run_key=run.key,
            reasons=reasons,
            judged_generation=judgement.generation,
            fence=run.fence,
        )
        return run.pipeline.journal.append(held)[1]
    promoted = decide_promoted(
        version=version.version,
        judged_generation=judgement.generation,
        fence=run.fence,
        reason=f"all gates passed ({run.trigger})",
    )
    return run.pipeline.journal.append(promoted)[1]


def summarise(
    run: Run, version: ModelVersion, judgement: Judgement, bundle: BundleRef, state: PipelineState
) -> TrainOutcome:
    """Put together what ``train`` answers."""
    evaluation = judgement.evaluation
    champion = evaluation.champion
    snapshot = run.ingested.snapshot
    return TrainOutcome(
        pipeline=run.config.name,
        decision="held" if judgement.held_because else "promoted",
        reasons=judgement.held_because,
        version=version.version,
        run_id=version.run_id,
        run_key=run.key,
        metrics=values(evaluation.metrics),
        champion=champion and ChampionSummary(version=champion.version, metrics=values(champion.metrics)),
        gates=judgement.gates,
        snapshot=SnapshotSummary(
            digest=snapshot.digest,
            rows=snapshot.rows,
            unlabelled=snapshot.unlabelled,
            quarantined=snapshot.quarantined,
        ),
        bundle=BundleSummary(digest=bundle.digest, runtime=bundle.runtime),
        generation=state.generation,
    )


def values(metrics: dict[str, MetricEstimate]) -> dict[str, float]:
    """Drop the intervals."""
    return {name: estimate.value for name, estimate in metrics.items()}
