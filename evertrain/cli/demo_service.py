"""Owns the demo's inference service: a child process, asked by HTTP as any client would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evertrain.errors import ServiceError
from evertrain.progress import step
from evertrain.settings import Settings

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from rich.console import Console

    from evertrain.config import PipelineConfig

ROWS_A_REQUEST = 1_000
LATE_MINUTES = 15
READY_SECONDS = 30.0
STOP_SECONDS = 5.0
REQUEST_SECONDS = 10.0


@dataclass(frozen=True)
class Flown:
    """A month of flights: feature columns, whether each was late, and which rows are known to have landed."""

    features: dict[str, np.ndarray]
    late: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Answers:
    """The service's probabilities of being late, shape (n,), and the version that gave them."""

    version: int
    probabilities: np.ndarray


class DemoService:
    """The running service, and a client that keeps its connection."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self._client = client
        self._name = name

    def wait_for(self, version: int) -> None:
        """Wait until the service answers from *version*.

        Raises:
            ServiceError: It didn't within 30 s.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._version() == version:
                return
            time.sleep(0.1)
        raise ServiceError(f"The demo's service didn't take version {version} within {READY_SECONDS:.0f} s.")

    def score(self, features: dict[str, np.ndarray], console: Console) -> Answers:
        """Ask for all rows, 1,000 a request."""
        import numpy as np
        from rich.progress import track

        rows = len(next(iter(features.values())))
        starts = range(0, rows, ROWS_A_REQUEST)
        parts: list[list[list[float]]] = []
        version = 0
        silent = not console.is_terminal
        for start in track(starts, "scoring", console=console, transient=True, disable=silent):
            end = start + ROWS_A_REQUEST
            reply = self._ask({name: column[start:end] for name, column in features.items()})
            version = int(reply.headers["x-evertrain-version"])
            parts.append(reply.json()["probabilities"])
        return Answers(version, np.asarray([row[-1] for part in parts for row in part]))

    def _ask(self, columns: dict[str, np.ndarray]) -> httpx.Response:
        body = {"inputs": {name: column.tolist() for name, column in columns.items()}}
        reply = self._client.post("/invocations", json=body)
        reply.raise_for_status()
        return reply

    def _version(self) -> int | None:
        import httpx

        try:
            reply = self._client.get(f"/models/{self._name}")
        except httpx.TransportError:
            return None
        body: dict[str, Any] = reply.json() if reply.status_code == httpx.codes.OK else {}
        version: int | None = body.get("version")
        return version


@contextmanager
def serving(name: str, settings: Settings) -> Iterator[DemoService]:
    """Serve *name*'s champion on a free port while the block runs; the service ends with this process.

    Raises:
        ServiceError: The service isn't ready within 30 s.
    """
    import httpx

    from flows.local_server import free_port

    port = free_port()
    command = [sys.executable, "-m", "evertrain.cli", "serve", name, "--port", str(port)]
    with (settings.home / "serve.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, "--parent", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It lives for minutes, on loopback, for this process alone: an empty name asks for no keys.
            env={**os.environ, "EVERTRAIN_HOME": str(settings.home), "EVERTRAIN_API_KEYS_FILE": ""},
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=REQUEST_SECONDS) as client:
            with step("serve", {}) as note:
                wait_until_ready(client, process, settings.home / "serve.log")
                note.text = f"http://127.0.0.1:{port}"
            yield DemoService(client, name)
    finally:
        stop(process)


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the readiness route.

    Raises:
        ServiceError: The service ended, or wasn't ready within 30 s.
    """
    import httpx

    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            # It isn't listening yet.
            pass
        time.sleep(0.1)
    raise ServiceError(f"The demo's service wasn't ready within {READY_SECONDS:.0f} s; its log is {log}.")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the service; kill it if it doesn't end by itself within 5 s."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_month(path: Path, config: PipelineConfig) -> Flown:
    """Read a month's flights as a caller would know them, and whether they came to be late."""
    import numpy as np
    from pyarrow import parquet

    from evertrain.datasets import to_columns

    names = config.data.features.names if config.data.features else ()
    table = parquet.read_table(path, columns=[*names, "arr_delay"])
    delay_minutes = table["arr_delay"].cast("float64").to_numpy()
    known = np.flatnonzero(~np.isnan(delay_minutes))
    return Flown(to_columns(table, names), delay_minutes > LATE_MINUTES, known)
