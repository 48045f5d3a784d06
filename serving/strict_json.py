"""Owns reading JSON strictly: no repeated keys, no NaN, nothing nested beyond reason."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import orjson

from evertrain.errors import InvalidInput
from serving.problems import NOT_JSON, Refusal

_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_NAMES_SHOWN = 10
_UNSURE = object()
_TO_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
# A whole number of fewer digits fits 64 bits.
_MANY_DIGITS = b"0" * 19


def read_json(body: bytes) -> tuple[Any, bool]:
    """Read a body.

    Returns:
        What it holds, and whether NaN or Infinity stood in it, as floats: whoever knows where they stand
        names the place, or refuses them by ``refuse_constants``.

    Raises:
        Refusal: It isn't JSON in UTF-8.
        InvalidInput: An object has a key twice, or a number has too many digits.
    """
    try:
        document = _read_fast(body)
        if document is not _UNSURE:
            return document, False
        return _read_slowly(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Refusal(NOT_JSON, f"The body is not UTF-8: byte {error.start} can't be read.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refusal(NOT_JSON, f"The body is not JSON: {error.msg} at {where}.") from error
    except RecursionError as error:
        raise Refusal(NOT_JSON, "The body is nested too deeply; rows hold plain values.") from error
    except ValueError as error:
        raise InvalidInput(
            "A number has too many digits; expected one that a float64 can hold.", field="body"
        ) from error


def _read_slowly(text: str) -> tuple[Any, bool]:
    """Read *text* looking at each object's keys as they come."""
    constants: list[str] = []

    def keep_constant(spelled: str) -> float:
        constants.append(spelled)
        return float(spelled)

    document = json.loads(text, object_pairs_hook=_refuse_repeated, parse_constant=keep_constant)
    return document, bool(constants)


def _read_fast(body: bytes) -> Any:
    """Read *body* in a third of the time; ``_UNSURE`` where that might give something else.

    orjson takes nothing that json refuses, but makes floats of whole numbers beyond 64 bits, and drops a key
    that stands twice.
    """
    if _may_hold_large_integers(body):
        return _UNSURE
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:  # told in json's words; NaN and 1e400 are told where they stand
        return _UNSURE
    return document if _holds_all_keys(document, body) else _UNSURE


def _may_hold_large_integers(body: bytes) -> bool:
    digits = body.translate(_TO_ZEROS)
    # A fraction may be long: one that begins right after a point is none the less no whole number.
    return _MANY_DIGITS in digits and digits.count(_MANY_DIGITS) != digits.count(b"." + _MANY_DIGITS)


def _holds_all_keys(document: Any, body: bytes) -> bool:
    """Whether no key was dropped when *document* was read from *body*; may say no though none was.

    A key brings a colon and two quotation marks: where all that were in the body are accounted for by what
    was read, nothing was dropped. Colons are counted faster; times hold some of their own.
    """
    if _count_keys(document) == body.count(b":"):
        return True
    return b'\\"' not in body and 2 * _count_texts(document) == body.count(b'"')


def _count_keys(value: Any) -> int:
    """How many keys *value* holds; fewer where objects stand within rows, never more."""
    if type(value) is dict:
        return len(value) + sum(map(_count_keys, value.values()))
    if type(value) is list and set(map(type, value)) == {dict}:
        return sum(map(len, value))
    return 0


def _count_texts(value: Any) -> int:
    """How many keys and texts *value* holds."""
    kind = type(value)
    if kind is dict:
        return len(value) + _count_texts_among(list(value.values()))
    return _count_texts_among(value) if kind is list else int(kind is str)


def _count_texts_among(values: list[Any]) -> int:
    kinds = set(map(type, values))
    if kinds == {dict}:
        inner = list(chain.from_iterable(map(dict.values, values)))
        return sum(map(len, values)) + _count_texts_among(inner)
    if kinds == {list}:
        return _count_texts_among(list(chain.from_iterable(values)))
    if dict in kinds or list in kinds:
        return sum(map(_count_texts, values))
    return list(map(type, values)).count(str)


def refuse_constants(field: str) -> InvalidInput:
    """The refusal of NaN or Infinity that stand where nothing else is wrong."""
    return InvalidInput(
        "NaN and Infinity are no JSON; send null for a missing value, also in columns that are ignored.",
        field=field,
    )


def refuse_unknown_keys(given: dict[str, Any], allowed: set[str] | frozenset[str], where: str) -> None:
    """Raise InvalidInput where *given* has a key that isn't *allowed*."""
    unknown = [key for key in given if key not in allowed]
    if unknown:
        raise InvalidInput(
            f"Unknown in {where}: {show(unknown)}; expected only {show(sorted(allowed))}.", field=unknown[0]
        )


def name_of(value: object) -> str:
    """What *value* is, in JSON's words."""
    return _NAMES.get(type(value), "a number")


def show(names: Any) -> str:
    """Some names in a sentence, ten at most."""
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN} more"


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The key {name!r} stands more than once in one object; send it once.", field=name)
    return found
