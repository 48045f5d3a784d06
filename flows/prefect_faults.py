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
UNKNOWN, FORBIDDEN, SERVERS_OWN_FAULT = 401, 403, 500
KEYS = "PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING (user:password, a server of your own)"
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
        advice = advise_on_key(cause) or _advice(settings, cause)
        raise ServiceError(f"{_whose(settings)}: {spell_fault(cause)}. {advice}") from cause


def spell_fault(cause: BaseException) -> str:
    """Say in one line what Prefect's client raised, without the password of an address."""
    if _status(cause) == UNKNOWN:
        return "it answers 401, Unauthorized"
    said = _MANUAL.sub("", " ".join(str(cause).split())) or type(cause).__name__
    return without_credentials(said)[:TEXT_LIMIT].rstrip(".")


def advise_on_key(cause: BaseException) -> str | None:
    """Say what to do about the key that a server refuses; None where the key isn't what is wrong."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    status = _status(cause)
    if status not in (UNKNOWN, FORBIDDEN):
        return None
    given = {"PREFECT_API_KEY": PREFECT_API_KEY, "PREFECT_API_AUTH_STRING": PREFECT_API_AUTH_STRING}
    held = next((name for name, setting in given.items() if setting.value()), None)
    if held is None:
        return f"It asks who you are: set {KEYS}, then type the command again."
    if status == UNKNOWN:
        return f"It doesn't know what {held} holds: set {KEYS} to what it knows, then type the command again."
    return (
        f"It knows what {held} holds, which may not do this: use one that may write there, and see that "
        "PREFECT_API_URL names your own account and workspace."
    )


def _status(cause: BaseException) -> int:
    return int(getattr(getattr(cause, "response", None), "status_code", 0))


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
    if _status(cause) >= SERVERS_OWN_FAULT:
        return (
            "PREFECT_API_URL is right, but that server can't do its work: see its log, and that its database "
            "runs. Then type the command again: what was done isn't done again."
        )
    return "See that it runs and PREFECT_API_URL is its address, ending in /api, or unset it."


def spell_room(folder: Path) -> str:
    """Say how much room the disk of *folder*, in EVERTRAIN_HOME, has left: a full one leaves no log."""
    free = shutil.disk_usage(folder).free // BYTES_IN_MB
    return f"EVERTRAIN_HOME has {free:,} MB of disk left."
