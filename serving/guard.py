"""Owns who may ask what: all but health needs a key of its scope, decided before any route is found."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from evertrain.api_keys import ApiKey, Keys, find_key, read_keys
from evertrain.errors import ConfigError
from serving.problems import NO_KEY, WRONG_SCOPE, Refusal
from serving.retries import Clock, Retry

OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready"})
"""Asked by load balancers, which have no key. Compared whole: a path that only looks like one needs a key."""

REREAD_SECONDS = 1.0
_FEEDBACK = re.compile(r"/models/[^/]+/feedback")
_READING = frozenset({"GET", "HEAD"})


class KeyRing:
    """The keys of a file, read again when it has changed: a key that was removed ends within a second.

    Args:
        path: ``EVERTRAIN_API_KEYS_FILE``.
        clock: Monotonic seconds.

    Raises:
        ConfigError: The file can't be used.
    """

    def __init__(self, path: Path, clock: Clock = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen = _fingerprint(path)
        self._keys: Keys = read_keys(path)
        self._look_at_seconds = clock() + REREAD_SECONDS
        self._reading = Retry("Can't read the API keys again, those known stay in force", clock)

    def find(self, presented: str) -> ApiKey | None:
        """The key that *presented* is, or None."""
        if self._clock() >= self._look_at_seconds:
            self._look_at_seconds = self._clock() + REREAD_SECONDS
            self._reading.attempt(self._read_if_changed)
        return find_key(self._keys, presented)

    def _read_if_changed(self) -> None:
        seen = _fingerprint(self._path)
        if seen != self._seen:
            self._keys = read_keys(self._path)
            self._seen = seen


class Guard:
    """Lets a request through to *app* if its key is for what it asks; an ASGI application itself."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a key, 403 with one that is for other things."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif scope["path"] not in OPEN_PATHS and (refusal := self._refuse(scope)) is not None:
            await refusal.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> Refusal | None:
        by_browser = _is_browser_looking(scope)
        presented = _presented_key(scope["headers"], by_browser=by_browser)
        if presented is None:
            told = "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            return _no_key(f"This address needs an API key; {told}.", by_browser=by_browser)
        key = self._keys.find(presented)
        if key is None:
            return _no_key("This API key isn't known here, or was removed.", by_browser=by_browser)
        needed = needed_scope(scope["method"], scope["path"])
        if not key.allows(needed):
            return Refusal(
                WRONG_SCOPE,
                f"The key {key.name!r} is for {', '.join(sorted(key.scopes))}; this address needs {needed}.",
            )
        return None


def needed_scope(method: str, path: str) -> str:
    """The scope that a request needs; a method that nothing here takes needs ``admin``."""
    if method in _READING:
        return "read"
    if method == "POST":
        return "feedback" if _FEEDBACK.fullmatch(path) else "predict"
    return "admin"


def _is_browser_looking(scope: Scope) -> bool:
    """Whether a page is asked for: a browser sends what was once typed by itself, so it may do no more."""
    wanted = (value for name, value in scope["headers"] if name == b"accept")
    return scope["method"] in _READING and any(b"text/html" in value for value in wanted)


def _no_key(detail: str, *, by_browser: bool) -> Refusal:
    challenge = 'Bearer realm="evertrain"'
    if by_browser:
        challenge += ', Basic realm="evertrain: any name, and the API key as password", charset="UTF-8"'
    return Refusal(NO_KEY, detail, headers={"www-authenticate": challenge})


def _presented_key(headers: Iterable[tuple[bytes, bytes]], *, by_browser: bool) -> str | None:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer" and key.strip():
                return key.strip()
            if scheme.lower() == "basic" and by_browser:
                return _password(key)
        elif name == b"x-api-key" and value.strip():
            return value.decode("latin-1").strip()
    return None


def _password(credentials: str) -> str | None:
    try:
        typed = base64.b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        return None
    return typed.partition(":")[2] or None


def _fingerprint(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as cause:
        raise ConfigError(
            f"EVERTRAIN_API_KEYS_FILE is {path}, which can't be read: {cause.strerror}. "
            "`evertrain keys add NAME --scope predict` makes it."
        ) from cause
    return found.st_mtime_ns, found.st_size, found.st_ino
