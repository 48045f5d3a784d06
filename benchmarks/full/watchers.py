"""Owns who watches a model in the proofs of drift: the product's policy, and river's detectors beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers.environments import NotInstalled, python_of

from evertrain.config import DriftConfig
from evertrain.drift_records import MOST_CHECKS, PastCheck, PastRetrains
from evertrain.policy import Action, counts_as_look, decide_action, look_level, looks_a_year, remember

START = datetime(2024, 1, 1, tzinfo=UTC)
RIVER = ("page_hinkley", "adwin", "ddm")


class Watch:
    """The policy and what it remembers, as the journal's state would hold it.

    Args:
        drift: The policy, as the YAML's ``drift`` spells it.
        step_seconds: How long a step is in the policy's time; an hour where nothing is said.
    """

    def __init__(self, drift: dict[str, Any], *, step_seconds: float = 3_600) -> None:
        self.config = DriftConfig.model_validate(drift)
        self._step = timedelta(seconds=step_seconds)
        self.generation = 1
        self.checks: list[PastCheck] = []
        self.past = PastRetrains()

    @property
    def level(self) -> float:
        """At which two-sided confidence a look at regret is judged."""
        assert self.config.regret is not None
        return look_level(self.config.regret.confidence, looks_a_year(self.config))

    def counts(self, step: int) -> bool:
        """Whether a look at regret at *step* would count."""
        return counts_as_look(self.config, self._at(step, ("regret",), {}), self.checks)

    def _at(self, step: int, triggers: tuple[str, ...], sizes: dict[str, float]) -> PastCheck:
        moment = (START + self._step * step).isoformat()
        return PastCheck(as_of=moment, generation=self.generation, triggers=triggers, sizes=sizes)

    def check(self, step: int, triggers: tuple[str, ...], sizes: dict[str, float]) -> Action:
        """Ask the policy at *step* about what fired; a retrain that it starts crowns a champion at once."""
        now = self._at(step, triggers, sizes)
        self.past = self.past.with_check(now)
        last = self.past.as_of[-1] if self.past.as_of else None
        action = decide_action(
            self.config,
            now,
            self.checks,
            generation=self.generation,
            retrained_as_of=last,
            past=self.past,
        )
        self.checks = [*self.checks, remember(now, action)][-MOST_CHECKS:]
        if action.name == "started":
            self.past = self.past.with_retrain(now.as_of, now.causes)
            self.generation += 1
        return action


@cache
def _river() -> subprocess.Popen[str] | None:
    """Start river's process; None, and a word about it, where river can't be installed."""
    script = Path(__file__).parents[1] / "peers" / "river_detectors.py"
    try:
        python = python_of("river")
    except NotInstalled as cause:
        print(cause, file=sys.stderr)
        return None
    return subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def has_river() -> bool:
    """Whether river can be asked here."""
    return _river() is not None


def ask_river(detector: str, errors: np.ndarray) -> int | None:
    """Give the place at which a fresh *detector* first sees drift in *errors*, shape [n]; None: nowhere."""
    process = _river()
    assert process is not None
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"detector": detector, "values": errors.tolist()}) + "\n")
    process.stdin.flush()
    found: int | None = json.loads(process.stdout.readline())
    return found


def alarms_of_river(detector: str, errors: Callable[[int], np.ndarray], start: int, end: int) -> list[int]:
    """Let a detector watch a model that is learnt anew at each alarm.

    Args:
        detector: river's.
        errors: Gives, from a step on and to *end*, the errors of a model learnt just before that step.
        start: The first step that is watched.
        end: The step after the last.

    Returns:
        The steps of its alarms.
    """
    alarms: list[int] = []
    while start < end:
        found = ask_river(detector, errors(start))
        if found is None:
            break
        alarms.append(start + found)
        start += found + 1
    return alarms
