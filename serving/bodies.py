"""Owns reading a request's body up to a limit, packed or not, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serving.problems import MEDIA_TYPE, NOT_PACKED, TOO_LARGE, Refusal
from serving.protocols import Headers
from serving.scoring import Limits

# What zlib is told of each content coding: a header of gzip's, or one of zlib's own.
_WINDOWS = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class Disconnected(Exception):
    """The client went away before its body was whole: nobody is there to be answered."""


class BodyTooLarge(Refusal):
    """A body over the limit: answered at once, while the rest of it is read and thrown away."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            TOO_LARGE,
            f"The body is over {limits.body_bytes} bytes; send fewer rows at a time.",
            field="body",
            headers={"connection": "close"},
        )
        self._limits = limits

    def response(self, **more: Any) -> Response:
        """The whole answer."""
        plain = super().response(**more)
        return _DrainingResponse(plain, self._limits)


class _DrainingResponse(Response):
    """Sends its body, then reads what the client still sends: clients look for an answer only after that."""

    def __init__(self, plain: Response, limits: Limits) -> None:
        super().__init__(plain.body, plain.status_code)
        self.raw_headers = plain.raw_headers
        self._limits = limits

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_seconds):
                await self._drain(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self, receive: Receive) -> None:
        left = self._limits.drain_bytes
        more = True
        while more and left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)


def check_media_type(headers: Headers, allowed: frozenset[str]) -> str:
    """The body's media type, in small letters and without parameters; "" where none is named.

    Raises:
        Refusal: It is none of *allowed*.
    """
    text = headers.get(b"content-type", b"").decode("latin-1")
    media_type = text.partition(";")[0].strip().lower()
    if media_type not in allowed:
        expected = " or ".join(sorted(allowed - {""}))
        found = media_type or "missing"
        raise Refusal(
            MEDIA_TYPE, f"The content type is {found!r}; expected {expected}.", field="content-type"
        )
    return media_type


async def read_body(headers: Headers, receive: Receive, limits: Limits) -> bytes:
    """Read a body, and unpack it where it was packed.

    Raises:
        Refusal: It is larger than *limits* allows, packed or unpacked, or packed in a way unknown here.
        Disconnected: The client went away.
    """
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding != b"identity":
        return await _read_packed(coding, receive, limits)
    message = await _receive(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        # Nearly all bodies come whole.
        if len(body) > limits.body_bytes:
            raise BodyTooLarge(limits)
        return body
    pieces, size = [body], len(body)
    while message.get("more_body", False):
        if size > limits.body_bytes:
            raise BodyTooLarge(limits)
        message = await _receive(receive)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    if size > limits.body_bytes:
        raise BodyTooLarge(limits)
    return b"".join(pieces)


async def _read_packed(coding: bytes, receive: Receive, limits: Limits) -> bytes:
    window = _WINDOWS.get(coding)
    if window is None:
        raise Refusal(
            MEDIA_TYPE,
            f"The content encoding is {coding.decode('latin-1')[:40]!r}; expected gzip, deflate or none.",
            field="content-encoding",
        )
    unpacker = zlib.decompressobj(window)
    body = bytearray()
    wire = 0
    more = True
    while more:
        message = await _receive(receive)
        piece, more = message.get("body", b""), message.get("more_body", False)
        wire += len(piece)
        try:
            # No further than one byte over the limit, whatever it would unpack to.
            body += unpacker.decompress(piece, limits.body_bytes + 1 - len(body))
        except zlib.error as error:
            raise Refusal(NOT_PACKED, f"The body isn't {coding.decode()}: {error}.", field="body") from error
        if len(body) > limits.body_bytes or wire > limits.body_bytes:
            raise BodyTooLarge(limits)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal(NOT_PACKED, f"The body isn't whole {coding.decode()}.", field="body")
    return bytes(body)


async def _receive(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message
