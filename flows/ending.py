"""Owns the end of whatever runs for a home: its ``up``, its local Prefect server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evertrain.errors import ServiceError
from evertrain.liveness import ProcessIdentity, is_running
from evertrain.settings import Settings
from flows.local_server import end_process
from flows.server.record import find_server
from flows.server.use import User, find_users
from flows.up.record import find_up


@dataclass(frozen=True)
class Ended:
    """Something that was ended, where it could be looked at, and who used it then."""

    what: str
    pid: int
    addresses: str
    users: Sequence[User] = ()

    def __str__(self) -> str:
        used = f"; it was in use by {', '.join(map(str, self.users))}" if self.users else ""
        return f"{self.what} (pid {self.pid}), {self.addresses}{used}"

    def as_json(self) -> dict[str, Any]:
        """Spell it for ``--json``."""
        return {"what": self.what, "pid": self.pid, "users": [str(user) for user in self.users]}


def end_home(settings: Settings) -> list[Ended]:
    """End the ``up`` and the local Prefect server of this home, and wait until they are gone.

    Raises:
        ServiceError: One of them doesn't end.
    """
    ended = []
    up = find_up(settings.home)
    if up is not None:
        _end("`evertrain up`", up.process)
        ended.append(Ended("evertrain up", up.process.pid, up.spell_addresses() or "still starting"))
    server = find_server(settings.prefect_home)
    if server is not None:
        users = find_users(settings.prefect_home, server.process.pid)
        _end("the local Prefect server", server.process)
        where = server.api_url.removesuffix("/api")
        ended.append(Ended("the local Prefect server", server.process.pid, where, users))
    return ended


def _end(what: str, process: ProcessIdentity) -> None:
    end_process(process)
    if is_running(process):
        raise ServiceError(f"{what} (pid {process.pid}) doesn't end; end that process yourself.")
