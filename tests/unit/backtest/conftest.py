"""Owns what the tests of backtests share: a stream whose rule turns half-way, and makers in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from evertrain.backtest import Progress, Workshop
from evertrain.backtest.making import make
from evertrain.backtest.pieces import Made, Piece
from evertrain.backtest.place import Place
from evertrain.config import PipelineConfig
from evertrain.settings import read_settings
from evertrain.storage import Store, open_store

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
TURN = BEGIN + timedelta(days=70)
ROWS_A_DAY = 30
YAML = """\
name: turning
data:
  source: {{type: files, uri: "{rows}"}}
  timestamp: when
  target: late
  positive: 1
  features: {{numeric: [first, second]}}
  window: {{train: 20d, holdout: 10d}}
# Never tried in ONNX: the child that converts takes longer than all the rest.
training:
  estimator: sklearn.discriminant_analysis.LinearDiscriminantAnalysis
  calibration: isotonic
evaluation: {{task: binary_classification}}
drift:
  current: {{window: 10d, min_rows: 100}}
  regret: {{metric: roc_auc}}
  retrain_on: [regret]
"""


def write_rows(path: Path, days: int = 130, *, seed: int = 0, turned_labels_after: int | None = None) -> None:
    """Write rows whose label follows the first number for 70 days, and the second from then on.

    Of the rows after day *turned_labels_after* the labels and numbers are others.
    """
    rng = np.random.default_rng(seed)
    lines = ["when,first,second,late"]
    for row in range(days * ROWS_A_DAY):
        moment = BEGIN + timedelta(minutes=row * 1440 / ROWS_A_DAY)
        first, second, luck = rng.normal(), rng.normal(), rng.random()
        if turned_labels_after is not None and moment > BEGIN + timedelta(days=turned_labels_after):
            first, second, luck = second + 1, -first, 1 - luck
        leading = first if moment < TURN else second
        late = int(luck < 1 / (1 + np.exp(-2 * leading)))
        lines.append(f"{moment:%Y-%m-%dT%H:%M:%S},{first:.6f},{second:.6f},{late}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_pipeline(folder: Path) -> Path:
    """Write a pipeline's YAML and its rows."""
    write_rows(folder / "rows.csv")
    path = folder / "turning.yaml"
    path.write_text(YAML.format(rows=folder / "rows.csv"), encoding="utf-8")
    return path


def load(path: Path, *overrides: str) -> PipelineConfig:
    from evertrain.config.files import load_config

    return load_config(path, read_settings({}), overrides)


@dataclass
class Here:
    """Makes pieces in this process; from the ``most``-th on it breaks down."""

    store: Store
    most: int | None = None
    made: list[Piece] = field(default_factory=list)

    def make_all(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, Made]]:
        place = Place(self.store, read_settings({}))
        for number, piece in enumerate(pieces):
            if self.most is not None and len(self.made) >= self.most:
                raise KeyboardInterrupt
            self.made.append(piece)
            yield number, make(piece, place)


def tell_nobody(_progress: Progress) -> None:
    """Have nobody to tell of progress."""


@pytest.fixture(scope="session")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML of the stream whose rule turns."""
    return write_pipeline(tmp_path_factory.mktemp("turning"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store where what one test worked out is recalled by the next."""
    return open_store(str(tmp_path_factory.mktemp("store")))


@pytest.fixture
def workshop(kept: Store) -> Workshop:
    return Workshop(kept, Here(kept), tell_nobody)
