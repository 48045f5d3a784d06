"""Owns when a pipeline is due: its cron's next moment, and its own delay among those due together."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

SPREAD_SECONDS = 60


def delay_of(pipeline: str) -> int:
    """Give *pipeline* its delay in whole seconds, 0 to 59: always the same one, spread evenly over names.

    Schedulers start all that is due in one moment. Two hundred pipelines that are due at 03:00 would hit one
    warehouse in one second; with this they begin over a minute, and never before their moment.
    """
    return int.from_bytes(hashlib.sha256(pipeline.encode()).digest()[:8]) % SPREAD_SECONDS


def next_moment(cron: str, timezone: str, now: datetime) -> datetime:
    """Find when *cron* is first due in *timezone* after *now*, as Prefect's server will; in UTC.

    A moment that a change of clocks leaves out comes after the gap; one that it repeats comes once.
    """
    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron=cron, timezone=timezone)
    [moment] = schedule._get_dates_generator(n=1, start=now)
    return datetime.fromtimestamp(moment.timestamp(), UTC)
