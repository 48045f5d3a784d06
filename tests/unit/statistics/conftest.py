"""What the proofs at the size of a pull request share: the full proofs' own trials."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FULL = Path(__file__).parents[3] / "benchmarks" / "full"


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Give a full proof's module by its name; what it imports from its folder goes with the test."""
    monkeypatch.syspath_prepend(str(FULL))
    before = set(sys.modules)
    yield importlib.import_module
    for name in {path.stem for path in FULL.glob("*.py")} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def count() -> Callable[..., Counter[str]]:
    """Add up what the first trials of a proof count."""

    def add_up(trial: Callable[[int], dict[str, int]], trials: int) -> Counter[str]:
        totals: Counter[str] = Counter()
        for number in range(trials):
            totals.update(trial(number))
        return totals

    return add_up
