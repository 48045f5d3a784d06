"""Owns the file of API keys: who may ask the inference service for what; it holds hashes, never keys."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evertrain.errors import ConfigError, StorageError
from evertrain.locks import locked

SCOPES = ("predict", "feedback", "read", "approve", "admin")
"""What a key may be for; ``admin`` is for everything."""

HEADING = "# evertrain's API keys: name:scopes:SHA-256 of the key. See `evertrain keys --help`.\n"
SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKey:
    """One key: its name, what it is for, its SHA-256 in hex (it is random: no slower hash is needed)."""

    name: str
    scopes: frozenset[str]
    sha256: str

    def allows(self, scope: str) -> bool:
        """Whether the key is for *scope*."""
        return scope in self.scopes or "admin" in self.scopes


Keys = Mapping[str, ApiKey]


def find_key(keys: Keys, presented: str) -> ApiKey | None:
    """The key that *presented* is, or None; the comparison of a name's hash always takes the same time."""
    found = keys.get(presented.partition(".")[0])
    digest = _hash(presented)
    if found is None or not hmac.compare_digest(found.sha256, digest):
        return None
    return found


def read_keys(path: Path) -> dict[str, ApiKey]:
    """Read the keys in *path*, by name.

    Raises:
        ConfigError: The file isn't there, can't be read, or a line isn't a key; the line is named, not shown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        told = cause.strerror if isinstance(cause, OSError) else "it isn't UTF-8"
        raise ConfigError(
            f"EVERTRAIN_API_KEYS_FILE is {path}, which can't be read: {told}. "
            "`evertrain keys add NAME --scope predict` makes it."
        ) from cause
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            key = _parse(line.strip(), f"{path}, line {number}")
            if key.name in keys:
                raise ConfigError(f"{path}, line {number}: the key {key.name!r} stands there twice.")
            keys[key.name] = key
    return keys


def add_key(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Make a key, keep its hash in *path* (made where it isn't there), and return the key: it is shown once.

    Raises:
        ConfigError: The name or a scope can't be used, or there is a key of this name.
        StorageError: The file can't be written.
    """
    wanted = frozenset(scopes)
    _check(name, wanted, "The key")
    with _changing(path) as keys:
        if name in keys:
            raise ConfigError(
                f"There is a key {name!r} in {path} already; `evertrain keys remove {name}` ends it."
            )
        key = f"{name}.{secrets.token_urlsafe(SECRET_BYTES)}"
        keys[name] = ApiKey(name, wanted, _hash(key))
    return key


def remove_key(path: Path, name: str) -> None:
    """End the key *name*; a running service refuses it within a second.

    Raises:
        ConfigError: There is no such key.
        StorageError: The file can't be written.
    """
    with _changing(path) as keys:
        if name not in keys:
            listed = ", ".join(sorted(keys)) or "none"
            raise ConfigError(f"There is no key {name!r} in {path}; there are: {listed}.")
        del keys[name]


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, ApiKey]]:
    """Give the keys of a file, to be changed while nobody else does; they are written whole or not at all."""
    try:
        with locked(path.with_name(f".{path.name}.lock")):
            keys = read_keys(path) if path.exists() else {}
            yield keys
            _write(path, keys)
    except OSError as cause:
        raise StorageError(f"{path} can't be written: {cause.strerror or cause}.") from cause


def _write(path: Path, keys: Keys) -> None:
    lines = (f"{key.name}:{','.join(sorted(key.scopes))}:{key.sha256}\n" for key in keys.values())
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines([HEADING, *lines])
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _parse(line: str, where: str) -> ApiKey:
    parts = line.split(":")
    if len(parts) != 3 or not _HASH.fullmatch(parts[2]):
        raise ConfigError(
            f"{where}: expected name:scopes:SHA-256 in hex, as `evertrain keys add` writes it; "
            "the key itself doesn't belong there."
        )
    scopes = frozenset(parts[1].split(","))
    _check(parts[0], scopes, where)
    return ApiKey(parts[0], scopes, parts[2])


def _check(name: str, scopes: frozenset[str], where: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} is no name of a key; expected up to 64 letters, digits, - and _."
        )
    unknown = sorted(scopes - set(SCOPES))
    if unknown or not scopes:
        found = f"{unknown[0]!r} is no scope" if unknown else "it has no scope"
        raise ConfigError(f"{where}: {found}; expected {', '.join(SCOPES)}.")


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
