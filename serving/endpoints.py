"""Owns answering one scoring request: the model, its body, its answer, and who is told of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evertrain.errors import ModelNotReady
from serving.admission import Admission
from serving.arms import Arm, Lineup
from serving.bodies import Disconnected, check_media_type, read_body
from serving.feedback import keep_labels
from serving.fleet import Fleet
from serving.metrics import UNKNOWN, ServiceMetrics
from serving.problems import NOT_READY, Refusal, encode_json
from serving.protocols import JSON, Call, Headers, Protocol
from serving.recorder import Answered, Recorder
from serving.scoring import ENTITY, FailedArm, Limits, Scored, score

RETRY_AFTER_SECONDS = 1
# What is scored in less time than a thread's turn costs is scored at once.
INLINE_BYTES = 4096
CLOSED_BY_CLIENT = 499
"""How a request is counted whose caller left before it was whole; nobody is sent it."""

REQUEST_ID = b"x-evertrain-request-id"
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
Find = Callable[[Mapping[str, str]], Lineup]


@dataclass(frozen=True)
class Desk:
    """What every scoring endpoint of a service shares."""

    fleet: Fleet
    limits: Limits
    metrics: ServiceMetrics
    recorder: Recorder
    admission: Admission


class ScoringEndpoint:
    """Answers the calls of one protocol; an ASGI application, since frameworks cost more than the model.

    Args:
        desk: What it shares with others.
        protocol: How it is asked.
        find: Takes the path's parameters; gives who answers, or raises Refusal or ModelNotReady.
    """

    def __init__(self, desk: Desk, protocol: Protocol, find: Find) -> None:
        self._desk = desk
        self._protocol = protocol
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        request_id = sane_request_id(headers)
        sent = [(REQUEST_ID, request_id)]
        lineup: Lineup | None = None
        try:
            lineup = self._find(scope["path_params"])
            scored = await self._score(lineup, headers, request_id, receive)
        except (Refusal, ModelNotReady) as error:
            refusal = as_refusal(error)
            self._tell_refusal(lineup, refusal, time.perf_counter() - began)
            if lineup is not None:
                sent += _told_of(lineup.stable_arm)
            await send_refusal(refusal, sent, self._protocol.error_member, scope, receive, send)
            return
        except Disconnected:
            model, version, arm = _named(lineup)
            seconds = time.perf_counter() - began
            self._desk.metrics.count(model, CLOSED_BY_CLIENT, seconds, version=version, arm=arm)
            return
        body, media_type, more = scored.spelled
        length = str(len(body)).encode()
        told = [(b"content-type", media_type), (b"content-length", length)]
        whole = [*sent, *_told_of(scored.arm), *told, *more]
        await send({"type": "http.response.start", "status": 200, "headers": whole})
        await send({"type": "http.response.body", "body": body})
        self._tell(lineup, scored, headers, request_id.decode(), time.perf_counter() - began)

    async def _score(self, lineup: Lineup, headers: Headers, request_id: bytes, receive: Receive) -> Scored:
        media_type = check_media_type(headers, self._protocol.media_types)
        limits = self._desk.limits
        body = await read_body(headers, receive, limits)
        call = Call(body, media_type, headers, request_id.decode())
        if len(body) <= INLINE_BYTES and lineup.is_quick:
            return score(lineup, self._protocol, call, limits.rows)
        return await self._desk.admission.run(score, lineup, self._protocol, call, limits.rows)

    def _tell(
        self, lineup: Lineup, scored: Scored, headers: Headers, request_id: str, seconds: float
    ) -> None:
        # After the answer was handed over: its caller doesn't wait for this.
        metrics, (arm, served) = self._desk.metrics, scored.arm
        metrics.count(served.name, 200, seconds, version=str(served.version), arm=arm)
        metrics.observe_rows(served, arm, scored.columns, scored.prediction)
        self._tell_challenge(lineup, scored.assigned, seconds, failed=scored.has_failed)
        if lineup.shadowing is not None:
            signature = lineup.stable.bundle.signature
            lineup.shadowing.shadow.offer(scored.columns, scored.prediction, scored.model_seconds, signature)
        entity = headers.get(ENTITY)
        self._desk.recorder.record_answer(
            Answered(
                served=served,
                arm=arm,
                request_id=request_id,
                entity=None if entity is None else entity.decode("latin-1"),
                at_seconds=time.time() - seconds,
                seconds=seconds,
                columns=scored.columns,
                prediction=scored.prediction,
            )
        )

    def _tell_challenge(self, lineup: Lineup, assigned: Arm | None, seconds: float, *, failed: bool) -> None:
        if lineup.challenge is None or assigned is None:
            return
        challenge, challenger = lineup.challenge, assigned.served is lineup.challenge.served
        challenge.tally.count(challenge.step, challenger=challenger, seconds=seconds, failed=failed)
        if failed and challenger:
            served = assigned.served
            self._desk.metrics.count_arm_failure(served.name, str(served.version), assigned.name)

    def _tell_refusal(self, lineup: Lineup | None, refusal: Refusal, seconds: float) -> None:
        metrics, (model, version, arm) = self._desk.metrics, _named(lineup)
        kind = refusal.kind
        metrics.count(model, kind.status, seconds, version=version, arm=arm, kind=kind.slug)
        if lineup is not None and isinstance(refusal, FailedArm):
            metrics.count_arm_failure(model, version, arm)
            self._tell_challenge(lineup, refusal.assigned, seconds, failed=True)


def _named(lineup: Lineup | None) -> tuple[str, str, str]:
    """The model, the version and the arm under which a request is counted that nobody answered."""
    if lineup is None:
        return UNKNOWN, "", ""
    name, served = lineup.stable_arm
    return served.name, str(served.version), name


def _told_of(arm: Arm) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-evertrain-version", str(arm.served.version).encode()),
        (b"x-evertrain-arm", arm.name.encode()),
    ]


def sane_request_id(headers: Headers) -> bytes:
    """The caller's own request id, if it is a sane one; else a new one."""
    given = headers.get(REQUEST_ID)
    return given if given is not None and _SANE_ID.fullmatch(given) else os.urandom(16).hex().encode()


def as_refusal(error: Refusal | ModelNotReady) -> Refusal:
    """How *error* is told to a caller."""
    if isinstance(error, Refusal):
        return error
    return Refusal(NOT_READY, error.message, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


async def send_refusal(
    refusal: Refusal,
    headers: list[tuple[bytes, bytes]],
    error_member: bool,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Send a problem, with *headers* beside its own; with *error_member* its detail is ``error`` too."""
    more: dict[str, Any] = {"error": refusal.detail} if error_member else {}
    response = refusal.response(**more)
    response.raw_headers.extend(headers)
    await response(scope, receive, send)


class FeedbackEndpoint:
    """Takes labels that callers bring later.

    Args:
        desk: What it shares with others.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, once its labels are kept."""
        headers: Headers = dict(scope["headers"])
        sent = [(REQUEST_ID, sane_request_id(headers))]
        desk = self._desk
        try:
            served = desk.fleet.find(scope["path_params"]["name"])
            check_media_type(headers, frozenset({JSON}))
            body = await read_body(headers, receive, desk.limits)
            signature, most = served.bundle.signature, desk.limits.rows
            # In a thread: they are on the disk before it is said that they are kept.
            answer = await desk.admission.run(keep_labels, served.name, body, signature, desk.recorder, most)
        except (Refusal, ModelNotReady) as error:
            await send_refusal(as_refusal(error), sent, False, scope, receive, send)
            return
        except Disconnected:
            return
        response = Response(encode_json(answer), media_type=JSON)
        response.raw_headers.extend(sent)
        await response(scope, receive, send)
