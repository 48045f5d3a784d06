"""Owns what ``up`` runs: each part's command, environment, address, and how it is seen to answer."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Protocol

from evertrain.errors import ServiceError
from evertrain.settings import Settings
from flows.local_server import describe_server
from flows.prefect_environment import prefect_environment, server_environment
from flows.server.record import ServerRecord, remove_record, write_record
from flows.server.terms import MODULE, Terms

# While a part is asked, a Ctrl-C has to wait.
PROBE_SECONDS = 0.5
LOOPBACK = "127.0.0.1"


class Part(Protocol):
    """Something that ``up`` runs."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    @property
    def leaves_last(self) -> bool:
        """Whether the others need it while they end."""

    @property
    def in_group(self) -> bool:
        """Whether its whole process group is asked to end: it doesn't pass the signal on by itself."""

    @property
    def starts_silently(self) -> bool:
        """Whether what it says before it answers is of no use, unless it never does."""

    def start(self) -> subprocess.Popen[str]:
        """Start it; what it says comes through its standard output."""

    def answers(self) -> bool:
        """Whether it is up."""


class Program:
    """A part that is one command.

    Args:
        name: What the log calls it.
        command: What is run.
        environment: All of its variables.
        health: The address that answers 200 once it is up; None: as soon as it runs.
        in_group: Whether its whole process group is asked to end.
    """

    leaves_last = False

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        health: str | None = None,
        in_group: bool = False,
    ) -> None:
        self.name = name
        self.in_group = in_group
        self._command = command
        self._environment = environment
        self._health = health
        self.starts_silently = health is not None

    def start(self) -> subprocess.Popen[str]:
        """Start the command."""
        return start_process(self._command, self._environment)

    def answers(self) -> bool:
        """Whether its health route does."""
        return self._health is None or answers(self._health)


class PrefectServer:
    """The home's Prefect server, on a socket that stays the same through all of its starts."""

    name = "prefect"
    leaves_last = True
    in_group = False
    starts_silently = False

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._record: ServerRecord | None = None

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def start(self) -> subprocess.Popen[str]:
        """Start the server, and name it as the home's own."""
        terms = Terms(self._listener.fileno(), secrets.token_hex(16), parent=os.getpid(), is_recorded=True)
        port = self._listener.getsockname()[1]
        process = start_process(
            [sys.executable, *MODULE, *terms.as_arguments()],
            server_environment(self._settings, port),
            [self._listener.fileno()],
        )
        self._record = describe_server(self._settings, terms.server_id, process.pid, port)
        write_record(self._settings.prefect_home, self._record)
        return process

    def answers(self) -> bool:
        """Whether this very server does."""
        return self._record is not None and self._record.answers(PROBE_SECONDS)

    def forget(self) -> None:
        """Take its record away, should it have been killed."""
        if self._record is not None:
            remove_record(self._settings.prefect_home, self._record.id)


def start_process(
    command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int] = ()
) -> subprocess.Popen[str]:
    """Start a part in a session of its own: a Ctrl-C in the terminal is ``up``'s to answer."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        command,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=inherited,
        start_new_session=True,
        text=True,
        errors="replace",
    )


def answers(url: str) -> bool:
    """Whether *url* gives 200 at once."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as reply:  # noqa: S310 - our own loopback address
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def claim_port(port: int, what: str, option: str) -> socket.socket:
    """Listen on *port* of the loopback address.

    Raises:
        ServiceError: It is taken; names *option*, that chooses another.
    """
    try:
        return socket.create_server((LOOPBACK, port), backlog=256)
    except OSError as cause:
        why = "is taken" if cause.errno == errno.EADDRINUSE else f"can't be had: {cause.strerror or cause}"
        raise ServiceError(
            f"Port {port}, where {what} would be, {why}. "
            f"Choose another one with {option}, or end what is there.",
            port=port,
        ) from cause


def part_environment(settings: Settings) -> dict[str, str]:
    """What a part of ours sees: this home, whose Prefect server it finds as every command does."""
    return {**os.environ, **prefect_environment(settings), "EVERTRAIN_HOME": str(settings.home)}


def plan_runner(settings: Settings, mlflow_pages: str | None) -> Program:
    """Plan what runs the deployments.

    Args:
        settings: Of the home whose runs they are.
        mlflow_pages: Where people open MLflow's pages, for the links in Prefect's.
    """
    environment = part_environment(settings)
    if mlflow_pages is not None:
        environment.setdefault("EVERTRAIN_MLFLOW_PAGES", mlflow_pages)
    return Program("runner", [sys.executable, "-P", "-m", "flows.runner"], environment)


def plan_service(settings: Settings, port: int) -> Program:
    """Plan the inference service: of all pipelines there are, and of those that come."""
    command = [sys.executable, "-P", "-m", "evertrain.cli", "serve", "--port", str(port)]
    health = f"http://{LOOPBACK}:{port}/health/live"
    command += ["--no-log-times", "--parent", str(os.getpid())]
    return Program("service", command, part_environment(settings), health=health)


def plan_mlflow(settings: Settings, port: int) -> Program:
    """Plan MLflow's pages over the embedded database."""
    command = [sys.executable, "-P", "-m", "evertrain.mlflow_pages", str(port)]
    health = f"http://{LOOPBACK}:{port}/health"
    # MLflow's own launcher ends and leaves its server behind.
    return Program("mlflow", command, part_environment(settings), health=health, in_group=True)
