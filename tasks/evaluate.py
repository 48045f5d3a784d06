"""Owns the task ``evaluate``: candidate and champion on the same held-out rows, and the gates' verdicts."""

from __future__ import annotations

from evertrain.bundles import Bundle, load_bundle
from evertrain.datasets import read_side, to_columns
from evertrain.evaluation import counts_looks, evaluate, judge, time_candidate
from evertrain.holdouts import identity_columns, take_look
from evertrain.progress import step
from evertrain.records import BundleRef, GateEvidence, Judgement
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
    target = run.config.data.target
    snapshot = run.ingested.snapshot
    names = [column.name for column in snapshot.columns]
    wanted = wanted_columns(run, names, candidate, champion)
    table = read_side(run.pipeline.store, snapshot, "holdout", target=target, columns=wanted)
    columns = to_columns(table, wanted)
    look = None
    if champion is not None and counts_looks(run.config):
        rows = {name: columns[name] for name in identity_columns(names, run.config.data)}
        look = take_look(run.pipeline.store, state, run.key, rows)
    evaluation = evaluate(
        run.config,
        candidate,
        champion,
        columns,
        to_columns(table, [target])[target],
        run.ingested.classes,
        seed=run.config.training.seed,
        look=look.number if look else None,
    )
    evidence = GateEvidence(
        evaluation=evaluation,
        latency=time_candidate(run.config, candidate, columns),
        signature=candidate.signature,
        champion_signature=champion[1].signature if champion else None,
        allow_signature_change=run.config.promotion.allow_signature_change,
    )
    return Judgement(
        generation=state.generation,
        evaluation=evaluation,
        gates=judge(run.config, evidence),
        latency=evidence.latency,
        holdout=look.holdout if look and evaluation.look else None,
    )


def wanted_columns(
    run: Run, names: list[str], candidate: Bundle, champion: tuple[int, Bundle] | None
) -> list[str]:
    """Name, of the hold-out's columns, those that a model is asked with, that are sliced by or tell rows."""
    bundles = [candidate] + ([champion[1]] if champion else [])
    wanted = {feature.name for bundle in bundles for feature in bundle.signature.features}
    wanted |= {*run.config.evaluation.slices, *identity_columns(names, run.config.data)}
    return [name for name in names if name in wanted]


def load_champion(run: Run, state: PipelineState) -> tuple[int, Bundle] | None:
    """Load the champion's bundle; None before the first promotion."""
    if state.champion is None:
        return None
    return state.champion, load_bundle(run.pipeline.store, state.versions[state.champion].bundle)
