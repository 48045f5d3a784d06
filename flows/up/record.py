"""Owns how a running ``evertrain up`` is found: a lock that it holds, and a file with its addresses."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evertrain.errors import ServiceError
from evertrain.liveness import ProcessIdentity, identify_process, is_running
from evertrain.settings import Settings

FILE = "up.json"
LOCK = "up.lock"


@dataclass(frozen=True)
class UpRecord:
    """One running ``up``.

    Attributes:
        process: Its process.
        addresses: Where each of its parts can be looked at; empty while it starts.
        serves_prefect: Whether the home's Prefect server is a part of it, and not a server of the user's own.
    """

    process: ProcessIdentity
    addresses: Mapping[str, str]
    serves_prefect: bool

    def spell_addresses(self) -> str:
        """Spell the addresses in a line."""
        return ", ".join(f"{name} {address}" for name, address in self.addresses.items())


@contextmanager
def being_up(home: Path, *, serves_prefect: bool) -> Iterator[None]:
    """Be the one ``up`` of *home* while the block runs.

    Raises:
        ServiceError: Another one runs; bears its addresses. Or *home* can't be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / LOCK).open("a", encoding="ascii")
    except OSError as error:
        raise ServiceError(
            f"`evertrain up` can't start in {home}: {error}. "
            "EVERTRAIN_HOME must be a folder that can be written."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(_taken(home)) from None
        try:
            write_up(home, {}, serves_prefect=serves_prefect)
            yield
        finally:
            (home / FILE).unlink(missing_ok=True)


def write_up(home: Path, addresses: Mapping[str, str], *, serves_prefect: bool) -> None:
    """Note this process as *home*'s ``up``, with its addresses."""
    unfinished = home / f"{FILE}.unfinished"
    record = UpRecord(identify_process(), addresses, serves_prefect)
    unfinished.write_text(json.dumps(asdict(record)), encoding="utf-8")
    unfinished.replace(home / FILE)


def find_up(home: Path) -> UpRecord | None:
    """Find the living ``up`` of *home*."""
    try:
        found: dict[str, Any] = json.loads((home / FILE).read_bytes())
        record = UpRecord(**found | {"process": ProcessIdentity(**found["process"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record if is_running(record.process) else None


def service_address(settings: Settings) -> str | None:
    """Where people open the inference service that an ``up`` of this home runs; None where none does."""
    up = find_up(settings.home)
    return up.addresses.get("service") if up else None


def _taken(home: Path) -> str:
    found = find_up(home)
    if found is None:
        return f"Another `evertrain up` of {home} is just starting or ending; try again in a moment."
    where = found.spell_addresses() or "it is still starting"
    return (
        f"`evertrain up` runs already for {home} (pid {found.process.pid}): {where}. End it with "
        "`evertrain down`, or set EVERTRAIN_HOME to have another beside it."
    )
