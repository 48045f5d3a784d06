"""Owns what fault tests share: both kinds of store, and a bad line between a client and an S3 server."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

Fault = Callable[["Line", str, str], str]
HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "transfer-encoding", "content-length"})


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store: a folder, then a bucket."""
    if request.param == "local":
        return str(tmp_path / "store")
    return f"s3://{request.getfixturevalue('s3_bucket')}/loop"


@pytest.fixture
def bad_line(s3_server: Any, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line to the S3 server on which a test may lose things; boto3's environment leads over it."""
    with Line(s3_server.endpoint) as line:
        monkeypatch.setenv("AWS_ENDPOINT_URL", line.endpoint)
        yield line


class Line(ThreadingHTTPServer):
    """Passes requests on, but for what ``fault`` says of each.

    ``fault(line, method, path)`` gives ``pass``; ``refuse``: it never arrives; ``lose``: it arrives, its
    answer doesn't; ``cut``: half of the answer's body does; ``reset``: as lose, with a reset; ``hold``: it
    arrives after ``hold_seconds``, its answer doesn't.
    """

    daemon_threads = True
    block_on_close = False
    hold_seconds = 1.5

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.to = urlsplit(endpoint).netloc
        self.fault: Fault = lambda line, method, path: "pass"
        self.seen: list[str] = []
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Line:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what these tests are about."""


class Passing(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Line

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault(self.server, self.command, self.path)
        self.server.seen.append(f"{fault} {self.command} {self.path}")
        self.close_connection = True
        if fault == "refuse":
            return
        if fault == "hold":
            time.sleep(self.server.hold_seconds)
        answer, content = self.ask(body)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault in ("pass", "cut"):
            self.answer(answer, content, len(content) // 2 if fault == "cut" else len(content))

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on

    def ask(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        line = HTTPConnection(self.server.to, timeout=20)
        line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                line.putheader(name, value)
        line.putheader("Content-Length", str(len(body)))
        line.endheaders(body)
        answer = line.getresponse()
        content = answer.read()
        line.close()
        return answer, content

    def answer(self, answer: HTTPResponse, content: bytes, length: int) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        told = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        if answer.status not in (204, 304):
            self.send_header("Content-Length", told or "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[:length])

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""
