"""Owns a JSON POST to an operator's address: bounded, tried again, its failures told without the address."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from evertrain.notifiers.errors import NotSentError

POST_SECONDS = 10.0
PAUSES_SECONDS = (0.5, 1.5)
URL_MARKS = "%/:=&?~+!$,;'@()*[]"


def post_json(address: str, body: Mapping[str, Any]) -> None:
    """POST *body*; up to three times, where the server is busy or out of reach. Follows no redirect.

    Raises:
        NotSentError: It wasn't taken.
    """
    request = _build_request(address, json.dumps(body, ensure_ascii=False).encode())
    opener = urllib.request.build_opener(_NoRedirect)
    for pause_seconds in (*PAUSES_SECONDS, None):
        reason, may_pass = _post(opener, request)
        if reason is None:
            return
        if not may_pass or pause_seconds is None:
            raise NotSentError(reason)
        time.sleep(pause_seconds)


def _build_request(address: str, data: bytes) -> urllib.request.Request:
    try:
        parts = urllib.parse.urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise NotSentError("it holds no address that begins with https:// or http://")
    name = f"[{host}]" if ":" in host else host
    place = f"{name}:{port}" if port else name
    headers = {"Content-Type": "application/json", "User-Agent": "evertrain"}
    if parts.username is not None:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    path, query = (urllib.parse.quote(part, safe=URL_MARKS) for part in (parts.path or "/", parts.query))
    plain = urllib.parse.urlunsplit((parts.scheme, place, path, query, ""))
    return urllib.request.Request(plain, data, headers, method="POST")  # noqa: S310 - looked at above


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Leave a redirect to whoever sees its status: followed, a POST would become a GET."""


def _post(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> tuple[str | None, bool]:
    """Try once; gives why it failed (None: it didn't), and whether that may pass."""
    try:
        with opener.open(request, timeout=POST_SECONDS):
            return None, False
    except urllib.error.HTTPError as answer:
        answer.close()
        return f"the server answered HTTP {answer.code}", answer.code == 429 or answer.code >= 500
    except urllib.error.URLError as cause:
        return _spell_unreachable(cause.reason), True
    except (OSError, http.client.HTTPException) as cause:
        return _spell_unreachable(cause), not isinstance(cause, http.client.InvalidURL)


def _spell_unreachable(cause: object) -> str:
    """Spell why a server can't be reached by the error's kind: its text may quote the address."""
    if isinstance(cause, TimeoutError):
        return f"the server didn't answer within {POST_SECONDS:.0f} s"
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return f"the server can't be reached ({os.strerror(cause.errno)})"
    return f"the server can't be reached ({type(cause).__name__})"
