"""Owns where the log lies on this machine, and what is written there of how the shipping goes."""

from __future__ import annotations

from pathlib import Path

from serving.prediction_log.segments import list_segments

ANSWERS, LABELS = "answers", "labels"
_SHIPPED = "shipped"


def log_folder(home: Path) -> Path:
    """The log's folder in EVERTRAIN_HOME."""
    return home / "serving" / "log"


def waiting_bytes(folder: Path) -> int:
    """How many bytes wait for the store."""
    total = 0
    for kind in (ANSWERS, LABELS):
        for segment in list_segments(folder / kind):
            try:
                total += segment.stat().st_size
            except FileNotFoundError:
                continue
    return total


def note_shipped(folder: Path) -> None:
    """Note that the store has taken something just now."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SHIPPED).touch()


def read_shipped_at(folder: Path) -> float | None:
    """When the store last took something, in seconds since 1970; None if it has taken nothing yet."""
    try:
        return (folder / _SHIPPED).stat().st_mtime
    except FileNotFoundError:
        return None
