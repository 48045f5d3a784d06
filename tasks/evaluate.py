"""Owns the task ``evaluate``: candidate and champion on the same held-out rows, and the gates' verdicts."""

from __future__ import annotations

from evertrain.bundles import Bundle, load_bundle
from evertrain.evaluation import counts_looks, judge
from evertrain.evaluation.held_out import gather_evidence, read_held_out
from evertrain.holdouts import identity_columns, take_look
from evertrain.progress import step
from evertrain.records import BundleRef, Judgement
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
    """Whether a recorded verdict is today's.

    It is where the champion is the same and, of a run that has no version yet, nobody else registered one
    after looking at the same held-out rows; and where it has promoted the candidate.
    """
    version = state.find_run(run_key)
    if version is not None and version.status not in ("registered", "held"):
        return True
    mine = (judgement.holdout, judgement.evaluation.look)
    taken = [(each.holdout, each.look) for each in state.versions.values() if each.holdout]
    return judgement.generation == state.generation and not (version is None and mine in taken)


def judge_candidate(run: Run, ref: BundleRef, state: PipelineState) -> Judgement:
    """Score both bundles on the labelled held-out rows and ask the gates."""
    candidate = load_bundle(run.pipeline.store, ref.digest)
    champion = load_champion(run, state)
    snapshot, data = run.ingested.snapshot, run.config.data
    identity = identity_columns([column.name for column in snapshot.columns], data)
    bundles = [candidate, champion[1] if champion else None]
    shown = [*run.config.evaluation.slices, *identity]
    rows = read_held_out(run.pipeline.store, snapshot, data.target, bundles, shown)
    look = None
    if champion is not None and counts_looks(run.config):
        look = take_look(run.pipeline.store, state, run.key, {name: rows.columns[name] for name in identity})
    evidence = gather_evidence(
        run.config, candidate, champion, rows, run.ingested.classes, look=look.number if look else None
    )
    return Judgement(
        generation=state.generation,
        evaluation=evidence.evaluation,
        gates=judge(run.config, evidence),
        latency=evidence.latency,
        holdout=look.holdout if look and evidence.evaluation.look else None,
    )


def load_champion(run: Run, state: PipelineState) -> tuple[int, Bundle] | None:
    """Load the champion's bundle; None before the first promotion."""
    if state.champion is None:
        return None
    return state.champion, load_bundle(run.pipeline.store, state.versions[state.champion].bundle)
