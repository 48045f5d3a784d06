"""Owns the server process: what it refuses to start with, its port, its start line and its end."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from evertrain.errors import ConfigError, ServiceError
from evertrain.settings import Settings
from evertrain.storage import Store
from serving.fleet import Fleet
from serving.prediction_log.places import log_folder
from serving.prediction_log.shipper import ShipperProcess
from serving.scoring import Limits
from serving.watcher import find_pipelines
from serving.worker import Work, answer, open_for_reading, open_keys
from serving.workers import Workers

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
        workers: How many processes answer on the port.
        insecure: Whether to listen beyond this machine without keys.
        limits: What one request may hold.

    Raises:
        ConfigError: The options can't be served safely, or one of *names* is no pipeline of the store.
        ServiceError: The address can't be listened on.
        StorageError: The store can't be read.
    """
    check_options(host, settings, workers=workers, insecure=insecure)
    store, _ = open_for_reading(settings.store)
    wanted = list(dict.fromkeys(names))
    _check_names(store, wanted)
    open_keys(settings)
    work = Work(wanted, settings, limits or Limits(settings.max_body_bytes, settings.max_rows))
    with listening(host, port) as listener, log_to_stderr(), _ended_by_signals():

        def _say_start(served: Sequence[str]) -> None:
            _say(_start_line(served, work, store, listener, workers))

        shipper = ShipperProcess(log_folder(settings.home), settings.store)
        shipper.look()
        try:
            if workers == 1:
                answer(work, listener, lambda fleet: _say_start(_names_of(fleet)), shipper.look)
            else:
                _answer_by_many(work, listener, workers, _say_start, shipper)
        finally:
            shipper.end()


def _answer_by_many(
    work: Work,
    listener: socket.socket,
    count: int,
    say: Callable[[Sequence[str]], None],
    shipper: ShipperProcess,
) -> None:
    workers = Workers(work, listener, count)
    with workers.running() as served:
        say(served)
        workers.keep(shipper.look)


def _names_of(fleet: Fleet) -> list[str]:
    return [str(served) for served in fleet.loaded()]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def check_options(host: str, settings: Settings, *, workers: int, insecure: bool) -> None:
    """Raise ConfigError for options that can't be served safely."""
    if workers < 1:
        raise ConfigError(f"--workers is {workers}; expected at least 1.")
    if not insecure and settings.api_keys_file is None and not _is_loopback(host):
        raise ConfigError(
            f"--host {host} is open to other machines, and no keys are set: anyone could ask the models. "
            "Set EVERTRAIN_API_KEYS_FILE (`evertrain keys add` makes the file), use --host 127.0.0.1, or "
            "--insecure if something else guards this address."
        )


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
    # uvicorn drains at either signal and then sends it again to whoever handled it before: that is this. A
    # shell's background jobs are started with Ctrl-C ignored; whoever sends one means it.
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_line(
    served: Sequence[str], work: Work, store: Store, listener: socket.socket, workers: int
) -> str:
    loaded = {each.partition(" ")[0] for each in served}
    waiting = [f"{name} (no champion yet)" for name in work.names if name not in loaded]
    what = ", ".join([*served, *waiting]) or f"no model yet (none in {store.where})"
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    many = f" ({workers} workers)" if workers > 1 else ""
    return f"serving {what} on http://{shown}:{port} - Ctrl-C ends{many}"
