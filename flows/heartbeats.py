"""Owns Prefect's heartbeat of a flow run: left out where nobody asked for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ASKED_BY = ("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_RUNNER_HEARTBEAT_FREQUENCY")


@contextmanager
def without_heartbeats() -> Iterator[None]:
    """Have Prefect start no heartbeat for the runs of this block, unless the user set how often.

    A run of ours that is gone is found by its process and its claim (``flows.zombies``). Prefect's heartbeat
    is a thread that sleeps a second at a time, and the run's end waits for it: half a second of each run.
    """
    if any(name in os.environ for name in ASKED_BY):
        yield
        return
    from prefect.context import SettingsContext, get_settings_context

    # Not by temporary_settings, which reads all sources of settings anew.
    now = get_settings_context()
    flows = now.settings.flows.model_copy(update={"heartbeat_frequency": None})
    with SettingsContext(profile=now.profile, settings=now.settings.model_copy(update={"flows": flows})):
        yield
