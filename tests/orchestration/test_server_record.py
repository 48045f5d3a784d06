from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from evertrain.errors import ServiceError
from evertrain.settings import read_settings
from flows.local_server import LocalServer, describe_server
from flows.server.record import FILE, ServerRecord, find_server, write_record


def described(home: Path, *, port: int) -> ServerRecord:
    """A record that says this process is the server."""
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    return describe_server(read_settings({"EVERTRAIN_HOME": str(home)}), "made-up", os.getpid(), port)


def test_a_recycled_pid_a_copied_record_and_garbage_name_no_server(tmp_path: Path) -> None:
    """A process that started at another time is another; a copied home is not the one that is served."""
    record = described(tmp_path, port=9)
    home = tmp_path / "prefect"
    write_record(home, record)
    assert find_server(home) == record
    copied = tmp_path / "copy" / "prefect"
    copied.mkdir(parents=True)
    (copied / FILE).write_bytes((home / FILE).read_bytes())
    assert find_server(copied) is None
    for garbage in ("", "[]", "{}", '{"process": 1}', "\x00"):
        (home / FILE).write_text(garbage)
        assert find_server(home) is None

    write_record(home, replace(record, process=replace(record.process, started=1.0)))

    assert find_server(home) is None


@contextmanager
def someone_else() -> Iterator[int]:
    """A web server of someone else's that answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_someone_else_on_the_port_is_not_taken_for_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 200 isn't enough: the answer must bear the server's id. What never answers so is given up."""
    monkeypatch.setattr("flows.local_server.START_SECONDS", 0.5)
    with someone_else() as port:
        record = described(tmp_path, port=port)

        assert not record.answers()
        with pytest.raises(ServiceError, match="evertrain down"):
            LocalServer(record, tmp_path / "server.log").wait_until_ready()
