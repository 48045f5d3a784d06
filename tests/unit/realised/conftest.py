"""Owns a prediction log to read: parts made by the service's own code, of answers that a test names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evertrain.storage import LocalStore, Store
from serving.prediction_log.parts import make_answer_parts, make_label_parts

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEATURES = [["distance", "numeric", "float"], ["carrier", "categorical", "string"]]


class Log:
    """Writes what a service of the pipeline ``flights`` would have, at hours after START."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._segments = itertools.count()

    def answer(
        self,
        request: str,
        scores: Sequence[float],
        *,
        hour: float = 0.0,
        version: int = 1,
        arm: str = "stable",
        classes: Sequence[Any] | None = ("No", "Yes"),
        features: list[list[str]] | None = None,
        columns: list[list[Any]] | None = None,
        entity: str | None = None,
    ) -> None:
        """Log one request: a probability of the last class a row, or, without classes, a number."""
        rows = len(scores)
        model = {"model": f"flights/{version}", "bundle": "d" * 64, "pipeline": "flights"}
        model |= {"version": version, "features": features or FEATURES, "classes": classes}
        line = {
            "of": model["model"],
            "arm": arm,
            "id": request,
            "entity": entity,
            "at": (START + hour * HOUR).timestamp(),
            "seconds": 0.002,
            "columns": columns or [[100.0 + row for row in range(rows)], ["UA"] * rows],
            "labels": scores if classes is None else [classes[-1 if each > 0.5 else 0] for each in scores],
            "scores": None if classes is None else [[1 - each, each] for each in scores],
        }
        self._put(make_answer_parts(self._name(), [model, line]))

    def tell(self, labels: dict[str, Any], *, hour: float = 1.0) -> None:
        """Log labels that the feedback route took together."""
        self.tell_all([(name, label, hour) for name, label in labels.items()])

    def tell_all(self, labels: Iterable[tuple[str, Any, float]]) -> None:
        """Log labels of one segment: prediction id, label, hour."""
        lines = [
            {"pipeline": "flights", "id": name, "label": label, "at": (START + hour * HOUR).timestamp()}
            for name, label, hour in labels
        ]
        self._put(make_label_parts(self._name(), lines))

    def _name(self) -> str:
        return f"{next(self._segments):020d}-0123456789ab"

    def _put(self, parts: Any) -> None:
        for key, data in parts:
            assert self.store.put_if_absent(key, data)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(LocalStore(tmp_path / "store"))
