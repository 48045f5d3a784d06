"""Owns the tasks ``register`` and ``mirror aliases``: candidate to model version, journal to aliases."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertrain.bundle_files import copy_bundle
from evertrain.pipelines import Pipeline
from evertrain.progress import step
from evertrain.records import BundleRef, Judgement, ModelVersion, TrainedModel, ValidationReport
from evertrain.registry import mirror_aliases, register
from evertrain.release import decide_alias_repaired
from evertrain.reports.plots import curve_png, search_png
from evertrain.run_facts import RunFacts
from evertrain.runs import code_digest
from evertrain.storage import open_store
from evertrain.tracking import log_run
from tasks.artifacts import show_links
from tasks.run import Run
from tasks.steps import step_task

logger = logging.getLogger("evertrain.registry")


@step_task("register")
def register_task(
    run: Run, report: ValidationReport, trained: TrainedModel, bundle: BundleRef, judgement: Judgement
) -> ModelVersion:
    """Log the run and register the bundle as a model version; the run key keeps it to one."""
    with step("register", run.seconds) as note, bundle_folder(run, bundle) as folder:
        facts = RunFacts(
            config=run.config,
            snapshot=run.ingested.snapshot,
            validation=report,
            trained=trained,
            bundle=bundle,
            bundle_folder=folder,
            evaluation=judgement.evaluation,
            gates=judgement.gates,
            run_key=run.key,
            config_digest=run.config.digest(),
            code_digest=code_digest(),
            trigger=run.trigger,
            as_of=run.ingested.snapshot.as_of,
            pictures=_draw_pictures(trained, judgement),
        )
        run_id = log_run(run.pipeline.settings, facts)
        version = register(run.pipeline.settings, facts, run_id)
        show_links(run, version)
        note.text = f"version {version.version}"
    return version


def _draw_pictures(trained: TrainedModel, judgement: Judgement) -> dict[str, bytes]:
    pictures = {"curve.png": curve_png(judgement.evaluation.curves)}
    return pictures if trained.search is None else {**pictures, "search.png": search_png(trained.search)}


@contextmanager
def bundle_folder(run: Run, bundle: BundleRef) -> Iterator[Path]:
    """Lay the bundle's files in a folder of this machine, wherever the store is.

    The folder is the run's own, so that what a killed try leaves there goes with the next.
    """
    folder = run.pipeline.settings.home / "tmp" / run.key
    shutil.rmtree(folder, ignore_errors=True)
    try:
        copy_bundle(run.pipeline.store, open_store(str(folder)), bundle.digest)
        yield folder / "bundles" / bundle.digest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
