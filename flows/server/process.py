"""Owns the process that serves Prefect's API and pages, and when it ends by itself."""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from evertrain.orphans import end_with_parent
from flows.server.record import HEADER, read_record, remove_record
from flows.server.terms import Terms
from flows.server.use import note_use, unused, unused_for_seconds
from flows.template_database import prepare_database, template_path

LOOK_SECONDS = 2.0
# Pages that are open hold connections open; they are not waited for.
DRAIN_SECONDS = 1
# Prefect's pages ask the maker of their usage statistics for its settings, even where these are turned off.
LOOPBACK = ("127.0.0.1", "localhost")
ASKED = ("'self'", "data:", "blob:", *(f"{way}://{host}:*" for host in LOOPBACK for way in ("http", "ws")))


class Server(uvicorn.Server):
    """uvicorn's server that takes its record away first: who comes now starts another."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._leave = leave

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._leave()
        super().handle_exit(sig, frame)


def serve(terms: Terms) -> None:
    """Serve until a signal comes, the parent is gone, the record is, or nobody has used it for long."""
    if terms.parent:
        end_with_parent(terms.parent)
    home = Path(os.environ["PREFECT_HOME"])
    if prepare_database(home, template_path()):
        # They are in the template; Prefect would write them all again, or look whether it has to.
        for name in ("REGISTER_BLOCKS_ON_START", "MEMOIZE_BLOCK_AUTO_REGISTRATION"):
            os.environ.setdefault(f"PREFECT_SERVER_{name}", "false")
    from prefect.server.api.server import create_app

    config = uvicorn.Config(
        create_app(final=True),
        headers=[(HEADER, terms.server_id), ("content-security-policy", connections_allowed())],
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = Server(config, lambda: remove_record(home, terms.server_id))
    if terms.is_recorded:
        threading.Thread(target=care, args=(server, home, terms), daemon=True, name="caretaker").start()
    server.run(sockets=[socket.socket(fileno=terms.socket)])


def connections_allowed() -> str:
    """Say what the pages may talk to: this server, by whatever name the user gave it, and nobody else."""
    api_url = urlsplit(os.environ.get("PREFECT_UI_API_URL", ""))
    theirs = [f"{api_url.scheme}://{api_url.netloc}"] if api_url.hostname else []
    return " ".join(("connect-src", *ASKED, *theirs))


def care(server: Server, home: Path, terms: Terms) -> None:
    """End *server* once it is idle, or its record names another or is gone: the home was deleted or moved."""
    note_use(home)
    while not server.should_exit:
        time.sleep(LOOK_SECONDS)
        record = read_record(home)
        if record is None or record.id != terms.server_id:
            server.should_exit = True
        elif terms.idle_seconds:
            end_if_idle(server, home, terms)


def end_if_idle(server: Server, home: Path, terms: Terms) -> None:
    """End *server* if nobody has used it for so long; who comes meanwhile waits, and starts another."""
    with suppress(FileNotFoundError), unused(home) as is_unused:
        if not is_unused:
            note_use(home)
        elif unused_for_seconds(home) > terms.idle_seconds:
            remove_record(home, terms.server_id)
            server.should_exit = True


def main() -> None:
    """Serve on the terms that the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--server-id", required=True)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--recorded", action="store_true", dest="is_recorded")
    parser.add_argument("--idle-seconds", type=float, default=0.0)
    serve(Terms(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
