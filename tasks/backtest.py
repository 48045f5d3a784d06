"""Owns the task ``piece``: one piece of a backtest, worked out wherever the task runs."""

from __future__ import annotations

from typing import Any

from evertrain.backtest.child import answer
from tasks.steps import step_task


@step_task("piece")
def piece_task(asked: dict[str, Any]) -> dict[str, Any]:
    """Work out a piece and keep it in the store; see ``evertrain.backtest.child``."""
    return answer(asked)
