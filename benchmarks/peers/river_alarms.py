"""Owns river's side of the false alarms: its detectors on each column, row after row, as by default."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from river import drift

DETECTORS: dict[str, Callable[[], Any]] = {"ADWIN": drift.ADWIN, "Page-Hinkley": drift.PageHinkley}


def alarm(make: Callable[[], Any], reference: np.ndarray, current: np.ndarray) -> bool:
    """Whether a detector that has seen *reference* raises an alarm anywhere in *current*, shape (n,) each."""
    detector = make()
    for value in reference.tolist():
        detector.update(value)
    for value in current.tolist():
        detector.update(value)
        if detector.drift_detected:
            return True
    return False


def main() -> None:
    """Read files of streams, numpy arrays of shape (rows, columns), and print who alarmed in each.

    Arguments: how many rows of each are the reference, then the files.
    """
    rows = int(sys.argv[1])
    found = []
    for path in sys.argv[2:]:
        stream = np.load(path)
        sides = [(stream[:rows, place], stream[rows:, place]) for place in range(stream.shape[1])]
        found.append({name: sum(alarm(make, *side) for side in sides) for name, make in DETECTORS.items()})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
