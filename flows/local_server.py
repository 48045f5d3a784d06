"""Owns a command's way to its home's own Prefect server: the one that runs, or a new one that stays on."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from evertrain.errors import ServiceError
from evertrain.liveness import ProcessIdentity, identify_process, is_running
from evertrain.settings import Settings
from flows.prefect_environment import prefect_environment, server_environment
from flows.prefect_faults import spell_room
from flows.server.record import ServerRecord, find_server, resolve_home, write_record
from flows.server.terms import MODULE, Terms
from flows.server.use import starting, unused, using
from flows.up.record import find_up

START_SECONDS = 120.0
STOP_SECONDS = 10.0
FLUSH_SECONDS = 5.0
IDLE_SECONDS = 600.0
POLL_SECONDS = 0.1
LOG_LIMIT_BYTES = 1_000_000
LOG = "server.log"

# A process that is to outlive this one is not to be forgotten before: Python would warn of it.
_left_running: list[subprocess.Popen[bytes]] = []


class LocalServer:
    """A Prefect server on the loopback address, with its data under EVERTRAIN_HOME.

    Args:
        record: The server.
        log: What it writes to.
        process: The child process, if it was started here.
    """

    def __init__(
        self, record: ServerRecord, log: Path, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._record = record
        self._log = log
        self._process = process
        self.url = record.api_url

    def wait_until_ready(self) -> None:
        """Wait for the health route.

        Raises:
            ServiceError: The server ended, or didn't answer within 120 s; names its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._record.is_alive():
                raise ServiceError(
                    f"The local Prefect server ended at start{self._how_it_ended()}. "
                    f"{spell_room(self._log.parent)} Its log is {self._log}; "
                    "a server of your own can be named by PREFECT_API_URL."
                )
            if self._record.answers():
                return
            time.sleep(POLL_SECONDS)
        raise ServiceError(
            f"The local Prefect server (pid {self._record.process.pid}) didn't answer on {self.url} within "
            f"{START_SECONDS:.0f} s. Its log is {self._log}; end it with `evertrain down`, or name a server "
            "of your own by PREFECT_API_URL."
        )

    def stop(self) -> None:
        """End the server; kill it if it doesn't end by itself within 10 s."""
        end_process(self._record.process)
        if self._process is not None:
            self._process.wait()

    def leave(self) -> None:
        """Let the server run on when this process ends."""
        if self._process is not None:
            _left_running.append(self._process)

    def _how_it_ended(self) -> str:
        code = None if self._process is None else self._process.poll()
        return "" if code is None else f" (exit {code})"


@contextmanager
def prefect_api(settings: Settings, *, stays: bool | None = None) -> Iterator[LocalServer | None]:
    """Give Prefect a server: the user's own (None), the one that runs for this home, or a new one.

    The server may be *starting* when the block begins: other work may be done before ``wait_until_ready``.
    Better entered before ``prefect`` is imported: how it logs is settled then.

    Args:
        settings: Say whose server, and where its data are.
        stays: Whether a new server stays for the next command, until nobody has used it for ten minutes;
            otherwise it ends with this block. By default it stays, except where ``CI`` is ``true``.

    Raises:
        ServiceError: Prefect's home can't be written, or no process can be started.
    """
    before = os.environ.get("PREFECT_API_URL")
    os.environ.update(prefect_environment(settings))
    with ExitStack() as stack:
        server = None
        if settings.prefect_api_url is None:
            server = _find_or_start(settings, _stays_by_default() if stays is None else stays, stack)
            os.environ["PREFECT_API_URL"] = server.url
        read_settings_again()
        stack.enter_context(_silent_logging())
        try:
            yield server
        finally:
            # Left to Prefect's own end, this takes seconds, and the server may be gone by then.
            flush_prefect()
            if server is not None:
                _put_back("PREFECT_API_URL", before)
                read_settings_again()


def _put_back(name: str, value: str | None) -> None:
    """Have a variable as it was: a block may stand in another's, of another home."""
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


@contextmanager
def _silent_logging() -> Iterator[None]:
    """Have log handlers that fail keep it to themselves: Prefect's tells of each line that it can't send."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def server_must_start(settings: Settings) -> bool:
    """Whether a command that needs Prefect would have to start a server first."""
    return settings.prefect_api_url is None and find_server(settings.prefect_home) is None


def _stays_by_default() -> bool:
    return os.environ.get("CI", "").lower() not in ("true", "1")


def _find_or_start(settings: Settings, stays: bool, stack: ExitStack) -> LocalServer:
    """Use the home's server until *stack* is closed; one that doesn't stay is ended then."""
    home = settings.prefect_home
    try:
        with _turn_to_start(settings):
            _end_outdated(home)
            stack.enter_context(using(home))
            found = find_server(home)
            if found is not None:
                return LocalServer(found, home / LOG)
            server = start_server(settings, stays=stays)
    except OSError as error:
        raise _unwritable(settings, error) from error
    stack.callback(server.leave if stays else server.stop)
    return server


@contextmanager
def _turn_to_start(settings: Settings) -> Iterator[None]:
    """Be the only one that may start this home's server; one that an ``up`` is to start is waited for.

    Raises:
        ServiceError: It didn't come.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        with starting(settings.prefect_home):
            up = find_up(settings.home)
            if find_server(settings.prefect_home) or not (up and up.serves_prefect):
                yield
                return
        if time.monotonic() > deadline:
            raise ServiceError(
                f"`evertrain up` (pid {up.process.pid}) runs for {settings.home}, but its Prefect server "
                f"didn't come within {START_SECONDS:.0f} s. See its log, or end it with `evertrain down`."
            )
        time.sleep(POLL_SECONDS)


def _end_outdated(home: Path) -> None:
    """End a server of another Prefect, unless it is in use: then it is used by this command too."""
    found = find_server(home)
    if found is None or found.version == version("prefect"):
        return
    with suppress(FileNotFoundError), unused(home) as is_unused:
        if is_unused:
            end_process(found.process)


def start_server(settings: Settings, *, stays: bool) -> LocalServer:
    """Start the child process; unless it stays, it ends when this process does.

    Raises:
        ServiceError: Prefect's home can't be written, or the process ended at once.
    """
    home = settings.prefect_home
    try:
        home.mkdir(parents=True, exist_ok=True)
        # The server inherits the socket: nobody can take its port meanwhile.
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, open_log(home / LOG) as output:
            parent = {"idle_seconds": IDLE_SECONDS} if stays else {"parent": os.getpid()}
            terms = Terms(listener.fileno(), secrets.token_hex(16), is_recorded=stays, **parent)
            port = listener.getsockname()[1]
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, *MODULE, *terms.as_arguments()],
                env=server_environment(settings, port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        record = describe_server(settings, terms.server_id, process.pid, port)
        if stays:
            write_record(home, record)
    except OSError as error:
        raise _unwritable(settings, error) from error
    return LocalServer(record, home / LOG, process)


def describe_server(settings: Settings, server_id: str, pid: int, port: int) -> ServerRecord:
    """Describe the server that the process *pid* has become.

    Raises:
        ProcessLookupError: It is gone.
    """
    home = resolve_home(settings.prefect_home)
    return ServerRecord(server_id, identify_process(pid), port, version("prefect"), home)


@contextmanager
def open_log(path: Path) -> Iterator[int]:
    """Open a server's log to write on; one that has grown long begins anew."""
    is_long = path.exists() and path.stat().st_size > LOG_LIMIT_BYTES
    with path.open("wb" if is_long else "ab") as file:
        yield file.fileno()


def end_process(process: ProcessIdentity) -> None:
    """End *process*, and wait for it; kill it if it doesn't end by itself within 10 s."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_SECONDS
        if is_running(process):
            with suppress(ProcessLookupError):
                os.kill(process.pid, sent)
        while is_running(process) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 2)


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


def free_port() -> int:
    """Find a port of the loopback address that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _unwritable(settings: Settings, error: OSError) -> ServiceError:
    return ServiceError(
        f"The local Prefect server can't be started under {settings.prefect_home}: {error}. "
        "EVERTRAIN_HOME must be a folder that can be written."
    )
