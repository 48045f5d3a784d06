"""Owns following one pipeline's journal: loads and verifies champion and challenger, then swaps them in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from evertrain.bundles import Bundle, check_golden, load_bundle
from evertrain.errors import BundleRefused
from evertrain.journal import head_key
from evertrain.release import PipelineState, VersionState, open_journal
from evertrain.rollout.reports import ModelReport
from evertrain.storage import Store
from serving.arms import Challenge, Shadowing
from serving.challenger import Challenger
from serving.fleet import Fleet, Reading, Served
from serving.retries import Clock, Retry
from serving.status.journal_lines import Tail

PROBE_SECONDS = 10.0
SLOWEST_ROW_SECONDS = 1.0

ACTOR = "serving"
_log = logging.getLogger(__name__)

Load = Callable[[Store, str], Bundle]


def load_verified(store: Store, digest: str) -> Bundle:
    """Load a bundle that is what its digest says and answers its golden rows as it did when it was made.

    Asking the golden rows also warms it.

    Raises:
        BundleRefused: It can't be served, or takes longer for a row than any caller waits.
        StorageError: The store can't be read.
    """
    bundle = load_bundle(store, digest)
    check_golden(bundle)
    _check_speed(bundle)
    return bundle


def _check_speed(bundle: Bundle) -> None:
    row = {name: values[:1] for name, values in bundle.golden.columns.items()}
    began = time.monotonic()
    bundle.predict(row)
    seconds = time.monotonic() - began
    if seconds > SLOWEST_ROW_SECONDS:
        raise BundleRefused(
            f"Bundle {bundle.digest[:12]} took {seconds:.1f} s for one row; what serves takes at most "
            f"{SLOWEST_ROW_SECONDS:g} s. Train a smaller model.",
            digest=bundle.digest,
        )


class Follower:
    """Keeps the fleet on the champion of one pipeline.

    Args:
        store: Where the journal and the bundles are; only read.
        name: The pipeline.
        fleet: Where its champion is put.
        load: Gives a bundle fit to be served.
        clock: Monotonic seconds.

    Raises:
        ConfigError: *name* can't be a pipeline's name.
    """

    def __init__(self, store: Store, name: str, fleet: Fleet, load: Load, clock: Clock) -> None:
        self.name = name
        self._store = store
        self._fleet = fleet
        self._load = load
        self._clock = clock
        self._journal = open_journal(store, name, ACTOR)
        self._tail = Tail(self._journal)
        self._tag: str | None = None
        self._probe_at_seconds = clock()
        self._number = 0
        self._state: PipelineState | None = None
        self._served: Served | None = None
        self._shown: tuple[Challenge | None, Shadowing | None] = (None, None)
        self._reading = Retry(f"Can't follow {name}", clock)
        self._loading = Retry(f"Can't serve the new champion of {name}", clock)
        self._challenger = Challenger(store, name, self._find_bundle, clock)
        self._warm: dict[str, tuple[Bundle, float]] = {}
        fleet.expect(name)

    @property
    def has_champion(self) -> bool:
        """Whether there is a champion to serve; True also while the journal can't be read."""
        return self._state is None or self._state.champion is not None

    def look(self) -> None:
        """Read what is new in the journal and serve its champion; what fails is logged and tried again."""
        self._reading.attempt(self._catch_up)
        self._loading.attempt(self._serve_champion)
        if self._state is not None and self._served is not None:
            self._challenger.look(self._state)
            against = (self._challenger.challenge, self._challenger.shadowing)
            if against != self._shown:
                self._fleet.put(self._served, *against)
                self._shown = against
        self._cool_down()

    @property
    def is_hurried(self) -> bool:
        """Whether a rollout runs, or the champion before is kept warm for a quick way back."""
        return bool(self._warm) or (self._state is not None and self._state.rollout is not None)

    def close(self) -> None:
        """End what was started for a challenger."""
        self._challenger.close()

    def report(self) -> ModelReport | None:
        """What this process serves under the name; None while that is nothing."""
        served = self._served
        if served is None:
            return None
        return ModelReport(served.version, served.generation, self._challenger.report())

    def _catch_up(self) -> None:
        changed = self._store.get_if_changed(head_key(self.name), self._tag)
        if changed is None and self._clock() < self._probe_at_seconds:
            self._note_reading()
            return
        # From the entry last seen: a journal that is shorter than that, or another one, is refused.
        position = self._journal.catch_up(self._tail.note)
        if position.number != self._number:
            self._loading.reset()
        self._number, self._state = position.number, position.state
        if changed is not None:
            self._tag = changed[1]
        # A hint may be stale or lost: now and then entries are looked for whatever it says.
        self._probe_at_seconds = self._clock() + PROBE_SECONDS
        self._note_reading()

    def _note_reading(self) -> None:
        generation = 0 if self._state is None else self._state.generation
        self._fleet.note_reading(self.name, Reading(generation, self._clock(), self._tail.noted()))

    def _serve_champion(self) -> None:
        state, served = self._state, self._served
        if state is None or state.champion is None or (served and served.generation == state.generation):
            return
        champion = state.versions[state.champion]
        fresh = Served(self.name, champion.version, state.generation, self._find_bundle(champion))
        # Whoever challenged the champion before challenges nobody now.
        self._fleet.put(fresh)
        self._shown = (None, None)
        if served is not None and served.bundle.digest != fresh.bundle.digest:
            self._warm[served.bundle.digest] = (served.bundle, self._clock() + state.keep_warm_seconds)
        self._served = fresh
        _log.info("Now serving %s, generation %d", fresh, fresh.generation)

    def _find_bundle(self, version: VersionState) -> Bundle:
        """The bundle of *version*: one that is in memory already, or loaded."""
        challenge = self._challenger.challenge
        answering = (self._served, None if challenge is None else challenge.served)
        known = [each.bundle for each in answering if each is not None]
        known += [bundle for bundle, _ in self._warm.values()]
        found = next((bundle for bundle in known if bundle.digest == version.bundle), None)
        if found is not None:
            return found
        try:
            return self._load(self._store, version.bundle)
        except BundleRefused as cause:
            which = f"v{version.version} (bundle {version.bundle[:12]})"
            raise BundleRefused(f"{which}: {cause.message}", digest=version.bundle) from cause

    def _cool_down(self) -> None:
        now = self._clock()
        self._warm = {digest: kept for digest, kept in self._warm.items() if kept[1] > now}
