"""Owns the runner's process, ``python -m flows.runner``: it runs what this installation has deployed."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from evertrain.errors import EvertrainError
from evertrain.settings import Settings, read_settings
from flows.local_server import prefect_api, server_must_start
from flows.prefect_faults import prefect_faults_told

EVERY_SECONDS = 2.0
logger = logging.getLogger("evertrain.runner")


async def run_due(settings: Settings, tags: Sequence[str], limit: int, every_seconds: float) -> bool:
    """Run the due flow runs of the deployments that bear *tags*, until SIGTERM or SIGINT comes.

    Returns:
        Whether a signal came; otherwise the home's own Prefect server is gone.

    Args:
        settings: Where this installation keeps things.
        tags: What a deployment must bear.
        limit: How many runs at once.
        every_seconds: How often the Prefect server is asked.
    """
    from prefect.client.orchestration import get_client
    from prefect.runner._control_channel import ControlChannel

    from flows.runner.poller import Poller
    from flows.runner.processes import RunProcesses
    from flows.runner.run_states import RunStates

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with get_client() as client, ControlChannel() as channel, RunProcesses() as processes:
        states = RunStates(client, settings, tags)
        poller = Poller(
            states,
            processes,
            channel,
            limit=limit,
            every_seconds=every_seconds,
            is_over=lambda: server_must_start(settings),
        )
        logger.info("the runner is up: at most %d runs at once; Ctrl-C ends it", limit)
        await poller.serve(stop)
    return stop.is_set()


def run_with_server(settings: Settings, limit: int, every_seconds: float) -> bool:
    """Run what is due on the Prefect server that is named, or the home's own.

    Returns:
        Whether it was asked to end; otherwise the home's own server is gone.
    """
    with prefect_api(settings) as server, prefect_faults_told(settings):
        if server is not None:
            server.wait_until_ready()
        from flows.deployments import TAG, installation_tag

        return asyncio.run(run_due(settings, (TAG, installation_tag(settings)), limit, every_seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the runner; returns the contract's exit code."""
    asked = _parse(arguments)
    stamp = "%(asctime)s " if sys.stderr.isatty() else ""
    logging.basicConfig(format=f"{stamp}%(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    try:
        settings = read_settings()
        while not run_with_server(settings, asked.limit, asked.every):
            logger.warning("the home's Prefect server has ended: a new one is started")
        logger.info("the runner has ended")
    except EvertrainError as error:
        logger.error("%s", error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.runner", description=__doc__)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--limit", type=int, default=cores, help="runs at once; default: the cores")
    parser.add_argument("--every", type=float, default=EVERY_SECONDS, help="seconds between two looks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
