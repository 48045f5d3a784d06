"""Owns the tasks ``register`` and ``mirror aliases``: candidate to model version, journal to MLflow aliases."""

from __future__ import annotations

import logging

from evertrain.plots import curve_png
from evertrain.registry import mirror_aliases, register
from evertrain.tracking import RunFacts, log_run

from evertrain.pipelines import Pipeline
from evertrain.progress import step
from evertrain.records import BundleRef, Judgement, ModelVersion, TrainedModel, ValidationReport
from evertrain.release import decide_alias_repaired
from evertrain.runs import code_digest
from tasks.artifacts import show_links
from tasks.run import Run
from tasks.steps import step_task

logger = logging.getLogger("evertrain.registry")


@step_task("register")
def register_task(
    run: Run, report: ValidationReport, trained: TrainedModel, bundle: BundleRef, judgement: Judgement
) -> ModelVersion:
    """Log the run and register the bundle as a model version; the run key keeps it to one."""
    with step("register", run.seconds) as note:
        facts = RunFacts(
            config=run.config,
            snapshot=run.ingested.snapshot,
            plan=run.ingested.plan,
            validation=report,
            trained=trained,
            bundle=bundle,
            judgement=judgement,
            run_key=run.key,
            code_digest=code_digest(),
            trigger=run.trigger,
            pictures={"curve.png": curve_png(judgement.evaluation.curves)},
        )
        run_id = log_run(run.pipeline.settings, facts)
        version = register(run.pipeline.settings, run.pipeline.store, facts, run_id)
        show_links(run, version)
        note.text = f"version {version.version}"
    return version


@step_task("mirror aliases")
def mirror_aliases_task(pipeline: Pipeline, *, repair: bool) -> None:
    """Make MLflow's aliases say what the journal says.

    Args:
        pipeline: Whose registered model.
        repair: Whether what differs was moved by someone else: then it is journalled, and its mover told
            which command to use instead.
    """
    _, state = pipeline.journal.read()
    for found in mirror_aliases(pipeline.settings, pipeline.name, state.champion, state.previous):
        if not repair:
            continue
        reason = (
            f"MLflow's alias {found.alias!r} stood on {found.found}, the journal says {found.wanted}; "
            f"to change the champion use `evertrain rollback {pipeline.name} --to N` or a train"
        )
        logger.warning("%s", reason)
        pipeline.journal.append(
            decide_alias_repaired(
                alias=found.alias, found=found.found, repaired_to=found.wanted, reason=reason
            )
        )
