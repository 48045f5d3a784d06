"""Owns labels that callers bring later: read, held against what the model predicts, kept."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from evertrain.errors import InvalidInput, StorageError
from evertrain.records import Signature
from serving.problems import INVALID_INPUT, NOT_KEPT, TOO_LARGE, Refusal
from serving.recorder import LateLabel, Recorder
from serving.strict_json import name_of, read_json, refuse_constants, refuse_unknown_keys

RETRY_AFTER_SECONDS = 5
_KEYS = frozenset({"labels"})
_LABEL_KEYS = frozenset({"prediction_id", "label"})
_PREDICTION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}/[0-9]{1,9}")
_LARGEST_INTEGER = 2**63 - 1


def keep_labels(
    pipeline: str, body: bytes, signature: Signature, recorder: Recorder, max_labels: int
) -> dict[str, Any]:
    """Keep the labels in *body*; gives the answer, once they are kept.

    Raises:
        Refusal: They aren't labels of this model's predictions, are too many, or can't be kept.
    """
    try:
        labels = read_labels(body, signature, max_labels)
        recorder.record_labels(pipeline, labels)
    except InvalidInput as error:
        raise Refusal(INVALID_INPUT, error.message, field=error.field) from error
    except StorageError as error:
        told = f"The labels can't be kept now: {error.message} None of them was; send them again."
        raise Refusal(NOT_KEPT, told, headers={"retry-after": str(RETRY_AFTER_SECONDS)}) from error
    return {"accepted": len(labels)}


def read_labels(body: bytes, signature: Signature, max_labels: int) -> list[LateLabel]:
    """Read labels.

    A class that the model never saw is taken: what happened, happened. One of another type is not.

    Raises:
        Refusal: The body isn't JSON, or holds more than *max_labels*.
        InvalidInput: It has another form, a prediction twice, or a label of another type.
    """
    document, has_constants = read_json(body)
    if not isinstance(document, dict) or "labels" not in document:
        raise InvalidInput(
            'Expected {"labels": [{"prediction_id": "<request id>/<row>", "label": …}]}.', field="labels"
        )
    refuse_unknown_keys(document, _KEYS, "the body")
    given = document["labels"]
    if not isinstance(given, list) or not given:
        found = "an empty list" if given == [] else name_of(given)
        raise InvalidInput(f"labels is {found}; expected a list of at least one.", field="labels")
    if len(given) > max_labels:
        told = f"The request holds {len(given)} labels; send at most {max_labels} at a time."
        raise Refusal(TOO_LARGE, told, field="labels")
    labels = [_read_label(each, f"labels[{place}]", signature) for place, each in enumerate(given)]
    seen: set[str] = set()
    for label in labels:
        if label.prediction_id in seen:
            raise InvalidInput(
                f"The prediction {label.prediction_id!r} has two labels; send one.", field="prediction_id"
            )
        seen.add(label.prediction_id)
    if has_constants:
        raise refuse_constants("labels")
    return labels


def _read_label(given: Any, where: str, signature: Signature) -> LateLabel:
    if not isinstance(given, dict) or not given.keys() >= _LABEL_KEYS:
        raise InvalidInput(f"{where}: expected an object with prediction_id and label.", field=where)
    refuse_unknown_keys(given, _LABEL_KEYS, where)
    identity, label = given["prediction_id"], given["label"]
    if not isinstance(identity, str) or not _PREDICTION_ID.fullmatch(identity):
        raise InvalidInput(
            f"{where}.prediction_id: expected <request id>/<row>, as x-evertrain-request-id gave it.",
            field=f"{where}.prediction_id",
        )
    if not _fits(label, signature):
        expected = "a finite number" if signature.classes is None else _kinds(signature)
        raise InvalidInput(
            f"{where}.label: expected {expected}, found {_found(label)}.", field=f"{where}.label"
        )
    return LateLabel(identity, float(label) if signature.classes is None else label)


def _fits(label: Any, signature: Signature) -> bool:
    """Whether *label* is of the type that the model predicts, and one that a column of labels can hold."""
    kinds = {float} if signature.classes is None else {type(each) for each in signature.classes}
    if type(label) is str:
        return str in kinds and _is_text(label)
    if type(label) is bool:
        return bool in kinds
    if not kinds & {int, float} or not isinstance(label, int | float):
        return False
    if isinstance(label, float) or signature.classes is None:
        return _is_finite(label)
    return abs(label) <= _LARGEST_INTEGER


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number that no float holds
        return False


def _is_text(label: str) -> bool:
    """Whether *label* has a spelling in UTF-8: half of a surrogate pair has none, and no file takes it."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True


def _found(label: Any) -> str:
    if isinstance(label, bool):
        return "a boolean"
    if isinstance(label, str) and not _is_text(label):
        return "a string that isn't UTF-8"
    return "a number" if isinstance(label, int | float) else name_of(label)


def _kinds(signature: Signature) -> str:
    shown = ", ".join(repr(each) for each in (signature.classes or ())[:5])
    return f"a label such as {shown}"
