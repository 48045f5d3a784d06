"""Owns ``up`` from its first check to its end: what is started when, and what stands then."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from evertrain.errors import ServiceError
from evertrain.mlflow_client import is_remote, tracking_uri, without_credentials
from evertrain.settings import Settings
from flows.deploying import Deployed
from flows.local_server import end_process
from flows.server.record import find_server
from flows.server.use import find_users, starting, unused, using
from flows.up.parts import (
    LOOPBACK,
    Part,
    PrefectServer,
    claim_port,
    part_environment,
    plan_mlflow,
    plan_runner,
    plan_service,
)
from flows.up.record import being_up, write_up
from flows.up.supervisor import Say, Stopped, Supervisor
from flows.up.watchdog import Watchdog

WAIT_FOR_USERS_SECONDS = 1.0
DEPLOY_SECONDS = 300.0
LAST_LINES = 5


@dataclass(frozen=True)
class Ports:
    """Where the parts are to listen; no MLflow where ``mlflow`` is None."""

    prefect: int
    mlflow: int | None
    service: int


@dataclass(frozen=True)
class Standing:
    """What stands once all is up.

    Attributes:
        addresses: Each part's page.
        deployed: What is registered, and which YAMLs are wrong; None where there is no ``configs/``.
    """

    addresses: Mapping[str, str]
    deployed: Deployed | None


def run_everything(settings: Settings, ports: Ports, say: Say, show: Callable[[Standing], None]) -> None:
    """Run all parts until Ctrl-C or SIGTERM; call it from the main thread.

    Args:
        settings: Say which home, and which servers are the user's own.
        ports: Where the parts are to listen.
        say: Shows one line of a part.
        show: Shows what stands, once it does.

    Raises:
        ServiceError: A port is taken, another ``up`` of this home runs, or a part can't be kept.
    """
    with being_up(settings.home, serves_prefect=settings.prefect_api_url is None), ExitStack() as stack:
        listener = _claim_ports(settings, ports, stack)
        watchdog = Watchdog()
        stack.callback(watchdog.close)
        supervisor = Supervisor(say, watchdog)
        stack.enter_context(supervisor.heeding_signals())
        # Ends before the signals are given back.
        with suppress(Stopped), ExitStack() as ending:
            ending.callback(supervisor.stop)
            up = Up(settings, ports, say, supervisor, ending)
            standing = up.start(listener)
            show(standing)
            supervisor.watch()


def _claim_ports(settings: Settings, ports: Ports, stack: ExitStack) -> socket.socket | None:
    """Look whether the ports are free; Prefect's own is held from now on."""
    listener = None
    if settings.prefect_api_url is None:
        listener = stack.enter_context(claim_port(ports.prefect, "Prefect's server", "--prefect-port"))
    if ports.mlflow is not None and not is_remote(settings):
        claim_port(ports.mlflow, "MLflow's page", "--mlflow-port (or --no-mlflow)").close()
    claim_port(ports.service, "the inference service", "--port").close()
    return listener


class Up:
    """The start of all parts, in the order in which they need each other."""

    def __init__(
        self, settings: Settings, ports: Ports, say: Say, supervisor: Supervisor, ending: ExitStack
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._say = say
        self._supervisor = supervisor
        self._ending = ending

    def start(self, listener: socket.socket | None) -> Standing:
        """Start everything, and wait until it answers.

        Raises:
            Stopped: A signal came.
            ServiceError: A part can't be kept.
        """
        api_url = self._start_prefect(listener)
        parts: list[Part] = [plan_service(self._settings, self._ports.service)]
        if self._ports.mlflow is not None and not is_remote(self._settings):
            parts.append(plan_mlflow(self._settings, self._ports.mlflow))
        for part in parts:
            self._supervisor.start(part)
        standing = self._deploy(api_url)
        self._supervisor.start(plan_runner(self._settings, standing.addresses.get("MLflow")))
        self._supervisor.wait_until_ready(parts)
        write_up(self._settings.home, standing.addresses, serves_prefect=listener is not None)
        return standing

    def _start_prefect(self, listener: socket.socket | None) -> str:
        """Start the home's server where it is ours to start, and wait for it; gives its API's address."""
        if listener is None:
            assert self._settings.prefect_api_url is not None
            return self._settings.prefect_api_url
        server = PrefectServer(self._settings, listener)
        self._ending.callback(server.forget)
        told = ""
        while not self._take_over(server):
            users = ", ".join(map(str, self._users())) or "a command"
            if users != told:
                self._say(server.name, f"waits for the end of {users}, which uses this home's server now")
                told = users
            self._supervisor.pause(WAIT_FOR_USERS_SECONDS)
        self._supervisor.wait_until_ready([server])
        self._say(server.name, f"is up: {server.url}")
        return f"{server.url}/api"

    def _take_over(self, server: PrefectServer) -> bool:
        """Start the home's server, once its idle one was asked to end; gives False where that is in use."""
        home = self._settings.prefect_home
        with starting(home):
            found = find_server(home)
            if found is not None:
                with suppress(FileNotFoundError), unused(home) as is_unused:
                    if not is_unused:
                        return False
                    end_process(found.process)
            self._ending.enter_context(using(home))
            self._supervisor.start(server)
        return True

    def _users(self) -> list[Any]:
        found = find_server(self._settings.prefect_home)
        return list(find_users(self._settings.prefect_home, found.process.pid)) if found else []

    def _deploy(self, api_url: str) -> Standing:
        """Register the pipelines, in a process of its own: what it imports is of no use here."""
        with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as words:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "flows.up.deploying"],
                env=part_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=words,
                start_new_session=True,
            )
            self._await(process)
            answer.seek(0)
            words.seek(0)
            found = _read_answer(answer.read(), words.read())
        return Standing(self._addresses(api_url), found)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + DEPLOY_SECONDS
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"The pipelines weren't deployed within {DEPLOY_SECONDS:.0f} s. Does the Prefect "
                        "server answer? Try `evertrain deploy` by itself."
                    )
                self._supervisor.look()
                self._supervisor.pause()
        finally:
            process.kill()
            process.wait()

    def _addresses(self, api_url: str) -> dict[str, str]:
        service = f"http://{LOOPBACK}:{self._ports.service}"
        found = {"Prefect": without_credentials(api_url.removesuffix("/api"))}
        if is_remote(self._settings):
            found["MLflow"] = without_credentials(tracking_uri(self._settings))
        elif self._ports.mlflow is not None:
            found["MLflow"] = f"http://{LOOPBACK}:{self._ports.mlflow}"
        return {**found, "service": service}


def _read_answer(answer: str, words: str) -> Deployed | None:
    try:
        found = json.loads(answer)
    except ValueError:
        last = " | ".join(words.split("\n")[-LAST_LINES:]).strip()
        raise ServiceError(
            f"The pipelines can't be deployed: {last}. Try `evertrain deploy` by itself."
        ) from None
    if "error" in found:
        raise ServiceError(found["error"])
    return Deployed.model_validate(found["deployed"]) if found else None
