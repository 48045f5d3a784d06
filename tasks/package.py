"""Owns the task ``package``: a fitted model to the bundle that is served."""

from __future__ import annotations

from evertrain.packaging import package
from evertrain.progress import step
from evertrain.records import BundleRef, TrainedModel
from evertrain.runs import code_digest
from tasks.run import Run
from tasks.steps import step_task


@step_task("package")
def package_task(run: Run, trained: TrainedModel) -> BundleRef:
    """Pack the model, as ONNX where it answers as scikit-learn does, else natively."""
    with step("package", run.seconds) as note:
        bundle = run.recorded("package", BundleRef)
        if bundle is None:
            bundle = package(
                run.config,
                run.ingested,
                trained,
                run.pipeline.store,
                provenance={
                    "pipeline": run.config.name,
                    "run_key": run.key,
                    "config": run.config.digest(),
                    "snapshot": run.ingested.snapshot.digest,
                    "code": code_digest(),
                },
            )
            run.records.write("package", bundle)
        note.text = f"{bundle.runtime}: {bundle.reason}" if bundle.reason else bundle.runtime
    return bundle
