"""Owns a server under load, on one core and asked by wrk from another: how soon, how fast, what memory."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from measuring.processes import OWN, SILENT, CommandFailed

SERVER_CORE, CALLER_CORE = "0", "1"
START_SECONDS = 180
WARM_UP_SECONDS = 2
# wrk prints latencies for people; this prints them for us, in microseconds.
SCRIPT = """
wrk.method = "POST"
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.body = file:read("*a")
file:close()
for name, value in string.gmatch(os.getenv("BENCH_HEADERS"), "([^:\\n]+): ([^\\n]+)") do
  wrk.headers[name] = value
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("FIGURES %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Question:
    """One request: where to, its headers, its body."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


class Load(NamedTuple):
    """What a stretch of load came to."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    process: subprocess.Popen[bytes]
    first_answer_seconds: float

    def ask(self, question: Question) -> bytes:
        """Ask once; gives the body of the answer."""
        status, body = _ask(self.port, question)
        if status != 200:
            raise CommandFailed(f"{question.path} answered {status}: {body[:500]!r}")
        return body

    def look(self, path: str) -> Any:
        """What a GET of *path* gives, as JSON."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def load(self, question: Question, connections: int, seconds: float) -> Load:
        """Have wrk ask the same for some seconds, after a warm-up.

        Raises:
            CommandFailed: An answer was no success, or wrk failed.
        """
        self._wrk(question, connections, WARM_UP_SECONDS)
        return self._wrk(question, connections, seconds)

    def memory_mib(self) -> float:
        """The resident memory of the server and its children; what they share counts once."""
        root = psutil.Process(self.process.pid)
        return sum(one.memory_full_info().pss for one in (root, *root.children(recursive=True))) / 2**20

    def _wrk(self, question: Question, connections: int, seconds: float) -> Load:
        with tempfile.TemporaryDirectory(prefix="evertrain-wrk-") as folder:
            body, script = Path(folder, "body"), Path(folder, "post.lua")
            body.write_bytes(question.body)
            script.write_text(SCRIPT)
            headers = "\n".join(f"{name}: {value}" for name, value in question.headers.items())
            words = [
                "taskset",
                "-c",
                CALLER_CORE,
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
            ]
            words += ["--timeout", "20s", "-s", str(script), f"http://127.0.0.1:{self.port}{question.path}"]
            variables = {**os.environ, "BENCH_BODY": str(body), "BENCH_HEADERS": headers}
            done = subprocess.run(
                words, env=variables, capture_output=True, text=True, timeout=seconds + 60, check=False
            )
        figures = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("FIGURES")]
        if done.returncode != 0 or not figures:
            raise CommandFailed(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
        requests, duration, p50, p99, errors = map(int, figures[0])
        if errors or not requests:
            raise CommandFailed(f"{errors} of {requests} requests to {question.path} failed")
        return Load(requests / (duration / 1e6), p50 / 1e3, p99 / 1e3)


@contextmanager
def serving(
    words: tuple[str, ...], variables: Mapping[str, str], folder: Path, port: int, question: Question
) -> Iterator[Running]:
    """Run a server on one core until the block ends; gives it once it has answered *question*.

    Raises:
        CommandFailed: It ended, or answered nothing in time; tells the end of what it printed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    log = Path(folder, f"server-{port}.log")
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *words],
            cwd=folder,
            env={**kept, **SILENT, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_answer(process, port, question, log)
            yield Running(port, process, time.perf_counter() - started)
        finally:
            _end(process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def missing_programs() -> list[str]:
    """Which of the programs that this needs aren't installed."""
    return [program for program in ("wrk", "taskset") if shutil.which(program) is None]


def _await_answer(process: subprocess.Popen[bytes], port: int, question: Question, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    told = "it answered nothing"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            status, body = _ask(port, question)
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
            continue
        if status == 200:
            return
        told = f"it answered {status}: {body[:500]!r}"
        time.sleep(0.02)
    raise CommandFailed(f"{process.args} doesn't serve: {told}\n{log.read_text(errors='replace')[-3000:]}")


def _ask(port: int, question: Question) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", question.path, question.body, dict(question.headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    tree = []
    if process.poll() is None:
        tree = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in tree:
        try:
            left.kill()
        except psutil.NoSuchProcess:
            continue


def spell_json(value: object) -> bytes:
    """Spell a body as clients do."""
    return json.dumps(value).encode()
