"""What clients can do to a connection: be slow, be many; none of it keeps another waiting."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from serving.connections import Patience, fitted_patience
from serving.fleet import Fleet, Served

BOUND_SECONDS = 20
SLOW_CLIENTS = 200
HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
def start(serve, bundle_of):
    """A real server of one model, with a patience of its own; gives its address."""
    with ExitStack() as stack:

        def _start(patience=None):
            fleet = Fleet()
            fleet.put(Served("flights", 1, 1, bundle_of()))
            return stack.enter_context(serve(fleet, patience=patience))

        yield _start


def connect(address):
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=BOUND_SECONDS)


def read_to_end(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def statuses(answer):
    """The status of each response in what came back."""
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.mark.parametrize(
    ("sent", "part"),
    [
        (b"P", "headers"),
        (HEAD, "headers"),
        (HEAD + b"content-type: application/json\r\ncontent-length: 9\r\n\r\n{", "body"),
    ],
)
def test_what_takes_too_long_is_told_and_closed(start, sent, part):
    """Headers or a body that don't come to their end are answered 408, and the connection ends."""
    address = start(Patience(headers_seconds=0.3, body_seconds=0.3))

    with connect(address) as connection:
        connection.sendall(sent)
        answer = read_to_end(connection)

    assert statuses(answer) == [408]
    assert b"connection: close" in answer
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["type"] == "urn:evertrain:problem:too-slow"
    assert part in problem["detail"]


def test_a_connection_that_says_nothing_is_closed(start):
    """It isn't told anything: there is no request to answer."""
    with connect(start(Patience(headers_seconds=0.3))) as connection:
        assert read_to_end(connection) == b""


def test_bytes_that_drip_do_not_buy_time(start):
    """A byte now and then doesn't put off the end: the time counts from the first."""
    address = start(Patience(headers_seconds=0.5))
    began = time.monotonic()

    with connect(address) as connection:
        for byte in b"GET /health/live HTTP/1.1\r\nhost: " + b"x" * 10_000:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.02)

    assert time.monotonic() - began < BOUND_SECONDS / 2


def test_a_quick_request_in_pieces_is_answered(start, row):
    """Pieces that come in time make a request like any other, twice on one connection."""
    address = start(Patience(headers_seconds=BOUND_SECONDS, body_seconds=BOUND_SECONDS))
    body = json.dumps({"inputs": [row]}).encode()
    request = (
        b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    ) + body

    with connect(address) as connection:
        for _ in range(2):
            for place in range(0, len(request), 40):
                connection.sendall(request[place : place + 40])
                time.sleep(0.005)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_endless_headers_are_refused(start):
    """Headers over their limit are answered 431 while they still come, and not kept."""
    address = start(Patience(headers_bytes=8_000, headers_seconds=BOUND_SECONDS))

    with connect(address) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n")
        while not select.select([connection], [], [], 0.01)[0]:
            connection.sendall(b"x-more: " + b"y" * 1000 + b"\r\n")
        answer = connection.recv(65536)

    assert statuses(answer) == [431]


def test_a_connection_too_many_is_turned_away(start):
    """Over the limit a connection gets 503 with Retry-After; once another has gone, there is room again."""
    address = start(Patience(connections=3, headers_seconds=BOUND_SECONDS))

    with connect(address), connect(address), connect(address):
        time.sleep(0.2)
        with connect(address) as one_too_many:
            answer = read_to_end(one_too_many)
    assert statuses(answer) == [503]
    assert b"retry-after: 1" in answer.lower()
    deadline = time.monotonic() + BOUND_SECONDS
    while httpx.get(f"{address}/health/live").status_code != 200:
        assert time.monotonic() < deadline


def test_the_limit_leaves_room_for_files():
    """However few files a process may open, some are left for the store."""
    assert 1 <= fitted_patience().connections <= 1024


def test_slow_clients_keep_nobody_waiting(start, row):
    """Two hundred clients that drip a byte at a time (S8): requests beside them are all answered."""
    address = start()
    stop = threading.Event()

    def drip(connections):
        while not stop.wait(0.5):
            for connection in connections:
                connection.sendall(b"x")

    with ExitStack() as stack:
        slow = [stack.enter_context(connect(address)) for _ in range(SLOW_CLIENTS)]
        for connection in slow:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nx-slow: ")
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        try:
            with httpx.Client(base_url=address) as client:
                answers = [client.post("/invocations", json={"inputs": [row]}) for _ in range(100)]
        finally:
            stop.set()
            dripping.join(BOUND_SECONDS)

    assert {answer.status_code for answer in answers} == {200}
