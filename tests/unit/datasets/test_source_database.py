"""What needs no server: SQLite, and what is wrong before any database is asked."""

from __future__ import annotations

import sqlite3
import sys
from datetime import timedelta

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from evertrain.datasets.queries import open_table
from evertrain.datasets.source_database import read_database
from evertrain.datasets.source_database_faults import connection_faults_told, query_faults_told
from evertrain.datasets.source_reading import digest_source, source_files
from evertrain.errors import ConfigError, EvertrainError, SourceError
from evertrain.sources import SqlSource


def source(query="SELECT * FROM t", **settings):
    return SqlSource(type="sql", url_env="THE_URL", query=query, **settings)


@pytest.fixture
def database(tmp_path, monkeypatch):
    """A SQLite file with a table; $THE_URL names it."""
    path = tmp_path / "a #1.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b REAL, c TEXT, d NUMERIC, e ANY)")
        rows = [(1, 0.5, "x", 1, None), (2, None, "2013-01-01", 1.5, None)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    monkeypatch.setenv("THE_URL", f"sqlite:///{path}")
    return path


def read(query="SELECT * FROM t", then=None):
    with source_files(source(query)) as paths, open_table(paths, then) as table:
        rows = table.fetch(*(cell.sql for cell in table.cells), rest="ORDER BY ALL")
        return [(column.name, column.type) for column in table.columns], rows


def test_sqlite_is_read_like_any_table(database):
    """Numbers of one column are floats as soon as one is; a column without values is of no type."""
    columns, rows = read()

    assert columns == [("a", "integer"), ("b", "float"), ("c", "string"), ("d", "float"), ("e", "other")]
    assert rows == [(1, 0.5, "x", 1.0, None), (2, None, "2013-01-01", 1.5, None)]
    assert digest_source(source()) is None


def test_sqlite_is_never_written_to_nor_made(database, monkeypatch, tmp_path):
    """A file that isn't there is no reason to make one."""
    monkeypatch.setenv("THE_URL", f"sqlite:///{tmp_path}/absent.db")

    with pytest.raises(
        SourceError, match="The SQLite file that THE_URL names can't be opened: unable to open"
    ):
        read()
    assert not (tmp_path / "absent.db").exists()


def test_no_statement_writes_to_sqlite(database):
    """Not even one that got past the check of the YAML."""
    sneaked = source().model_copy(update={"query": "DELETE FROM t"})

    with pytest.raises(SourceError, match="attempt to write a readonly database"), source_files(sneaked):
        pass


def test_values_of_two_types_are_refused(database):
    """SQLite keeps whatever it is given; a column to learn from is of one type."""
    with pytest.raises(SourceError, match=r"data\.source\.query gives column 'v' values of two types"):
        read("SELECT a AS v FROM t UNION ALL SELECT c FROM t")


def test_rows_that_come_too_slowly_are_given_up(database, tmp_path):
    """A database that knows no timeout is timed by us."""
    seconds = iter([0.0, 61.0])

    with pytest.raises(SourceError, match=r"longer than data\.source\.timeout \(1m\)"):
        read_database(
            source(timeout=timedelta(minutes=1)),
            tmp_path,
            {"THE_URL": f"sqlite:///{database}"},
            clock=lambda: next(seconds),
        )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "the environment variable THE_URL is not set; expected the URL of a database"),
        ("  ", "THE_URL is not set"),
        ("no url", "THE_URL holds no URL; expected one such as postgresql://"),
        ("postgresql://u:s3cr3t@host:port/d", "THE_URL holds no URL"),
        ("nosuch://u:s3cr3t@h/d", "begins with 'nosuch', and SQLAlchemy doesn't know that"),
        ("mysql+pymysql://u:s3cr3t@h/d", r"whose driver isn't installed .*pip install pymysql"),
        ("sqlite://u:s3cr3t@h/d", "begins with 'sqlite', and SQLAlchemy doesn't know that or what follows"),
        (
            "sqlite+aiosqlite:///a.db",
            "begins with 'sqlite.aiosqlite', an asynchronous driver; expected sqlite or",
        ),
    ],
)
def test_a_wrong_url_names_its_variable_only(tmp_path, url, message):
    """Exit 2, before anything is connected; the URL bears a password and is never shown."""
    with pytest.raises(ConfigError, match=message) as refused:
        read_database(source(), tmp_path, {} if url is None else {"THE_URL": url})
    assert "s3cr3t" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_postgres_without_its_driver_names_the_extra(tmp_path, monkeypatch):
    """`postgres://`, as Heroku spells it, is understood too."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError, match=r"pip install 'evertrain\[postgres\]'"):
        read_database(source(), tmp_path, {"THE_URL": "postgres://u:s3cr3t@h/d"})


def test_secrets_are_blotted_out_of_what_a_driver_says():
    """However the password is spelled; and the driver's error isn't shown as a cause either."""
    url = make_url("postgresql://u:p%40ss%2Fw@h/d")
    for told in (connection_faults_told, query_faults_told):
        with pytest.raises(EvertrainError) as raised, told(source(), url):
            raise OperationalError(
                "SELECT 1", None, ValueError("p@ss/w p%40ss%2Fw postgresql://u:p%40ss%2Fw@h/d")
            )
        assert "*** *** ***" in raised.value.message
        assert "ss" not in raised.value.message.partition("***")[2].partition(".")[0]
        assert raised.value.__suppress_context__
