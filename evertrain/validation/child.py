"""Owns what the process that runs Great Expectations beside training answers: the verdict on a snapshot."""

from __future__ import annotations

import sys
from typing import Any

from evertrain.child_process import serve_parent
from evertrain.config import ValidationConfig
from evertrain.datasets import Ingested
from evertrain.storage import attach_store
from evertrain.validation import import_great_expectations
from evertrain.validation.snapshots import validate_snapshot


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the verdict on a snapshot, as a ``ValidationReport`` in JSON.

    Args:
        asked: ``config`` (validation), ``ingested`` and ``store`` (where it is).

    Raises:
        EvertrainError: See ``validate_snapshot``.
    """
    report = validate_snapshot(
        ValidationConfig.model_validate(asked["config"]),
        Ingested.model_validate(asked["ingested"]),
        attach_store(asked["store"]),
    )
    return report.model_dump(mode="json")


def work_for(parent: int) -> None:
    """Answer the process *parent*, which started this one."""
    serve_parent(parent, import_great_expectations, answer)


if __name__ == "__main__":
    work_for(int(sys.argv[1]))
