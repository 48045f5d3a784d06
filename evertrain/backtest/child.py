"""Owns what a process that works for a backtest answers: one piece after the other."""

from __future__ import annotations

import os
import sys
from typing import Any

from evertrain.child_process import serve_parent

# Before scikit-learn is loaded: as many processes as cores work side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Work out a piece, and keep it in the store.

    Args:
        asked: ``piece``, ``store`` (where it is) and ``settings``.

    Raises:
        EvertrainError: See ``making.make``.
    """
    from evertrain.backtest.making import make
    from evertrain.backtest.pieces import PIECES
    from evertrain.backtest.place import Place
    from evertrain.settings import load_settings
    from evertrain.storage import attach_store

    piece = PIECES[asked["piece"]["kind"]].model_validate(asked["piece"])
    place = Place(attach_store(asked["store"]), load_settings(asked["settings"]))
    return make(piece, place).model_dump(mode="json")


def prepare() -> None:
    """Import ahead what nearly every piece needs."""
    import evertrain.backtest.making  # noqa: F401


def work_for(parent: int) -> None:
    """Answer the process *parent*, which started this one."""
    serve_parent(parent, prepare, answer)


if __name__ == "__main__":
    work_for(int(sys.argv[1]))
