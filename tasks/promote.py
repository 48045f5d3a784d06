"""Owns the task ``promote``: the decision, written to the journal; the strategy says how."""

from __future__ import annotations

from typing import Literal

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
from evertrain.release import Decide, decide_held, decide_registered
from evertrain.release.changes import CANDIDATE
from evertrain.release.lifecycle import PipelineState, VersionState
from evertrain.release.releasing import Release, decide_begun
from evertrain.release.rollouts import decide_awaiting_approval
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
    if known.status not in CANDIDATE:
        return state
    reasons = judgement.held_because or under_way(run.config.name, state)
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
    return run.pipeline.journal.append(begin_release(run, version, judgement, state))[1]


def begin_release(run: Run, version: ModelVersion, judgement: Judgement, state: PipelineState) -> Decide:
    """What the YAML makes of a version that passed its gates: wait for a person, or begin to take over."""
    promotion, generation = run.config.promotion, judgement.generation
    release = Release(promotion.strategy.plan(), promotion.guardrails.model_dump(mode="json"))
    if promotion.approval == "required" and state.versions[version.version].approved_by is None:
        return decide_awaiting_approval(
            version=version.version,
            run_key=run.key,
            release=release.spelled(),
            judged_generation=generation,
            fence=run.fence,
        )
    reason = f"all gates passed ({run.trigger})"
    return decide_begun(
        release, version=version.version, judged_generation=generation, fence=run.fence, reason=reason
    )


def under_way(pipeline: str, state: PipelineState) -> tuple[str, ...]:
    """Why a version that passed its gates is held while another is rolled out."""
    rollout = state.rollout
    if rollout is None:
        return ()
    return (f"a rollout of version {rollout.version} is under way: evertrain rollout status {pipeline}",)


def summarise(
    run: Run, version: ModelVersion, judgement: Judgement, bundle: BundleRef, state: PipelineState
) -> TrainOutcome:
    """Put together what ``train`` answers."""
    decision, reasons = tell_decision(run.config.name, state.versions[version.version])
    evaluation = judgement.evaluation
    champion = evaluation.champion
    snapshot = run.ingested.snapshot
    return TrainOutcome(
        pipeline=run.config.name,
        decision=decision,
        reasons=reasons,
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
        rollouts=state.rollouts,
    )


def tell_decision(
    pipeline: str, version: VersionState
) -> tuple[Literal["promoted", "rollout", "held"], tuple[str, ...]]:
    """How ``train`` calls what became of the version, and why where it doesn't serve."""
    if version.status == "awaiting_approval":
        return "held", (f"it awaits approval: evertrain approve {pipeline} {version.version}",)
    if version.status == "held":
        return "held", version.reasons
    return ("rollout", ()) if version.status in ("challenger", "rejected", "aborted") else ("promoted", ())


def values(metrics: dict[str, MetricEstimate]) -> dict[str, float]:
    """Drop the intervals."""
    return {name: estimate.value for name, estimate in metrics.items()}
