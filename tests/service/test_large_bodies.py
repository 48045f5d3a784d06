"""Bodies over the limit, over a real connection: the client sees the refusal, the rest is read in bounds."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

from serving.fleet import Served
from serving.scoring import Limits

pytestmark = pytest.mark.e2e
HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture
def fleet(asker, bundle_of):
    fleet = asker().fleet
    fleet.put(Served("flights", 1, 1, bundle_of()))
    return fleet


def connect(address):
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def is_closed(connection):
    """Whether the other side no longer takes what is sent."""
    try:
        connection.sendall(b" ")
    except OSError:
        return True
    return False


def test_a_client_that_sends_all_before_it_reads_sees_the_refusal(fleet, serve):
    """20 MB, with a length or in chunks: 413 and not a broken pipe; the service answers on."""
    body = b" " * 20_000_000

    with serve(fleet) as address:
        for content in (body, (body[i : i + 100_000] for i in range(0, len(body), 100_000))):
            answer = httpx.post(
                f"{address}/invocations", content=content, headers={"content-type": "application/json"}
            )
            assert (answer.status_code, answer.json()["field"]) == (413, "body")
        assert httpx.get(f"{address}/ping").status_code == 200


def test_the_refusal_comes_before_the_rest_of_the_body(fleet, serve):
    """A client that looks while it still sends has its answer as soon as the limit is passed."""
    with serve(fleet) as address, connect(address) as connection:
        connection.sendall(HEAD + b"content-length: 50000000\r\n\r\n" + b" " * 2_000_000)
        with closing(http.client.HTTPResponse(connection)) as answer:
            answer.begin()
            assert answer.status == 413


@pytest.mark.parametrize(
    "limits", [Limits(drain_bytes=300_000), Limits(drain_seconds=0.5)], ids=["bytes", "seconds"]
)
def test_the_rest_is_not_read_for_ever(fleet, serve, limits):
    """After so many bytes, or so many seconds, the connection is closed."""
    with serve(fleet, limits) as address, connect(address) as connection:
        began = time.monotonic()
        connection.sendall(HEAD + b"content-length: 90000000\r\n\r\n" + b" " * 2_000_000)
        while not is_closed(connection):
            time.sleep(0.02)
            assert time.monotonic() - began < 8


def test_a_client_that_goes_away_is_no_failure(fleet, serve, caplog):
    """A connection closed in the middle of a body leaves no traceback and the service answering."""
    with serve(fleet) as address:
        for sent in (b" " * 10, b" " * 2_000_000):
            with connect(address) as connection:
                connection.sendall(HEAD + b"content-length: 9000000\r\n\r\n" + sent)
        assert httpx.get(f"{address}/ping").status_code == 200

    assert not [record for record in caplog.records if record.exc_info]
