"""Owns how a home's Prefect server is found: a file that names it, and proof that it is still that one."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evertrain.liveness import ProcessIdentity, is_running

FILE = "server.json"
HEADER = "x-evertrain-server"
"""Each answer of a server bears its id: some other program on the same port doesn't."""

PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class ServerRecord:
    """One running server.

    Attributes:
        id: A word of its own for each start.
        process: The process that serves.
        port: On the loopback address.
        version: The version of its Prefect.
        home: Prefect's folder, links resolved: a record that was copied or moved along names another.
    """

    id: str
    process: ProcessIdentity
    port: int
    version: str
    home: str

    @property
    def api_url(self) -> str:
        """What PREFECT_API_URL is to be."""
        return f"http://127.0.0.1:{self.port}/api"

    def is_alive(self) -> bool:
        """Whether its very process still runs on this host; a recycled pid doesn't count."""
        return bool(is_running(self.process))

    def answers(self, within_seconds: float = PROBE_SECONDS) -> bool:
        """Whether this very server answers on its port."""
        url = f"{self.api_url}/health"
        try:
            with urllib.request.urlopen(url, timeout=within_seconds) as reply:  # noqa: S310 - our own loopback address
                return bool(reply.status == 200) and reply.headers.get(HEADER) == self.id
        except (urllib.error.URLError, OSError):
            return False


def resolve_home(prefect_home: Path) -> str:
    """Spell Prefect's folder as a record does."""
    return str(prefect_home.resolve())


def find_server(prefect_home: Path) -> ServerRecord | None:
    """Find the living server of *prefect_home*; it may not answer yet."""
    record = read_record(prefect_home)
    if record is None or record.home != resolve_home(prefect_home) or not record.is_alive():
        return None
    return record


def read_record(prefect_home: Path) -> ServerRecord | None:
    """Read what *prefect_home*'s file says; None where it says nothing that can be understood."""
    try:
        found: dict[str, Any] = json.loads((prefect_home / FILE).read_bytes())
        return ServerRecord(**found | {"process": ProcessIdentity(**found["process"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(prefect_home: Path, record: ServerRecord) -> None:
    """Name *record* as the server of *prefect_home*.

    Raises:
        OSError: The folder can't be written.
    """
    unfinished = prefect_home / f"{FILE}.unfinished-{os.getpid()}"
    unfinished.write_text(json.dumps(asdict(record)), encoding="utf-8")
    unfinished.replace(prefect_home / FILE)


def remove_record(prefect_home: Path, server_id: str) -> None:
    """Take the record away, if it still names the server *server_id*."""
    record = read_record(prefect_home)
    if record is not None and record.id == server_id:
        (prefect_home / FILE).unlink(missing_ok=True)
