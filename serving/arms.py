"""Owns which version answers a request while two are held against each other: one arm a request, sticky."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from serving.served import Served
from serving.tally import Tally

if TYPE_CHECKING:
    from serving.shadow.runner import Shadow

STABLE, CANARY = "stable", "canary"
BUCKETS = 2**20
_NAMES = {"canary": (STABLE, CANARY), "ab": ("a", "b")}


class Arm(NamedTuple):
    """What answers: its name in headers, logs and metrics, and the version."""

    name: str
    served: Served


@dataclass(frozen=True)
class Challenge:
    """A challenger beside the champion.

    Attributes:
        served: The challenger, verified and warm.
        rollout: The journal's entry that began it; salts the buckets, so that two rollouts split callers
            independently.
        kind: The strategy's type.
        step: Of the rollout.
        percent: Of requests that it shall answer.
        tally: What both arms did, in this process.
        held_back: Whether it answers nothing for the time being, since nobody watches it.
    """

    served: Served
    rollout: int
    kind: str
    step: int
    percent: float
    tally: Tally
    held_back: bool = False

    @property
    def open_percent(self) -> float:
        """Of requests that it answers now: none where nobody watches, or a guardrail was crossed here."""
        return 0.0 if self.held_back or self.tally.tripped else self.percent


@dataclass(frozen=True)
class Shadowing:
    """A challenger that sees what the champion answers, and answers nobody.

    Attributes:
        version: The challenger.
        bundle: Its bundle's digest.
        rollout: The journal's entry that began it.
        shadow: Is shown the rows, in a process of its own.
    """

    version: int
    bundle: str
    rollout: int
    shadow: Shadow


@dataclass(frozen=True)
class Lineup:
    """Who answers under one name: the champion, and who is held against it where someone is."""

    stable: Served
    challenge: Challenge | None = None
    shadowing: Shadowing | None = None

    @property
    def is_quick(self) -> bool:
        """Whether whoever answers is a model in ONNX."""
        challenger = self.challenge and self.challenge.served.bundle.runtime
        return self.stable.bundle.runtime == "onnx" and challenger in (None, "onnx")

    @property
    def stable_arm(self) -> Arm:
        """The champion's arm."""
        name = STABLE if self.challenge is None else _NAMES[self.challenge.kind][0]
        return Arm(name, self.stable)

    @property
    def challenger_arm(self) -> Arm | None:
        """The challenger's arm."""
        challenge = self.challenge
        return None if challenge is None else Arm(_NAMES[challenge.kind][1], challenge.served)


def choose_arm(lineup: Lineup, key: str) -> Arm:
    """The arm that answers whoever *key* is.

    The same key gets the same arm as long as a rollout stays at its step, and one that a growing share has
    moved to the challenger stays there.
    """
    challenge = lineup.challenge
    if challenge is None or not challenge.open_percent:
        return lineup.stable_arm
    challenger = lineup.challenger_arm
    if challenger is not None and bucket_of(challenge.rollout, key) < challenge.open_percent / 100 * BUCKETS:
        return challenger
    return lineup.stable_arm


def bucket_of(rollout: int, key: str) -> int:
    """The bucket of *key* in *rollout*, from 0 to BUCKETS - 1, each as likely as any other."""
    digest = sha256(f"{rollout}/{key}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS
