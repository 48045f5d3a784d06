"""Owns river's drift detectors at their defaults: told a model's errors, where they first alarm."""

from __future__ import annotations

import json
import sys
from typing import Any


def make_detector(name: str) -> Any:
    """Make a fresh detector as river makes it when nothing is said."""
    from river import drift
    from river.drift import binary

    return {"page_hinkley": drift.PageHinkley, "adwin": drift.ADWIN, "ddm": binary.DDM}[name]()


def find_alarm(name: str, values: list[float]) -> int | None:
    """Feed *values* to a fresh detector; give the place of the first at which it sees drift."""
    detector = make_detector(name)
    for place, value in enumerate(values):
        # A detector of zeros and ones takes a truth value.
        detector.update(bool(value) if name == "ddm" else value)
        if detector.drift_detected:
            return place
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(find_alarm(asked["detector"], asked["values"])), flush=True)
