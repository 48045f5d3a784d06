"""Owns the way from a call to an answer's body: choose an arm, read, predict, spell; no HTTP, no waiting."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from evertrain.errors import InvalidInput, ModelFailed
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.arms import Arm, Lineup, choose_arm
from serving.problems import INVALID_INPUT, MODEL_FAILED, Refusal
from serving.protocols import Call, Columns, Protocol, Spelled
from serving.served import Served

ENTITY = b"x-evertrain-entity"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much one request may hold, and how long the rest of one that held more is listened to."""

    body_bytes: int = 1 << 20
    rows: int = 1_000
    drain_bytes: int = 64 << 20
    drain_seconds: float = 10.0


class Scored(NamedTuple):
    """The rows of a call, what answered them, what it said, and that as the caller wants it.

    Attributes:
        model_seconds: How long the model took.
        assigned: The arm that the caller fell to while a rollout's arms were held against each other.
        has_failed: Whether that was the challenger and its model failed: the champion answered then.
    """

    arm: Arm
    columns: Columns
    prediction: Prediction
    spelled: Spelled
    model_seconds: float
    assigned: Arm | None = None
    has_failed: bool = False


class FailedArm(Refusal):
    """A refusal because a model failed; ``assigned`` is the arm that the caller fell to, as in Scored."""

    assigned: Arm | None = None


def score(lineup: Lineup, protocol: Protocol, call: Call, max_rows: int) -> Scored:
    """Score the rows of *call* by the arm that its caller gets; what the challenger can't, the champion does.

    Raises:
        FailedArm: The champion's model failed on the rows.
        Refusal: The rows are refused.
    """
    challenge = lineup.challenge
    if challenge is None or not challenge.open_percent:
        return _score_by(lineup.stable_arm, protocol, call, max_rows)
    arm = choose_arm(lineup, caller_key(lineup, protocol, call, max_rows))
    try:
        return _score_assigned(arm, lineup, protocol, call, max_rows)._replace(assigned=arm)
    except FailedArm as failure:
        failure.assigned = arm
        raise


def _score_assigned(arm: Arm, lineup: Lineup, protocol: Protocol, call: Call, max_rows: int) -> Scored:
    if arm.served is lineup.stable:
        return _score_by(arm, protocol, call, max_rows)
    has_failed = False
    try:
        return _score_by(arm, protocol, call, max_rows)
    except FailedArm:
        has_failed = True
    except Refusal:
        # Its signature may be another one: the champion says whether the rows are wrong.
        pass
    return _score_by(lineup.stable_arm, protocol, call, max_rows)._replace(has_failed=has_failed)


def caller_key(lineup: Lineup, protocol: Protocol, call: Call, max_rows: int) -> str:
    """What keeps a caller on an arm: the entity that the header names or its rows agree on; else the call."""
    named = call.headers.get(ENTITY)
    if named is not None:
        return f"entity {named.decode('latin-1')}"
    among_rows = _entity_of_rows(lineup.stable.bundle.signature, protocol, call, max_rows)
    return f"call {call.request_id}" if among_rows is None else f"entity {among_rows}"


def _entity_of_rows(signature: Signature, protocol: Protocol, call: Call, max_rows: int) -> str | None:
    if not signature.entity:
        return None
    try:
        columns = protocol.read(call, _entity_signature(signature), max_rows).columns
    except (InvalidInput, Refusal):
        # They aren't there; what else is wrong with the call, its reading for the model tells.
        return None
    values = [list(map(str, columns[name])) for name in signature.entity]
    agree = all(len(set(each)) == 1 for each in values)
    return " ".join(each[0] for each in values) if agree else None


@lru_cache(maxsize=100)
def _entity_signature(signature: Signature) -> Signature:
    """What reads the entity's columns and passes all others over."""
    others = [each.name for each in signature.features if each.name not in signature.entity]
    return signature.model_copy(
        update={
            "features": tuple(
                Feature(name=name, kind="categorical", type="string") for name in signature.entity
            ),
            "ignored": (*signature.ignored, *others),
            "entity": (),
        }
    )


def _score_by(arm: Arm, protocol: Protocol, call: Call, max_rows: int) -> Scored:
    try:
        asked = protocol.read(call, arm.served.bundle.signature, max_rows)
        began = time.perf_counter()
        prediction = _predict(arm.served, asked.columns)
        model_seconds = time.perf_counter() - began
        spelled = protocol.spell(asked, arm.served, prediction, call)
        return Scored(arm, asked.columns, prediction, spelled, model_seconds)
    except InvalidInput as error:
        raise Refusal(INVALID_INPUT, error.message, field=error.field) from error


def _predict(served: Served, columns: Columns) -> Prediction:
    try:
        return served.bundle.predict(columns)
    except InvalidInput:
        raise
    except Exception as error:  # a model may raise anything; the caller gets one answer, the log the cause
        _log.error("%s failed: %s: %s", served, type(error).__name__, error)
        told = (
            error.message
            if isinstance(error, ModelFailed)
            else "It raised an error; the service's log says which."
        )
        raise FailedArm(
            MODEL_FAILED, f"{served.name} v{served.version} failed on these rows. {told}"
        ) from error
