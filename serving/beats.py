"""Owns whether a rollout's controller lives, as this process sees it: without one no challenger answers."""

from __future__ import annotations

from evertrain.rollout.beats import BEAT_SECONDS, Beat, beat_key, parse_beat
from evertrain.storage import Store
from serving.retries import Clock

DEAD_AFTER_SECONDS = 3 * BEAT_SECONDS


class BeatWatch:
    """Looks at the beats of one pipeline's rollouts.

    Args:
        store: Where they are.
        pipeline: The pipeline.
        clock: Monotonic seconds; the store's and other hosts' clocks play no part.
    """

    def __init__(self, store: Store, pipeline: str, clock: Clock) -> None:
        self._store = store
        self._key = beat_key(pipeline)
        self._clock = clock
        self._tag: str | None = None
        self._beat: Beat | None = None
        self._at_seconds: float | None = None

    def look(self) -> None:
        """Look once.

        Raises:
            StorageError: The store can't be read.
        """
        first = self._tag is None
        found = self._store.get_if_changed(self._key, self._tag)
        if found is None:
            return
        data, self._tag = found
        beat = parse_beat(data)
        if beat is None:
            return
        # One that was there before may be years old.
        if not first:
            self._at_seconds = self._clock()
        self._beat = beat

    def find(self, rollout: int) -> Beat | None:
        """The last beat, if the controller of *rollout* lives."""
        beat, at_seconds = self._beat, self._at_seconds
        if beat is None or at_seconds is None or beat.rollout != rollout:
            return None
        return beat if self._clock() - at_seconds < DEAD_AFTER_SECONDS else None
