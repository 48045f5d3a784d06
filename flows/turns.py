"""Owns when a flow run begins and what it is called: its moment, its turn after it, its name."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.runtime import flow_run

logger = logging.getLogger("evertrain.flows")


def name_run() -> str:
    """Name the run ``<pipeline> <moment>``: as-of where it was given, else when the run was due."""
    parameters = flow_run.parameters
    moment = in_utc(parameters["as_of"] or flow_run.scheduled_start_time) or datetime.now(UTC)
    return f"{Path(parameters['config']).stem} {spell_moment(moment)}"


def spell_moment(moment: datetime) -> str:
    """Spell *moment* as short as it allows: a day, or a day and a minute."""
    midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M}"


def in_utc(moment: datetime | None) -> datetime | None:
    """Read a moment of a form, UTC where it has no zone."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def await_turn(delay_seconds: int) -> None:
    """Wait until *delay_seconds* after the run's scheduled moment; a run that is late waits no more."""
    if delay_seconds <= 0:
        return
    left = seconds_left(flow_run.scheduled_start_time, datetime.now(UTC), delay_seconds)
    if left > 0:
        logger.info("Waits %.0f s, so that pipelines that are due together don't begin together.", left)
        time.sleep(left)


def seconds_left(scheduled: datetime, now: datetime, delay_seconds: int) -> float:
    """Say how long is left until *delay_seconds* after *scheduled*; from 0 to *delay_seconds*."""
    left = (scheduled + timedelta(seconds=delay_seconds) - now).total_seconds()
    return min(max(left, 0.0), float(delay_seconds))
