"""Owns where the pieces of a backtest are worked out: store, settings, and the way to other pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from evertrain.backtest.pieces import Piece
from evertrain.settings import Settings
from evertrain.storage import Store

Wanted = TypeVar("Wanted")


def _make_nothing(piece: Piece, _place: Place) -> Any:
    raise AssertionError(f"a {piece.kind} is made by a place that can make pieces")


@dataclass(frozen=True, eq=False)
class Place:
    """Where a piece is worked out; ``maker`` gives those that it is made of."""

    store: Store
    settings: Settings
    maker: Callable[[Piece, Place], Any] = _make_nothing

    def with_make(self, maker: Callable[[Piece, Place], Any]) -> Place:
        """The same place with *maker* to have other pieces by."""
        return replace(self, maker=maker)

    def make(self, piece: Piece, kind: type[Wanted]) -> Wanted:
        """Have another piece, recalled or worked out."""
        made = self.maker(piece, self)
        assert isinstance(made, kind)
        return made
