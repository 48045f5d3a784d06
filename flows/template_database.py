"""Owns the database that a fresh home's Prefect server starts from: made once, as evertrain is installed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from evertrain.locks import locked

DATABASE = "prefect.db"
# Where a user names a database of his own, there is nothing to copy.
ELSEWHERE = ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")


def template_path() -> Path:
    """Where this installation keeps the template for its Prefect; it need not be there."""
    return Path(sys.prefix) / "share" / "evertrain" / f"prefect-{version('prefect')}.db"


def prepare_database(home: Path, template: Path) -> bool:
    """Make the database in *home* ready for a server, one process at a time: two at once would both do it.

    Returns:
        Whether it is just what *template* is, so that a server needs to add nothing at its start.
    """
    with locked(home / "migration.lock"):
        if not any(name in os.environ for name in ELSEWHERE):
            database = home / DATABASE
            wanted = read_revision(template)
            if wanted is not None and not database.exists():
                copy_database(template, database)
            if wanted is not None and read_revision(database) == wanted:
                return True
        migrate()
        return False


def migrate() -> None:
    """Make or migrate the database that Prefect's settings name, as Prefect itself would."""
    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())


def read_revision(database: Path) -> str | None:
    """Read which migration a database of Prefect's is at; None if it is none, or not there."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(found[0]) if found else None


def copy_database(source: Path, target: Path) -> None:
    """Copy a database beside *target* and rename it: a process killed half-way leaves no half of one.

    Raises:
        OSError: The folder of *target* can't be written.
        sqlite3.Error: *source* can't be read, or there is no room.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    try:
        with closing(sqlite3.connect(source)) as taken, closing(sqlite3.connect(unfinished)) as made:
            taken.backup(made)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def make_template(target: Path) -> None:
    """Make the template, as Prefect's first start would make its database, and unpack Prefect's pages.

    The environment's ``PREFECT_HOME`` must be a folder that is of no further use.

    Raises:
        OSError: The folder of *target* can't be written.
    """
    from prefect.server.api.server import create_ui_app
    from prefect.server.database import provide_database_interface
    from prefect.server.models.block_registration import run_block_auto_registration

    async def fill() -> None:
        async with await provide_database_interface().session() as session:
            await run_block_auto_registration(session=session)

    migrate()
    asyncio.run(fill())
    create_ui_app(ephemeral=False)
    copy_database(Path(os.environ["PREFECT_HOME"]) / DATABASE, target)


def main() -> None:
    """Make the template unless it is there; where it can't be kept, say so: first starts are slower then."""
    target = template_path()
    if target.exists():
        return
    with tempfile.TemporaryDirectory(prefix="evertrain-template-") as home:
        os.environ |= {"PREFECT_HOME": home, "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        for name in ELSEWHERE:
            os.environ.pop(name, None)
        try:
            make_template(target)
        except OSError as cause:
            sys.stderr.write(
                f"The template for Prefect's database can't be kept in {target.parent} ({cause}): "
                "the first start in a new home takes some seconds more.\n"
            )


if __name__ == "__main__":
    main()
