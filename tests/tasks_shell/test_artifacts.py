"""What a run shows in Prefect's UI, against servers that falter: one that refuses, and then serves."""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from httpx import TransportError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks import artifacts
from tasks.artifacts import show_table

ROWS = [{"gate": "signature", "verdict": "pass"}]


class Server(ThreadingHTTPServer):
    """Answers what is posted by each of *statuses* in turn, then by 201; keeps what it took."""

    def __init__(self, statuses: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()
        self.statuses = list(statuses)
        self.taken: list[dict[str, Any]] = []
        self.asked = 0

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """No token is needed against forged requests."""
        self.answer(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked += 1
        status = self.server.statuses.pop(0) if self.server.statuses else 201
        if status == 201:
            self.server.taken.append(body)
        self.answer(status)

    def answer(self, status: int) -> None:
        self.send_response(status)
        # A proxy that is overloaded says so.
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(server: Server) -> Iterator[None]:
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def prefect_at(server: Server) -> Iterator[None]:
    """Have Prefect's client ask *server*, and leave trying again to us."""
    with temporary_settings({PREFECT_API_URL: server.api, PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_server_that_falters_gets_it_at_the_next_try(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """After a 503, 500 or 429 the next try brings the table, and nobody is bothered."""
    server = Server((status,))

    with served(server), prefect_at(server):
        show_table("loans-gates", ROWS, "All gates let it pass.")

    (taken,) = server.taken
    assert (taken["key"], taken["type"]) == ("loans-gates", "table")
    assert taken["description"] == "All gates let it pass."
    assert json.loads(taken["data"]) == ROWS
    assert caplog.messages == []


def test_a_server_that_starts_meanwhile_gets_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at first, taken once the server listens."""
    server = Server()
    refused = threading.Event()
    may_pass = artifacts.may_pass

    def see(cause: BaseException) -> bool:
        refused.set()
        return may_pass(cause)

    monkeypatch.setattr(artifacts, "may_pass", see)
    with prefect_at(server):
        # It sees there what is set here.
        words = (show_table, "loans-gates", ROWS, "")
        shown = threading.Thread(target=contextvars.copy_context().run, args=words)
        shown.start()
        assert refused.wait(60)
        with served(server):
            shown.join(60)

    assert [taken["key"] for taken in server.taken] == ["loans-gates"]
    assert caplog.messages == []


def test_a_server_that_stays_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never listens is waited for as long as was said, and then the fault is the run's."""
    monkeypatch.setattr(artifacts, "PATIENCE_SECONDS", 1.0)
    server = Server()

    with prefect_at(server), pytest.raises(TransportError, match="refused"):
        show_table("loans-gates", ROWS, "")

    server.server_close()


@pytest.mark.parametrize("status", [401, 403, 422])
def test_what_will_not_pass_is_tried_once(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A key that lacks the right, or a table that isn't liked: asked once, warned of, left out."""
    server = Server((status,) * 9)

    with served(server), prefect_at(server):
        show_table("loans-gates", ROWS, "")

    assert server.asked == 1
    assert [message.partition("take it ")[2] for message in caplog.messages] == [
        f"(it answered {status}). The run goes on."
    ]
