"""Owns the sign of life of a rollout's controller: what it overwrites, and what the service reads of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

BEAT_SECONDS = 1.0
"""How often a controller beats; after three that are missed no challenger answers any more."""


@dataclass(frozen=True)
class Beat:
    """One sign of life.

    Attributes:
        rollout: The number of the rollout that is watched.
        number: Counts beats, so that no two are alike.
        owner: Who beats.
        replicas: How many processes answer, as far as the controller knows; at least 1.
    """

    rollout: int
    number: int
    owner: str
    replicas: int


def beat_key(pipeline: str) -> str:
    """The store's key of a pipeline's beats."""
    return f"beats/{pipeline}"


def spell_beat(beat: Beat) -> bytes:
    """Spell a beat."""
    return json.dumps(asdict(beat)).encode()


def parse_beat(data: bytes) -> Beat | None:
    """Read a beat; None for what is none."""
    try:
        match json.loads(data):
            case {"rollout": int(rollout), "number": int(number), "owner": str(owner), "replicas": int(many)}:
                return Beat(rollout, number, owner, max(1, many))
    except ValueError:
        pass
    return None
