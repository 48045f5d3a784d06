"""Owns how much of the log may lie on this machine: what no longer fits is dropped, the oldest first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from serving.prediction_log.places import ANSWERS, waiting_bytes
from serving.prediction_log.reading import read_lines
from serving.prediction_log.segments import list_segments, taken


def drop_oldest(folder: Path, most_bytes: int) -> Counter[str]:
    """Drop the oldest answers while all that waits is over *most_bytes*; labels are never dropped.

    Returns:
        By pipeline, how many rows were dropped.

    Raises:
        OSError: A segment can't be read or removed.
    """
    dropped: Counter[str] = Counter()
    excess = waiting_bytes(folder) - most_bytes
    for segment in list_segments(folder / ANSWERS):
        if excess <= 0:
            break
        with taken(segment) as mine:
            if mine:
                excess -= segment.stat().st_size
                dropped += _count_rows(segment)
                segment.unlink()
    return dropped


def _count_rows(segment: Path) -> Counter[str]:
    rows: Counter[str] = Counter()
    with segment.open("rb") as lines:
        for line in read_lines(lines):
            if "of" in line:
                rows[line["of"].partition("/")[0]] += len(line["labels"])
    return rows
