"""Owns the server process: what it refuses to start with, its port, its start line and its end."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from evertrain.errors import ConfigError, ServiceError
from evertrain.settings import Settings
from evertrain.storage import S3Store, Store, attach_store
from evertrain.storage.s3_client import s3_client
from serving.fleet import Fleet
from serving.scoring import Limits
from serving.watcher import LOCAL, REMOTE, Rhythm, Watcher, find_pipelines

if TYPE_CHECKING:
    import uvicorn

DRAIN_SECONDS = 5
_BACKLOG = 2048


def run(
    names: Sequence[str],
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int = 1,
    insecure: bool = False,
    limits: Limits | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then let the requests under way end; call it from the main thread.

    Args:
        names: The pipelines to serve; none: all there are in the store, and those that come.
        settings: Where the store is.
        host: The address to listen on.
        port: The port to listen on; 0: a free one, told by the start line.
        workers: How many processes; only 1 yet.
        insecure: Whether to listen beyond this machine without keys.
        limits: What one request may hold.

    Raises:
        ConfigError: The options can't be served safely, or one of *names* is no pipeline of the store.
        ServiceError: The address can't be listened on.
        StorageError: The store can't be read.
    """
    check_options(host, settings, workers=workers, insecure=insecure)
    store, rhythm = open_for_reading(settings.store)
    wanted = list(dict.fromkeys(names))
    _check_names(store, wanted)
    fleet = Fleet()
    watcher = Watcher(store, fleet, wanted, rhythm=rhythm)
    with listening(host, port) as listener, log_to_stderr(), _ended_by_signals():
        watcher.look()
        server = make_server(fleet, limits)
        with watcher:
            sys.stderr.write(f"{_start_line(fleet, wanted, store, listener)}\n")
            sys.stderr.flush()
            server.run(sockets=[listener])


def open_for_reading(where: str) -> tuple[Store, Rhythm]:
    """The store at *where*, and how often to ask it; one that is silent is given up in seconds.

    Raises:
        ConfigError: *where* names a kind of store that evertrain doesn't have.
    """
    store = attach_store(where)
    if isinstance(store, S3Store):
        # The watcher has one thread for all pipelines: it looks again soon rather than wait long.
        return S3Store(where, client=s3_client(connect_seconds=2, read_seconds=5)), REMOTE
    return store, LOCAL


def check_options(host: str, settings: Settings, *, workers: int, insecure: bool) -> None:
    """Raise ConfigError for options that can't be served safely, or not yet."""
    if workers != 1:
        raise ConfigError(
            f"--workers is {workers}: more than one process is not supported yet; leave it at 1."
        )
    if settings.api_keys_file is not None:
        raise ConfigError(
            "EVERTRAIN_API_KEYS_FILE is set, but keys are not supported yet; rather than serve without them, "
            "evertrain doesn't start. Unset it and keep --host on loopback, or use --insecure behind a proxy "
            "that asks for keys."
        )
    if not insecure and not _is_loopback(host):
        raise ConfigError(
            f"--host {host} is open to other machines, and no keys are set: anyone could ask the models. "
            "Use --host 127.0.0.1, or --insecure if something else guards this address."
        )


def make_server(fleet: Fleet, limits: Limits | None = None) -> uvicorn.Server:
    """A uvicorn server of *fleet*, quiet, that gives requests under way 5 s at its end; not yet running."""
    import uvicorn

    from serving.app import create_app

    config = uvicorn.Config(
        create_app(fleet, limits),
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_names(store: Store, names: Sequence[str]) -> None:
    there = find_pipelines(store)
    missing = [name for name in names if name not in there]
    if missing:
        listed = ", ".join(there) or "none yet: train one first"
        raise ConfigError(
            f"No pipeline {', '.join(map(repr, missing))} in {store.where}; there are: {listed}."
        )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens on *host* and *port* (0: a free one); raises ServiceError if it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as cause:
        raise ServiceError(
            f"Can't listen on {host} port {port}: {cause.strerror or cause}. "
            "Choose another port with --port, or another address with --host.",
            port=port,
        ) from cause
    with listener:
        yield listener


@contextmanager
def log_to_stderr(*, with_times: bool = True) -> Iterator[None]:
    """Show on standard error what the service logs while the block runs, unless someone shows it already."""
    log = logging.getLogger(__package__)
    if log.handlers:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    stamp = "%(asctime)s " if with_times else ""
    handler.setFormatter(logging.Formatter(f"{stamp}%(levelname)s %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = True


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    # uvicorn drains at either signal and then sends it again to whoever handled it before: that is this.
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_line(fleet: Fleet, names: Sequence[str], store: Store, listener: socket.socket) -> str:
    loaded = {served.name: str(served) for served in fleet.loaded()}
    waiting = {name: f"{name} (no champion yet)" for name in names if name not in loaded}
    what = ", ".join((loaded | waiting).values()) or f"no model yet (none in {store.where})"
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"serving {what} on http://{shown}:{port} - Ctrl-C ends"
