"""Owns our side of batch scoring, in a process of its own: the command's work, imports apart."""

from __future__ import annotations

import resource
import sys
import time

from evertrain.batch import score_batch
from evertrain.bundles import load_bundle
from evertrain.config.files import load_config
from evertrain.pipelines import config_path, find_version, open_pipeline
from evertrain.settings import read_settings


def main(source: str, target: str, config: str) -> None:
    """Print how many rows of *source* are scored a second, and the most memory that it took, in MiB."""
    # What the first call would import.
    import duckdb  # noqa: F401
    import onnxruntime  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    settings = read_settings()
    pipeline = open_pipeline(load_config(config_path(config), settings), settings)
    chosen = find_version(pipeline, "champion")
    bundle = load_bundle(pipeline.store, chosen.bundle)
    began = time.perf_counter()
    report = score_batch(
        pipeline.config, bundle, chosen.version, source=source, target=target, home=settings.home
    )
    seconds = time.perf_counter() - began
    print(report.rows / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
