"""The floor of any Python service: an ASGI app that reads the body and answers a constant."""

from __future__ import annotations

from typing import Any

BODY = b'{"predictions":[false],"probabilities":[[0.75,0.25]],"classes":[false,true]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer any request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
