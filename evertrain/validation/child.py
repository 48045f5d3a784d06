"""Owns the process that runs Great Expectations beside training: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from evertrain.config import ValidationConfig
from evertrain.datasets import Ingested
from evertrain.errors import EvertrainError
from evertrain.orphans import end_with_parent
from evertrain.storage import attach_store
from evertrain.validation import import_great_expectations
from evertrain.validation.snapshots import validate_snapshot


def answer(question: str) -> str:
    """Give the verdict on a snapshot.

    Args:
        question: JSON with ``config`` (validation), ``ingested`` and ``store`` (where it is).

    Returns:
        JSON with ``seconds`` and a ``report``, or the ``error`` that evertrain raised on purpose.
    """
    began = time.perf_counter()
    asked = json.loads(question)
    found: dict[str, Any]
    try:
        report = validate_snapshot(
            ValidationConfig.model_validate(asked["config"]),
            Ingested.model_validate(asked["ingested"]),
            attach_store(asked["store"]),
        )
        found = {"report": report.model_dump(mode="json")}
    except EvertrainError as error:
        facts = {"type": type(error).__name__, "message": error.message, "attributes": error.attributes}
        found = {"error": facts}
    return json.dumps({**found, "seconds": round(time.perf_counter() - began, 3)}, default=str)


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answer each line of *questions* by one of *answers*, until there are no more."""
    asked: SimpleQueue[str] = SimpleQueue()
    # Read at once: a question longer than a pipe holds would keep its asker until the import is done.
    Thread(target=_read_lines, args=(questions, asked), daemon=True, name="questions").start()
    import_great_expectations()
    while question := asked.get():
        answers.write(answer(question) + "\n")
        answers.flush()


def main(parent: int) -> None:
    """Run as ``python -m evertrain.validation.child PARENT``; ends with that process, says nothing else."""
    # Where the parent is gone, nobody else removes Great Expectations' temporary folders.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    end_with_parent(parent)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)


def _read_lines(questions: IO[str], asked: SimpleQueue[str]) -> None:
    for line in questions:
        asked.put(line)
    asked.put("")


if __name__ == "__main__":
    main(int(sys.argv[1]))
