"""Owns how the service says no: RFC 9457 problems, one kind for each refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

PROBLEM_TYPE = "application/problem+json"
DETAIL_CHARACTERS, FIELD_CHARACTERS = 2_000, 200
"""So much of a problem is told: a caller's column may have a name as long as a body."""


@dataclass(frozen=True)
class Kind:
    """One kind of refusal: ``slug`` ends its ``type`` URI, ``title`` never varies."""

    slug: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The problem's ``type``."""
        return f"urn:evertrain:problem:{self.slug}"


NOT_JSON = Kind("not-json", 400, "The body is not JSON")
BAD_REQUEST = Kind("bad-request", 400, "The request is no HTTP that can be read in one way")
NO_KEY = Kind("no-key", 401, "An API key is needed here")
WRONG_SCOPE = Kind("wrong-scope", 403, "The API key is for other things")
NOT_PACKED = Kind("not-packed", 400, "The body can't be unpacked")
NOT_CSV = Kind("not-csv", 400, "The body is not CSV")
UNKNOWN_MODEL = Kind("unknown-model", 404, "No such model here")
NO_ROUTE = Kind("no-route", 404, "No such address here")
NO_REPORT = Kind("no-report", 404, "No such report here")
WRONG_METHOD = Kind("wrong-method", 405, "The address doesn't take this method")
TOO_SLOW = Kind("too-slow", 408, "The request didn't arrive in time")
TOO_LARGE = Kind("too-large", 413, "The request is too large")
MEDIA_TYPE = Kind("media-type", 415, "The media type isn't taken here")
INVALID_INPUT = Kind("invalid-input", 422, "The rows can't be scored as they are")
HEADERS_TOO_LARGE = Kind("headers-too-large", 431, "The headers are too large")
MODEL_FAILED = Kind("model-failed", 500, "The model failed")
NOT_READY = Kind("not-ready", 503, "No model is ready yet")
NOT_KEPT = Kind("not-kept", 503, "The labels can't be kept now")
NO_STORE = Kind("no-store", 503, "The store can't be read now")
OVERLOADED = Kind("overloaded", 503, "More is asked than can be answered")


class Refusal(Exception):
    """A request that is answered by a problem.

    Args:
        kind: Which refusal it is.
        detail: What was found, what was expected, what to do.
        field: The column, or the part of the request, that is wrong.
        headers: Further headers of the answer.
    """

    def __init__(
        self, kind: Kind, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = _cut(detail, DETAIL_CHARACTERS)
        self.field = None if field is None else _cut(field, FIELD_CHARACTERS)
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The problem as it stands in the body; ``field`` only where there is one."""
        problem: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        return problem if self.field is None else {**problem, "field": self.field}

    def response(self, **more: Any) -> Response:
        """The whole answer, with further members."""
        body = encode_json(self.document() | more)
        return Response(body, self.kind.status, headers=self.headers, media_type=PROBLEM_TYPE)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def encode_answer(value: Any) -> bytes:
    """Spell an answer as ``encode_json`` does, faster; its numbers are finite, arrays stand for lists."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # A lone surrogate, or a whole number beyond 64 bits.
        return encode_json(value)


def encode_json(value: Any) -> bytes:
    """Spell *value* as compact UTF-8 JSON.

    Raises:
        ValueError: *value* holds a number that is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_list)
    # A lone surrogate that a caller sent has no UTF-8; backslashreplace spells it as JSON's own escape.
    return text.encode("utf-8", "backslashreplace")


def _as_list(array: Any) -> Any:
    return array.tolist()
