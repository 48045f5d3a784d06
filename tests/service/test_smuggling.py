"""Requests whose end two readers may see at two places: refused, or read in one way (S9)."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest

BOUND_SECONDS = 20

HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
SMUGGLED = b"GET /health/live HTTP/1.1\r\nconnection: close\r\nhost: x\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SMUGGLED
# A reader on the way may take the smuggled part for the body of the first, or for a request of its own.
AMBIGUOUS = {
    "length and coding": HEAD + b"content-length: 70\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKED,
    "coding and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n" + CHUNKED,
    "length twice, other": HEAD + b"content-length: 0\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "length twice, alike": HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}" + SMUGGLED,
    "length list": HEAD + b"content-length: 0, 43\r\n\r\n" + SMUGGLED,
    "length list alike": HEAD + b"content-length: 2, 2\r\n\r\n{}" + SMUGGLED,
    "length plus": HEAD + b"content-length: +2\r\n\r\n{}" + SMUGGLED,
    "length minus": HEAD + b"content-length: -1\r\n\r\n" + SMUGGLED,
    "length hex": HEAD + b"content-length: 0x2\r\n\r\n{}" + SMUGGLED,
    "length float": HEAD + b"content-length: 2.0\r\n\r\n{}" + SMUGGLED,
    "length empty": HEAD + b"content-length:\r\n\r\n" + SMUGGLED,
    "length huge": HEAD + b"content-length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    "length inner space": HEAD + b"content-length: 1 0\r\n\r\n" + SMUGGLED,
    "length underscore": HEAD + b"content-length: 1_0\r\n\r\n" + SMUGGLED,
    "length space before colon": HEAD + b"content-length : 43\r\n\r\n" + SMUGGLED,
    "length tab before colon": HEAD + b"content-length\t: 43\r\n\r\n" + SMUGGLED,
    "length folded": HEAD + b"content-length:\r\n 43\r\n\r\n" + SMUGGLED,
    "coding space before colon": HEAD + b"transfer-encoding : chunked\r\n\r\n" + CHUNKED,
    "coding folded": HEAD + b"transfer-encoding:\r\n chunked\r\n\r\n" + CHUNKED,
    "coding twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n" + CHUNKED,
    "coding not last": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "coding unknown": HEAD + b"transfer-encoding: xchunked\r\n\r\n" + CHUNKED,
    "coding quoted": HEAD + b'transfer-encoding: "chunked"\r\n\r\n' + CHUNKED,
    "coding with vertical tab": HEAD + b"transfer-encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "coding with NUL": HEAD + b"transfer-encoding: chunked\x00\r\n\r\n" + CHUNKED,
    "coding under HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n" + CHUNKED,
    "obs-fold": HEAD + b"x-a: b\r\n\tcontent-length: 43\r\n\r\n" + SMUGGLED,
    "obs-fold first": b"POST /invocations HTTP/1.1\r\n host: x\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "bare LF headers": HEAD.replace(b"\r\n", b"\n") + b"content-length: 2\n\n{}" + SMUGGLED,
    "bare LF one header": HEAD + b"x-a: b\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "bare CR": HEAD + b"x-a: b\rcontent-length: 43\r\n\r\n" + SMUGGLED,
    "bare LF after size": HEAD + b"transfer-encoding: chunked\r\n\r\n2\n{}\r\n" + CHUNKED,
    "chunk size sign": HEAD + b"transfer-encoding: chunked\r\n\r\n+2\r\n{}\r\n" + CHUNKED,
    "chunk size 0x": HEAD + b"transfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n" + CHUNKED,
    "chunk size huge": HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n" + CHUNKED,
    "chunk too long": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{}\r\n" + CHUNKED,
    "chunk extension LF": HEAD + b"transfer-encoding: chunked\r\n\r\n2;a\n{}\r\n" + CHUNKED,
    "name with space": HEAD + b"x y: z\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "name with NUL": HEAD + b"x\x00: z\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "value with NUL": HEAD + b"x: \x00z\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "no name": HEAD + b": z\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
    "no colon": HEAD + b"nonsense\r\ncontent-length: 43\r\n\r\n" + SMUGGLED,
}  # fmt: skip


@pytest.fixture(scope="module")
def address(module_server):
    """One real server for all of them."""
    return module_server


def exchange(address, sent):
    """Send raw bytes, say that there are no more, and give the statuses and all that comes back."""
    parts = urlsplit(address)
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=BOUND_SECONDS) as connection:
        connection.sendall(sent)
        while piece := connection.recv(65536):
            answer += piece
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)], answer


def test_two_clear_requests_are_two(address):
    """What these tests rely on: where the end is clear, the second request is answered too."""
    for clear in (b"content-length: 2\r\n\r\n{}", b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
        assert exchange(address, HEAD + clear + SMUGGLED)[0] == [422, 200]
    assert len(AMBIGUOUS) >= 40


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_is_refused(address, name):
    """It is answered by one problem, 400, and the connection ends: what follows is no request."""
    found, answer = exchange(address, AMBIGUOUS[name])

    assert found == [400]
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer
