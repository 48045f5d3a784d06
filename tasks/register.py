"""Owns the tasks ``register`` and ``mirror aliases``: candidate to model version, journal to aliases."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertrain.bundle_files import copy_bundle
from evertrain.errors import EvertrainError
from evertrain.progress import step
from evertrain.records import BundleRef, Judgement, ModelVersion, TrainedModel, ValidationReport
from evertrain.release import decide_alias_repaired, open_journal
from evertrain.run_facts import RunFacts
from evertrain.runs import code_digest
from evertrain.storage import open_store
from tasks.artifacts import show_links
from tasks.run import Run
from tasks.steps import step_task

PATIENCE_SECONDS = 60.0
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
        )
        version, url = run.registrar.record(run.pipeline.settings, facts)
        show_links(run, version, url)
        note.text = f"version {version.version}"
    return version


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
def mirror_aliases_task(run: Run, *, repair: bool) -> None:
    """Make MLflow's aliases say what the journal says.

    Args:
        run: Of the pipeline whose registered model it is.
        repair: Whether what differs was moved by someone else: then it is journalled, and its mover told
            which command to use instead.
    """
    pipeline = run.pipeline
    # Not the run's own journal: that one is in use, where this goes on beside other steps.
    journal = open_journal(pipeline.store, pipeline.name, pipeline.settings.actor)
    _, state = journal.read()
    for found in run.registrar.mirror(pipeline.settings, pipeline.name, state.aliases):
        if not repair:
            continue
        reason = (
            f"MLflow's alias {found.alias!r} stood on {found.found}, the journal says {found.wanted}; "
            f"to change the champion use `evertrain rollback {pipeline.name} --to N` or a train"
        )
        logger.warning("%s", reason)
        journal.append(
            decide_alias_repaired(
                alias=found.alias, found=found.found, repaired_to=found.wanted, reason=reason
            )
        )


@contextmanager
def aliases_mirrored(run: Run, *, repair: bool) -> Iterator[None]:
    """Run the task ``mirror aliases`` beside the block where MLflow's work is done beside; else before it.

    Raises:
        RegistryError: MLflow can't be reached, or refuses; after the block, which has ended by then.
    """
    if not run.registrar.is_beside:
        mirror_aliases_task(run, repair=repair)
        yield
        return
    mirrored = mirror_aliases_task.submit(run, repair=repair)
    try:
        yield
    except EvertrainError:
        # A repair is made and journalled whatever becomes of the steps beside it.
        mirrored.wait(PATIENCE_SECONDS)
        raise
    mirrored.result()
