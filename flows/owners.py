"""Owns who runs a flow run: written to its labels as it starts, read by those who find it alone."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run

from evertrain.liveness import ProcessIdentity, identify_process
from evertrain.pipelines import Pipeline

HOST = "evertrain.host"
HOST_ID = "evertrain.host_id"
PID = "evertrain.pid"
STARTED = "evertrain.started"
STORE = "evertrain.store"
PIPELINE = "evertrain.pipeline"
TIMEOUT_SECONDS = 10.0
logger = logging.getLogger("evertrain.runs")


@dataclass(frozen=True)
class Owner:
    """Who runs a flow run: the process, the store it works in (its tag), the pipeline."""

    process: ProcessIdentity
    store: str
    pipeline: str


_running: dict[str, Pipeline] = {}


def label_owner(store: str, pipeline: str) -> dict[str, bool | int | float | str]:
    """Name this process, as a run's labels do; *pipeline* is empty where it isn't known yet."""
    process = identify_process()
    return {
        HOST: process.host,
        HOST_ID: process.host_id,
        PID: process.pid,
        STARTED: process.started,
        STORE: store_tag(store),
        PIPELINE: pipeline,
    }


def own_run(pipeline: Pipeline) -> None:
    """Write to the current flow run's labels that this process runs it, for *pipeline*, and remember so.

    A server that doesn't take it is no reason to stop: the run is then one that nobody can find dead.
    """
    run_id = flow_run.get_id()
    if run_id is None:
        return
    _running[run_id] = pipeline
    labels = label_owner(pipeline.settings.store, pipeline.name)
    try:
        # The run's own client: to make another, with all the world's certificates, takes as long as the call.
        client = get_client(sync_client=True)
        where = {"id": UUID(run_id)}
        client.request(
            "PATCH", "/flow_runs/{id}/labels", path_params=where, json=labels, timeout=TIMEOUT_SECONDS
        )
    except Exception as cause:
        logger.debug("The flow run's labels couldn't be written: %s", cause)


def forget_run(run_id: UUID) -> Pipeline | None:
    """Give the pipeline that this process runs, or ran, under *run_id*, and forget it."""
    return _running.pop(str(run_id), None)


def read_owner(run: FlowRun) -> Owner | None:
    """Read who runs *run*; None where its labels don't say, so that it is none of ours or older."""
    match run.labels:
        case {
            "evertrain.host": str(host),
            "evertrain.host_id": str(host_id),
            "evertrain.pid": int(pid),
            "evertrain.started": int() | float() as started,
            "evertrain.store": str(store),
            "evertrain.pipeline": str(pipeline),
        }:
            return Owner(ProcessIdentity(host, host_id, pid, float(started)), store, pipeline)
    return None


def store_tag(store: str) -> str:
    """Name a store in few characters: runs of other stores may share the Prefect server."""
    return hashlib.sha256(store.encode()).hexdigest()[:12]
