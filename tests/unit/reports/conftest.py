"""Owns the journals that the tests of a pipeline's page are told from."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from evertrain.release import ReleaseJournal, open_journal
from evertrain.storage import LocalStore
from tests.unit.reports.pipeline_life import Clock, live


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture(scope="session")
def whole_life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    live(open_journal(LocalStore(folder), "flights", "me", clock=Clock()))
    return folder


@pytest.fixture
def lived(whole_life: Path, tmp_path: Path) -> ReleaseJournal:
    """The journal of a life, for each test its own."""
    return open_journal(LocalStore(copytree(whole_life, tmp_path / "life")), "flights", "me", clock=Clock())


@pytest.fixture
def journal(store: LocalStore) -> ReleaseJournal:
    return open_journal(store, "flights", "me", clock=Clock())
