"""Owns the task ``evaluate``: candidate and champion on the same held-out rows, and the gates' verdicts."""

from __future__ import annotations

from evertrain.bundles import Bundle, load_bundle
from evertrain.datasets import read_side, to_columns
from evertrain.evaluation import evaluate, judge
from evertrain.progress import step
from evertrain.records import BundleRef, Evaluation, GateEvidence, Judgement
from evertrain.release.lifecycle import PipelineState
from tasks.artifacts import show_judgement
from tasks.run import Run
from tasks.steps import step_task

JUDGEMENT = "judgement"


@step_task("evaluate")
def evaluate_task(run: Run, bundle: BundleRef) -> Judgement:
    """Judge the candidate against today's champion, or recall the verdict if it was given already."""
    with step("evaluate", run.seconds) as note:
        _, state = run.pipeline.journal.read()
        judgement = run.recorded(JUDGEMENT, Judgement)
        if judgement is None or not still_holds(judgement, run.key, state):
            judgement = judge_candidate(run, bundle, state)
            run.records.write(JUDGEMENT, judgement)
        show_judgement(run, judgement)
        primary = run.config.primary_metric
        note.text = f"{primary} {judgement.evaluation.metrics[primary].value:.4f}"
    return judgement


def still_holds(judgement: Judgement, run_key: str, state: PipelineState) -> bool:
    """Whether a recorded verdict is today's: the champion is the same, or it has promoted the candidate."""
    was_promoted = any(
        version.run_key == run_key and version.status not in ("registered", "held")
        for version in state.versions.values()
    )
    return was_promoted or judgement.generation == state.generation


def judge_candidate(run: Run, ref: BundleRef, state: PipelineState) -> Judgement:
    """Score both bundles on the held-out rows and ask the gates."""
    candidate = load_bundle(run.pipeline.store, ref.digest)
    champion = load_champion(run, state)
    evaluation = score(run, candidate, champion)
    evidence = GateEvidence(
        evaluation=evaluation,
        signature=candidate.signature,
        champion_signature=champion[1].signature if champion else None,
        allow_signature_change=run.config.promotion.allow_signature_change,
    )
    return Judgement(generation=state.generation, evaluation=evaluation, gates=judge(run.config, evidence))


def load_champion(run: Run, state: PipelineState) -> tuple[int, Bundle] | None:
    """Load the champion's bundle; None before the first promotion."""
    if state.champion is None:
        return None
    return state.champion, load_bundle(run.pipeline.store, state.versions[state.champion].bundle)


def score(run: Run, candidate: Bundle, champion: tuple[int, Bundle] | None) -> Evaluation:
    """Measure both on the labelled held-out rows."""
    target = run.config.data.target
    table = read_side(run.pipeline.store, run.ingested.snapshot, "holdout", target=target)
    bundles = [candidate] + ([champion[1]] if champion else [])
    wanted = {feature.name for bundle in bundles for feature in bundle.signature.features}
    names = [name for name in table.column_names if name in wanted]
    return evaluate(
        run.config,
        candidate,
        champion,
        to_columns(table, names),
        to_columns(table, [target])[target],
        run.ingested.classes,
        seed=run.config.training.seed,
    )
