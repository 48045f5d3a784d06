"""Owns YAML 1.2 as evertrain reads it: the core schema, bounded, and nothing that could surprise or run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from evertrain.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FILE_LIMIT_BYTES = 1024 * 1024
NODE_LIMIT = 100_000
DEPTH_LIMIT = 50
NUMBER_LIMIT = 300

NULL = re.compile(r"|~|null|Null|NULL")
TRUE = re.compile(r"true|True|TRUE")
FALSE = re.compile(r"false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the one mapping that the file at *path* holds; its values are what JSON can say.

    Raises:
        ConfigError: No such file, over 1 MiB, not UTF-8, not YAML 1.2, or something that evertrain doesn't
            take: a tag, a merge key, a repeated key, NaN or infinity. Names file, line and column.
    """
    value = _Builder(str(path), _read_text(path)).build()
    if not isinstance(value, dict):
        expected = "expected a mapping with name, data, training and evaluation"
        message = f"{path}: holds {_name_of(value)}; {expected}."
        raise ConfigError(message, file=str(path))
    return value


def parse_value(text: str) -> Any:
    """Read one YAML value, as ``--set`` takes it; empty text is null.

    Raises:
        ConfigError: *text* isn't one YAML 1.2 value.
    """
    return _Builder("the value", text).build()


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        message = f"{path}: no such file (looked for {path.absolute()}); expected a pipeline's YAML."
        raise ConfigError(message, file=str(path)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"{path}: can't be read ({reason}); expected a pipeline's YAML."
        raise ConfigError(message, file=str(path)) from error
    if len(data) > FILE_LIMIT_BYTES:
        message = f"{path}: is over 1 MiB; expected a pipeline's YAML of a few kilobytes."
        raise ConfigError(message, file=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: isn't UTF-8; save the file as UTF-8."
        raise ConfigError(message, file=str(path), line=line) from error


def _name_of(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "a truth value", type(None): "nothing"}
    return kinds.get(type(value), "a number")


@dataclass
class _Builder:
    """Builds plain values out of PyYAML's events, so that nesting and aliases are bounded as they come."""

    origin: str
    text: str
    nodes: int = 0
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def build(self) -> Any:
        """Read the only document; None where there is none."""
        events = self._events()
        value, documents = None, 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document starts here; expected one document in the file")
                value = self._node(next(events), events, depth=0)
        return value

    def _events(self) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(self.text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            message = f"{self.origin}, line {line}: holds an unprintable character; expected plain text."
            raise ConfigError(message, file=self.origin, line=line) from error
        except yaml.MarkedYAMLError as error:
            raise self._fault(error.problem_mark or error.context_mark, _problem_of(error)) from error

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Any:
        self._count(event, 1)
        if depth > DEPTH_LIMIT:
            self._refuse(event, f"is nested over {DEPTH_LIMIT} deep; expected a flatter file")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None:
            self._refuse(event, f"the tag {event.tag} is not taken; write the value without it")
        before = self.nodes
        value = self._builders()[type(event)](event, events, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def _builders(self) -> dict[type[yaml.Event], Callable[[Any, Iterator[yaml.Event], int], Any]]:
        return {
            yaml.ScalarEvent: self._scalar,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingStartEvent: self._mapping,
        }

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self.anchors:
            self._refuse(event, f"the alias *{event.anchor} has no complete anchor before it")
        value, size = self.anchors[event.anchor]
        self._count(event, size)
        return value

    def _sequence(self, _start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, depth + 1))
        return items

    def _mapping(self, _start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, depth)
            if key in mapping:
                self._refuse(event, f"the key {key!r} stands here twice; remove one of the two")
            mapping[key] = self._node(next(events), events, depth + 1)
        return mapping

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.style is None:
            self._refuse(event, "merge keys (<<) are not YAML 1.2; write the keys out")
        key = self._node(event, events, depth + 1)
        if not isinstance(key, str):
            self._refuse(event, f"a key is {_name_of(key)}; expected text: put it in quotes")
        return key

    def _scalar(self, event: yaml.ScalarEvent, _events: Iterator[yaml.Event], _depth: int) -> Any:
        text: str = event.value
        if event.style is not None:
            return self._joined(event, text)
        if NOT_FINITE.fullmatch(text):
            self._refuse(event, f"{text} is not taken; expected a finite number")
        if FLOAT.fullmatch(text) or HEXADECIMAL.fullmatch(text) or OCTAL.fullmatch(text):
            return self._number(event, text)
        return _word(text)

    def _number(self, event: yaml.ScalarEvent, text: str) -> int | float:
        if len(text) > NUMBER_LIMIT:
            self._refuse(event, f"a number of {len(text)} digits; expected at most {NUMBER_LIMIT}")
        if INTEGER.fullmatch(text):
            return int(text)
        if HEXADECIMAL.fullmatch(text) or OCTAL.fullmatch(text):
            return int(text, base=0)
        value = float(text)
        if not math.isfinite(value):
            self._refuse(event, f"{text} is too large; expected a finite number")
        return value

    def _joined(self, event: yaml.ScalarEvent, text: str) -> str:
        """Join the surrogate pairs that JSON's escapes spell one character with."""
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(event, "holds half of a surrogate pair; expected whole characters")

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > NODE_LIMIT:
            self._refuse(event, f"holds over {NODE_LIMIT:,} values once its aliases are written out")

    def _refuse(self, event: yaml.Event, problem: str) -> NoReturn:
        raise self._fault(event.start_mark, problem)

    def _fault(self, mark: Any, problem: str) -> ConfigError:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"{self.origin}, line {line}, column {column}: {problem}."
        return ConfigError(message, file=self.origin, line=line, column=column)


def _word(text: str) -> Any:
    for pattern, value in ((NULL, None), (TRUE, True), (FALSE, False)):
        if pattern.fullmatch(text):
            return value
    return text


def _problem_of(error: yaml.MarkedYAMLError) -> str:
    words = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in words:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "mapping values are not allowed" in words:
        return "a second ': ' on one line; put the value in quotes, or check the indentation"
    return f"isn't YAML ({words}); check quotes, brackets and indentation"
