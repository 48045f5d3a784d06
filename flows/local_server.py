"""Owns the embedded Prefect server: one child process that lives as long as the command, kill -9 included."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertrain.errors import ServiceError
from evertrain.locks import locked
from evertrain.orphans import end_with_parent
from evertrain.settings import Settings
from flows.prefect_environment import prefect_environment
from flows.prefect_faults import spell_room

START_SECONDS = 120.0
STOP_SECONDS = 10.0
FLUSH_SECONDS = 5.0
POLL_SECONDS = 0.1
PROBE_SECONDS = 2.0


class LocalServer:
    """A Prefect server on a free port of the loopback address, with its data under EVERTRAIN_HOME."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process = process
        self._log = log
        self.url = url

    def wait_until_ready(self) -> None:
        """Wait for the health route.

        Raises:
            ServiceError: The server ended, or didn't answer within 120 s; names its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServiceError(
                    f"The embedded Prefect server ended at start (exit {self._process.returncode}). "
                    f"{spell_room(self._log.parent)} Its log is {self._log}; "
                    "a server of your own can be named by PREFECT_API_URL."
                )
            if _answers(f"{self.url}/health"):
                return
            time.sleep(POLL_SECONDS)
        raise ServiceError(
            f"The embedded Prefect server didn't answer on {self.url} within {START_SECONDS:.0f} s. "
            f"Its log is {self._log}; a server of your own can be named by PREFECT_API_URL."
        )

    def stop(self) -> None:
        """End the server; kill it if it doesn't end by itself within 10 s."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def prefect_api(settings: Settings) -> Iterator[LocalServer | None]:
    """Give Prefect a server: the user's own (None), or an embedded one that ends with this block.

    The server is *starting* when the block begins: other work may be done before ``wait_until_ready``.
    Better entered before ``prefect`` is imported: how it logs is settled then.
    """
    os.environ.update(prefect_environment(settings))
    server = None if settings.prefect_api_url else start_server(settings)
    if server is not None:
        os.environ["PREFECT_API_URL"] = server.url
    read_settings_again()
    try:
        yield server
    finally:
        # Left to Prefect's own end, this takes seconds, and the embedded server would be gone by then.
        flush_prefect()
        if server is not None:
            server.stop()
            del os.environ["PREFECT_API_URL"]
            read_settings_again()


def read_settings_again() -> None:
    """Have a Prefect that was imported before see today's environment: it read its settings at import."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def flush_prefect() -> None:
    """Send the logs and events that Prefect still holds back, so that none outlives its server."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=FLUSH_SECONDS)
    APILogWorker.drain_all(timeout=FLUSH_SECONDS)


def start_server(settings: Settings) -> LocalServer:
    """Start the child process; it ends when this process does.

    Raises:
        ServiceError: Prefect's home can't be written.
    """
    port = free_port()
    log = settings.prefect_home / "server.log"
    try:
        settings.prefect_home.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "flows.local_server", str(port), str(os.getpid())],
                env={**os.environ, **prefect_environment(settings)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise ServiceError(
            f"The embedded Prefect server can't be started under {settings.prefect_home}: {error}. "
            "EVERTRAIN_HOME must be a folder that can be written."
        ) from error
    return LocalServer(process, f"http://127.0.0.1:{port}/api", log)


def free_port() -> int:
    """Find a port of the loopback address that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as reply:  # noqa: S310 - our own loopback address
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def serve_api(port: int, parent: int) -> None:
    """Serve Prefect's API on *port* until *parent* is gone or a signal comes."""
    end_with_parent(parent)
    import uvicorn
    from prefect.server.api.server import create_app

    make_database(Path(os.environ["PREFECT_HOME"]))
    uvicorn.run(create_app(final=True), host="127.0.0.1", port=port, log_level="warning", access_log=False)


def make_database(home: Path) -> None:
    """Make or migrate the database, one process at a time: two that start at once would both do it."""
    from prefect.server.database import provide_database_interface

    with locked(home / "migration.lock"):
        asyncio.run(provide_database_interface().create_db())


if __name__ == "__main__":
    serve_api(int(sys.argv[1]), int(sys.argv[2]))
