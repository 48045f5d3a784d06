"""Owns reading a request's body up to a limit, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.problems import MEDIA_TYPE, TOO_LARGE, Refusal
from serving.scoring import Limits

_JSON = "application/json"


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

    def response(self) -> Response:
        """The whole answer."""
        plain = super().response()
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


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a JSON body.

    Raises:
        Refusal: Its media type isn't JSON, or it is larger than *limits* allows.
        ClientDisconnect: The client went away.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON:
        raise Refusal(
            MEDIA_TYPE,
            f"The content type is {media_type or 'missing'!r}; expected {_JSON}.",
            field="content-type",
        )
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.body_bytes:
            raise BodyTooLarge(limits)
        chunks.append(chunk)
    return b"".join(chunks)
