"""Owns the environment Prefect is imported in: quiet, without telemetry, in evertrain's own home."""

from __future__ import annotations

import os
from collections.abc import Mapping

from evertrain.settings import Settings

QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # Its threads would each tell, with all that they had in hand, that a server is gone: we say so once.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "evertrain",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    # A call rides a server's restart out, for 14 s. Prefect's own minute, call by call, left people waiting.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
}
"""What a user hasn't set himself. Results would otherwise be pickled."""


def prefect_environment(settings: Settings) -> dict[str, str]:
    """Build the variables that Prefect's client and the embedded server are to see.

    A Prefect of the user's own (``PREFECT_API_URL``) keeps its home and profile; the embedded one never
    touches them.
    """
    wanted = {name: os.environ.get(name, value) for name, value in QUIET.items()}
    if settings.prefect_api_url is None:
        wanted["PREFECT_HOME"] = str(settings.prefect_home)
        # The embedded server does so by itself, under a lock.
        wanted["PREFECT_SERVER_DATABASE_MIGRATE_ON_START"] = "false"
    return wanted


def server_environment(settings: Settings, port: int) -> dict[str, str]:
    """Build what the local server on *port* is to see: its pages must find their API on that port.

    Pages of other origins are shut out: whatever site the user looks at could else start flow runs here.
    """
    here = f"http://127.0.0.1:{port}"
    defaults = {
        "PREFECT_UI_API_URL": f"{here}/api",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{here},http://localhost:{port}",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return {
        **inherited,
        **prefect_environment(settings),
        **{k: os.environ.get(k, v) for k, v in defaults.items()},
    }
