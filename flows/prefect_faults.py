"""Owns what it means to a user that a Prefect server fails: whose server it is, and what to do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertrain.errors import ServiceError
from evertrain.mlflow_client import without_credentials
from evertrain.settings import Settings
from flows.server.record import find_server

TEXT_LIMIT = 300
BYTES_IN_MB = 1_000_000
SERVERS_OWN_FAULT = 500
# What httpx adds to each refusal.
_MANUAL = re.compile(r"[\s-]*For more information check: \S+")


@contextmanager
def prefect_faults_told(settings: Settings) -> Iterator[None]:
    """Turn whatever Prefect's client raises within the block into our words.

    Raises:
        ServiceError: The server can't be reached, or refuses; names it and what to do.
    """
    from httpx import HTTPError, InvalidURL
    from prefect.exceptions import ObjectNotFound

    try:
        yield
    except (HTTPError, InvalidURL, ObjectNotFound) as cause:
        said = without_credentials(_MANUAL.sub("", " ".join(str(cause).split())))[:TEXT_LIMIT].rstrip(".")
        raise ServiceError(f"{_whose(settings)}: {said}. {_advice(settings, cause)}") from cause


def _whose(settings: Settings) -> str:
    if settings.prefect_api_url is None:
        return "The local Prefect server failed"
    return f"The Prefect server at {without_credentials(settings.prefect_api_url)} can't be used"


def _advice(settings: Settings, cause: Exception) -> str:
    if settings.prefect_api_url is None:
        log = settings.prefect_home / "server.log"
        if find_server(settings.prefect_home) is None:
            return (
                f"It has ended in the middle. {spell_room(settings.prefect_home)} Its log is {log}. Type the "
                "command again: another server is started, and what was done isn't done again."
            )
        return f"{spell_room(settings.prefect_home)} Its log is {log}."
    if getattr(getattr(cause, "response", None), "status_code", 0) >= SERVERS_OWN_FAULT:
        return (
            "PREFECT_API_URL is right, but that server can't do its work: see its log, and that its database "
            "runs. Then type the command again: what was done isn't done again."
        )
    return "See that it runs and PREFECT_API_URL is its address, ending in /api, or unset it."


def spell_room(folder: Path) -> str:
    """Say how much room the disk of *folder*, in EVERTRAIN_HOME, has left: a full one leaves no log."""
    free = shutil.disk_usage(folder).free // BYTES_IN_MB
    return f"EVERTRAIN_HOME has {free:,} MB of disk left."
