"""Owns one process that answers: its models, the thread that follows their journals, its HTTP server."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evertrain.settings import Settings
from evertrain.storage import S3Store, Store, attach_store
from evertrain.storage.s3_client import s3_client
from serving.fleet import Fleet
from serving.recorder import KeepsNothing, Recorder
from serving.reporter import Reporter
from serving.scoring import Limits
from serving.watcher import LOCAL, REMOTE, Rhythm, Watcher

if TYPE_CHECKING:
    import uvicorn

    from serving.connections import Patience
    from serving.guard import KeyRing

DRAIN_SECONDS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What each worker of a service does.

    Attributes:
        names: The pipelines to serve; none: all there are in the store, and those that come.
        settings: Where the store is, where the keys are.
        limits: What one request may hold.
    """

    names: Sequence[str]
    settings: Settings
    limits: Limits


def answer(
    work: Work,
    listener: socket.socket,
    tell: Callable[[Fleet], None],
    look_after: Callable[[], None] = lambda: None,
) -> None:
    """Answer on *listener* until SIGTERM or Ctrl-C, then let the requests under way end.

    Args:
        work: What to serve.
        listener: Listens already; other workers may share it.
        tell: Called once requests are taken, which is after the models were looked for.
        look_after: Called every two seconds: what else has to be kept alive.

    Raises:
        ConfigError: The file of keys can't be used.
    """
    store, rhythm = open_for_reading(work.settings.store)
    fleet = Fleet()
    watcher = Watcher(store, fleet, work.names, rhythm=rhythm)
    keys = open_keys(work.settings)
    with open_log(work.settings, look_after) as recorder:
        server = make_server(fleet, work.limits, keys, lambda: tell(fleet), recorder=recorder, store=store)
        watcher.look()
        with watcher, Reporter(store, watcher):
            server.run(sockets=[listener])


@contextmanager
def open_log(settings: Settings, look_after: Callable[[], None]) -> Iterator[Recorder]:
    """The prediction log in EVERTRAIN_HOME; where nothing can be written there, the service keeps nothing."""
    from serving.prediction_log.places import log_folder
    from serving.prediction_log.recorder import PredictionLog

    folder = log_folder(settings.home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        _log.warning(
            "Predictions aren't logged: %s can't be written. Set EVERTRAIN_HOME to a folder.", folder
        )
        yield KeepsNothing()
        return
    with PredictionLog(folder, look_after, most_bytes=settings.max_log_bytes) as recorder:
        yield recorder


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


def open_keys(settings: Settings) -> KeyRing | None:
    """The API keys that *settings* names; None where none are asked for; raises ConfigError as they do."""
    from serving.guard import KeyRing

    return None if settings.api_keys_file is None else KeyRing(settings.api_keys_file)


def make_server(
    fleet: Fleet,
    limits: Limits | None = None,
    keys: KeyRing | None = None,
    started: Callable[[], None] = lambda: None,
    patience: Patience | None = None,
    recorder: Recorder | None = None,
    store: Store | None = None,
) -> uvicorn.Server:
    """A uvicorn server of *fleet*, quiet, that gives requests under way 5 s at its end; not yet running.

    Args:
        fleet: What it answers from.
        limits: What one request may hold.
        keys: Without one of these, all but health is refused; None: everyone may ask.
        started: Called when it takes requests, and would end by a signal as it should.
        patience: How long clients may take, and how many may be connected.
        recorder: Is told of answers and labels.
        store: Where the reports are; only read.
    """
    import uvicorn

    from serving.app import create_app
    from serving.connections import fitted_patience, patient_protocol
    from serving.guard import Guard

    app = create_app(fleet, limits, recorder, store)
    config = uvicorn.Config(
        app if keys is None else Guard(app, keys),
        http=patient_protocol(patience or fitted_patience()),
        access_log=False,
        log_config=None,
        # A client's broken request is answered, and counts as no fault of the service.
        log_level="error",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

    return Server(config)
