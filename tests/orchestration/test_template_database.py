from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows import template_database
from flows.template_database import DATABASE, prepare_database, read_revision, template_path

MAKE = """
import sys
from pathlib import Path
from flows import template_database
template_database.template_path = lambda: Path(sys.argv[1])
template_database.main()
"""


def write_database(path: Path, revision: str) -> Path:
    """Write what looks like a database of Prefect's at *revision*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return path


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which migrations were asked for; Prefect's own take seconds, and run in the tests of the server."""
    asked: list[str] = []
    monkeypatch.setattr(template_database, "migrate", lambda: asked.append("all"))
    return asked


def test_a_fresh_home_gets_the_template_and_needs_no_migration(tmp_path: Path, migrations: list[str]) -> None:
    """The copy is whole, leaves nothing beside it, and is taken as it is the next time."""
    template = write_database(tmp_path / "template.db", "abc")
    home = tmp_path / "home"

    assert prepare_database(home, template)
    assert prepare_database(home, template)

    assert migrations == []
    assert read_revision(home / DATABASE) == "abc"
    assert sorted(path.name for path in home.iterdir()) == ["migration.lock", DATABASE]


@pytest.mark.parametrize("revision", ["older", None])
def test_a_home_of_another_prefect_is_migrated(
    tmp_path: Path, migrations: list[str], revision: str | None
) -> None:
    """What a home holds is never replaced; also not what is no database, which Prefect then complains of."""
    template = write_database(tmp_path / "template.db", "abc")
    home = tmp_path / "home"
    if revision is None:
        home.mkdir()
        (home / DATABASE).write_text("this is no database")
    else:
        write_database(home / DATABASE, revision)

    assert not prepare_database(home, template)

    assert migrations == ["all"]
    assert read_revision(home / DATABASE) == revision


@pytest.mark.parametrize("content", [None, "this is no database"])
def test_without_a_sound_template_prefect_migrates(
    tmp_path: Path, migrations: list[str], content: str | None
) -> None:
    """An installation that couldn't keep one works all the same."""
    template = tmp_path / "template.db"
    if content is not None:
        template.write_text(content)

    assert not prepare_database(tmp_path / "home", template)

    assert migrations == ["all"]


def test_a_database_elsewhere_is_left_to_prefect(
    tmp_path: Path, migrations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the user names PostgreSQL, no file is made."""
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://prefect@db/prefect")
    template = write_database(tmp_path / "template.db", "abc")

    assert not prepare_database(tmp_path / "home", template)

    assert migrations == ["all"]
    assert not (tmp_path / "home" / DATABASE).exists()


def test_the_installed_template_is_migrated_and_filled() -> None:
    """It is migrated, and knows Prefect's blocks: a server needn't write them."""
    if not template_path().exists():
        pytest.skip(f"there is no {template_path()}: `make .venv` makes it")
    assert read_revision(template_path()) is not None
    with closing(sqlite3.connect(template_path())) as connection:
        (blocks,) = connection.execute("SELECT count(*) FROM block_type").fetchone()
    assert blocks > 10


@pytest.mark.slow
def test_the_template_is_made_once_and_where_it_cannot_be_kept_that_is_said(tmp_path: Path) -> None:
    """Installing goes on without it."""
    (tmp_path / "file").write_text("")

    def make(target: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", MAKE, str(target)],
            env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    made, refused = make(tmp_path / "kept" / "prefect.db"), make(tmp_path / "file" / "prefect.db")
    assert (made.returncode, made.stderr) == (0, "")
    assert read_revision(tmp_path / "kept" / "prefect.db") is not None
    assert refused.returncode == 0
    assert "can't be kept" in refused.stderr

    written = (tmp_path / "kept" / "prefect.db").stat().st_mtime_ns
    assert make(tmp_path / "kept" / "prefect.db").returncode == 0
    assert (tmp_path / "kept" / "prefect.db").stat().st_mtime_ns == written
