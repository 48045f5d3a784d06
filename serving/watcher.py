"""Owns the thread that looks after all pipelines served: those named, or every one that is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from evertrain.errors import ConfigError
from evertrain.journal import head_key
from evertrain.release import open_journal
from evertrain.rollout.reports import ModelReport
from evertrain.storage import Store
from serving.fleet import Fleet
from serving.follower import ACTOR, Follower, Load, load_verified
from serving.retries import Clock, Retry

STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Rhythm:
    """How often a store is asked: for a pipeline's head, for new pipelines, for a head in a hurry."""

    poll_seconds: float = 0.5
    discover_seconds: float = 2.0
    hurried_seconds: float = 0.25


LOCAL = Rhythm()
REMOTE = Rhythm(poll_seconds=2.0, discover_seconds=30.0)
"""On S3 each look is a request, and each search a LIST: both are paid for."""


def find_pipelines(store: Store) -> list[str]:
    """The names of the pipelines whose journals are in *store*.

    Raises:
        StorageError: The store can't be read.
    """
    prefix = head_key("")
    names = (key.removeprefix(prefix) for key in store.list(prefix))
    return [name for name in names if _is_pipeline(store, name)]


def _is_pipeline(store: Store, name: str) -> bool:
    try:
        open_journal(store, name, ACTOR)
    except ConfigError:
        return False
    return True


class Watcher:
    """Keeps the fleet on the champions; as a context, from a thread of its own.

    Args:
        store: Where journals and bundles are; only read.
        fleet: What the service answers from.
        names: The pipelines to serve; none: all there are, and those that come.
        load: Gives a bundle fit to be served.
        clock: Monotonic seconds.
        rhythm: How often the thread looks.

    Raises:
        ConfigError: One of *names* can't be a pipeline's name.
    """

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        names: Sequence[str] = (),
        *,
        load: Load = load_verified,
        clock: Clock = time.monotonic,
        rhythm: Rhythm = LOCAL,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._load = load
        self._clock = clock
        self._rhythm = rhythm
        self._finding = Retry("Can't look for pipelines", clock)
        self._finds_all = not names
        self._discover_at_seconds = clock()
        self._followers = {name: self._follow(name) for name in names}
        self._has_looked = False
        fleet.require(names)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evertrain-watcher", daemon=True)

    def look(self) -> None:
        """Look once at all pipelines; the first time, those found with a champion become required."""
        if self._finds_all and self._clock() >= self._discover_at_seconds:
            self._finding.attempt(self._discover)
        for follower in self._followers.values():
            follower.look()
        if not self._has_looked:
            self._has_looked = True
            self._require_found()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        for follower in list(self._followers.values()):
            follower.close()

    @property
    def is_hurried(self) -> bool:
        """Whether a rollout runs, or a champion was left so recently that the way back is kept short."""
        return any(follower.is_hurried for follower in list(self._followers.values()))

    def reports(self) -> dict[str, ModelReport]:
        """What is served, by pipeline."""
        found = {name: follower.report() for name, follower in list(self._followers.items())}
        return {name: report for name, report in found.items() if report is not None}

    def _run(self) -> None:
        rhythm = self._rhythm
        while not self._stopping.wait(rhythm.hurried_seconds if self.is_hurried else rhythm.poll_seconds):
            self.look()

    def _discover(self) -> None:
        for name in find_pipelines(self._store):
            if name not in self._followers:
                self._followers[name] = self._follow(name)
        self._discover_at_seconds = self._clock() + self._rhythm.discover_seconds

    def _follow(self, name: str) -> Follower:
        return Follower(self._store, name, self._fleet, self._load, self._clock)

    def _require_found(self) -> None:
        # One that comes later joins when it is loaded: its failing must not unready all replicas.
        if self._finds_all:
            self._fleet.require(name for name, each in self._followers.items() if each.has_champion)
