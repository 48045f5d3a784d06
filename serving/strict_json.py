"""Owns reading JSON strictly: no repeated keys, no NaN, nothing nested beyond reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

from evertrain.errors import InvalidInput
from serving.problems import NOT_JSON, Refusal

_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_NAMES_SHOWN = 10
MANY_OBJECTS = 8
_UNSURE = object()


def read_json(body: bytes) -> tuple[Any, bool]:
    """Read a body.

    Returns:
        What it holds, and whether NaN or Infinity stood in it, as floats: whoever knows where they stand
        names the place, or refuses them by ``refuse_constants``.

    Raises:
        Refusal: It isn't JSON in UTF-8.
        InvalidInput: An object has a key twice, or a number has too many digits.
    """
    constants: list[str] = []

    def keep_constant(text: str) -> float:
        constants.append(text)
        return float(text)

    try:
        text = body.decode("utf-8")
        document = _read_many(text, keep_constant)
        if document is _UNSURE:
            constants.clear()
            document = json.loads(text, object_pairs_hook=_refuse_repeated, parse_constant=keep_constant)
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
    return document, bool(constants)


def _read_many(text: str, keep_constant: Callable[[str], float]) -> Any:
    """Read a body of many objects without looking at each of their keys as it comes, which takes longer.

    Reading drops a key that stands twice, and with it two quotation marks: where all that were in the text
    are accounted for by what was read, no key was dropped. Escapes would need a closer look.
    """
    if text.count("{") < MANY_OBJECTS or "\\" in text:
        return _UNSURE
    document = json.loads(text, parse_constant=keep_constant)
    return document if 2 * _count_texts(document) == text.count('"') else _UNSURE


def _count_texts(value: Any) -> int:
    """How many keys and texts *value* holds."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is dict:
        return len(value) + sum(map(_count_texts, value.values()))
    if kind is not list:
        return 0
    if set(map(type, value)) != {dict}:
        return sum(map(_count_texts, value))
    kinds = list(map(type, chain.from_iterable(map(dict.values, value))))
    if dict in kinds or list in kinds:
        return sum(map(_count_texts, value))
    return sum(map(len, value)) + kinds.count(str)


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
