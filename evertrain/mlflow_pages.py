"""Owns MLflow's own pages over the embedded database: a process that makes it, then becomes MLflow."""

from __future__ import annotations

import os
import sys

from evertrain.errors import EvertrainError
from evertrain.mlflow_client import artifact_location, mlflow_client, tracking_uri
from evertrain.settings import Settings, read_settings


def command(settings: Settings, port: int) -> list[str]:
    """Spell MLflow's own command: its server on the loopback address, one process, quiet."""
    options = {
        "backend-store-uri": tracking_uri(settings),
        "registry-store-uri": tracking_uri(settings),
        "default-artifact-root": artifact_location(settings),
        "host": "127.0.0.1",
        "port": str(port),
        "workers": "1",
        "uvicorn-opts": "--log-level warning --timeout-graceful-shutdown 1",
    }
    named = [f"--{name}={value}" for name, value in options.items() if value]
    return [sys.executable, "-P", "-m", "mlflow", "server", *named, "--no-serve-artifacts"]


def main() -> int:
    """Become MLflow's server on the port that the command line names; returns only where it can't."""
    settings = read_settings()
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        # MLflow would make the tables itself, and fail where a training does so at the same time.
        with mlflow_client(settings, "make the tables"):
            pass
    except EvertrainError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    quiet = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
    }
    arguments = command(settings, int(sys.argv[1]))
    os.execve(arguments[0], arguments, {**quiet, **os.environ})  # noqa: S606 - our own interpreter and module


if __name__ == "__main__":
    sys.exit(main())
