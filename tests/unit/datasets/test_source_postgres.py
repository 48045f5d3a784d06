"""A real PostgreSQL as a source."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import uuid
from datetime import date, datetime

import psycopg
import pytest

from evertrain.datasets.queries import open_table
from evertrain.datasets.source_reading import source_files
from evertrain.errors import ConfigError, DatabaseUnavailable, ServiceError, SourceError
from evertrain.sources import SqlSource

# Reads the query in $QUERY and prints by how many MiB that raised what the process ever had in memory.
MEASURE = """
import os, resource, tempfile
from pathlib import Path
from evertrain.datasets.source_database import read_database
from evertrain.sources import SqlSource
def read(rows):
    query = f"SELECT i, i / 2.0 AS half, md5(i::text) AS word FROM generate_series(1, {rows}) AS t(i)"
    with tempfile.TemporaryDirectory() as folder:
        read_database(SqlSource(type="sql", url_env="URL", query=query), Path(folder), os.environ)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
few = read(200_000)
print(read(1_000_000) - few)
"""


@pytest.fixture
def database(postgres_url, monkeypatch):
    """A new database; $WAREHOUSE_URL names it."""
    name = f"d{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgres_url.rpartition("/")[0] + f"/{name}"
    monkeypatch.setenv("WAREHOUSE_URL", url)
    return url


def source(query="SELECT * FROM t", **settings):
    return SqlSource(type="sql", url_env="WAREHOUSE_URL", query=query, **settings)


def read(query="SELECT * FROM t", then=None, **settings):
    with source_files(source(query, **settings)) as paths, open_table(paths, then) as table:
        rows = table.fetch(*(cell.sql for cell in table.cells))
        return {column.name: column.type for column in table.columns}, rows


def execute(url, *statements):
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


COLUMNS = {
    "flag": "boolean",
    "small": "integer",
    "big": "integer",
    "single": "float",
    "money": "float",
    "word": "string",
    "fixed": "string",
    "day": "date",
    "local": "timestamp",
    "zoned": "timestamp",
    "document": "string",
    "list": "string",
    "span": "float",
    "id": "string",
    "hollow": "float",
    "wordless": "string",
    "never": "timestamp",
    "odd": "float",
}
ROW = (
    True,
    7,
    2**40,
    0.5,
    1.25,
    "ü",
    "ab ",
    date(2013, 1, 2),
    datetime(2013, 1, 2, 3, 4, 5, 678901),
    datetime(2013, 1, 2, 1, 4, 5),
    '{"a": [2], "b": 1}',
    "[1, 2]",
    90.0,
    "12345678-1234-5678-1234-567812345678",
    None,
    None,
    None,
    None,
)


def test_every_type_comes_as_files_would_give_it(database):
    """Numbers, text and times by their own types, UTC for zones; documents and arrays as JSON text."""
    execute(
        database,
        """CREATE TABLE t AS SELECT true AS flag, 7::smallint AS small, (2^40)::bigint AS big,
        0.5::real AS single, 1.25::numeric AS money, 'ü'::text AS word, 'ab'::char(3) AS fixed,
        date '2013-01-02' AS day, timestamp '2013-01-02 03:04:05.678901' AS local,
        timestamptz '2013-01-02 03:04:05+02' AS zoned,
        '{"b": 1, "a": [2]}'::jsonb AS document, ARRAY[1, 2] AS list, interval '90 seconds' AS span,
        '12345678-1234-5678-1234-567812345678'::uuid AS id, NULL::double precision AS hollow,
        NULL::text AS wordless, NULL::timestamp AS never, 'NaN'::float8 AS odd""",
        "INSERT INTO t SELECT (t.*).* FROM t",
    )

    columns, rows = read()

    assert columns == COLUMNS
    assert rows == [ROW, ROW]


def test_the_query_is_sent_as_it_is_and_data_query_runs_on_top(database):
    """Colons and per cents are no parameters; ``source`` is what the database's query gave."""
    execute(database, "CREATE TABLE t AS SELECT i FROM generate_series(1, 25000) AS g(i)")

    columns, rows = read(
        "SELECT i, '100% :x ;' AS text, i::bigint % 2 AS odd FROM t -- all; of them",
        "SELECT text, count(*) AS n FROM source WHERE odd = 1 GROUP BY text",
    )

    assert columns == {"text": "string", "n": "integer"}
    assert rows == [("100% :x ;", 12500)]


def test_the_server_itself_refuses_to_write(database):
    """What looks like a SELECT and writes fails in the database, and nothing is changed."""
    execute(
        database,
        "CREATE TABLE t (a int)",
        "CREATE SEQUENCE numbers",
        "CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    )

    for query in ("SELECT sneak()", "SELECT nextval('numbers')", "SELECT a FROM t FOR NO KEY SHARE"):
        with pytest.raises(SourceError, match=r"data\.source\.query fails: .*(read-only|syntax error)"):
            read(query)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_query_that_takes_too_long_is_stopped_by_the_server(database):
    """The timeout is the database's own: it works on nothing that nobody waits for."""
    with pytest.raises(
        SourceError, match=r"took longer than data\.source\.timeout \(0\.3s\) and was stopped"
    ):
        read("SELECT pg_sleep(20)", timeout="0.3s")
    with psycopg.connect(database) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(20)%' AND pid <> pg_backend_pid()"
        ).fetchone() == (0,)


def test_the_timeout_is_for_all_rows_together(database):
    """Batches that each come in time may be too slow together."""
    query = (
        "SELECT i, CASE WHEN i % 10000 = 0 THEN pg_sleep(0.25)::text END AS s "
        "FROM generate_series(1, 90000) t(i)"
    )

    with pytest.raises(SourceError, match="took longer than"):
        read(query, timeout="0.6s")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nothing FROM t", 'column "nothing" does not exist. Mend the query'),
        ("SELECT * FROM absent", 'relation "absent" does not exist'),
        ("SELECT a FROM t WHERE", "syntax error"),
        ("SELECT 1 / (a - 1) FROM t", "division by zero"),
        ("SELECT a FROM t WHERE a > 5", r"data\.source\.query gives no rows; widen"),
        ('SELECT a, a AS "A" FROM t', "several columns called 'a'"),
        ("SELECT timestamp 'infinity' AS t", "timestamp too large"),
        (
            "SELECT point(1, 2) AS p, tsrange(now()::timestamp, NULL) AS r",
            "column 'r' values of type .*Range",
        ),
    ],
)
def test_what_a_query_gets_wrong_is_told(database, query, message):
    """In the database's words, with its hint, without the cursor that we made of it."""
    execute(database, "CREATE TABLE t AS SELECT 1 AS a")

    with pytest.raises(SourceError, match=message) as refused:
        read(query)
    assert "CURSOR" not in refused.value.message
    assert refused.value.exit_code == 3


@pytest.mark.slow
def test_a_million_rows_need_no_more_memory_than_a_few(database):
    """The server hands rows over in batches, and no batch is kept."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env={**os.environ, "URL": database},
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(done.stdout) < 40


def test_who_may_not_enter_is_told_at_once_and_no_secret_with_it(database, monkeypatch, caplog):
    """A wrong password is tried once; neither it nor the URL is in what is said, caused or logged."""
    planted = "p%40ss/w0rd"
    wrong = database.replace("pg-made-up-secret", planted.replace("/", "%2F"))
    monkeypatch.setenv("WAREHOUSE_URL", wrong)

    with pytest.raises(
        ServiceError, match=r"that WAREHOUSE_URL names refuses the connection: .*password"
    ) as e:
        read()

    assert e.value.exit_code == 5
    assert not isinstance(e.value, DatabaseUnavailable)
    shown = f"{e.value!r} {e.value.__cause__!r} {caplog.text} {e.value.attributes}"
    assert e.value.__suppress_context__
    for secret in (planted, "p@ss/w0rd", "p%40ss", wrong):
        assert secret not in shown


def test_an_absent_database_is_a_service_s_fault(database, monkeypatch):
    """Exit 5: the data may be well, it can't be reached."""
    monkeypatch.setenv("WAREHOUSE_URL", database + "x")

    with pytest.raises(ServiceError, match="does not exist"):
        read()


def test_a_server_that_is_not_there_is_tried_three_times(database, monkeypatch):
    """Then it is said which variable names it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WAREHOUSE_URL", f"postgresql://u:s3cr3t@127.0.0.1:{unused.getsockname()[1]}/d")

        with pytest.raises(DatabaseUnavailable, match="WAREHOUSE_URL names can't be reached") as told:
            read()
    assert "s3cr3t" not in str(told.value)


def test_a_connection_that_breaks_is_opened_again(database, monkeypatch):
    """A first try that loses its connection is forgotten, with the rows that it had read."""
    execute(database, "CREATE TABLE t AS SELECT i FROM generate_series(1, 30000) AS g(i)")
    port = int(database.rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", 0)) as front:
        threading.Thread(target=drop_the_first, args=(front, port), daemon=True).start()
        monkeypatch.setenv("WAREHOUSE_URL", database.replace(f":{port}/", f":{front.getsockname()[1]}/"))

        _, rows = read("SELECT i FROM t", "SELECT count(*), sum(i) FROM source")

    assert rows == [(30000, 30000 * 30001 // 2)]


def drop_the_first(front, port):
    """Pass connections on to *port*; the first breaks after 100 kB of answers."""
    for limit in (100_000, 10**9):
        client, _ = front.accept()
        server = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pump, args=(client, server, 10**9), daemon=True).start()
        pump(server, client, limit)


def pump(source_end, target_end, limit):
    passed = 0
    with source_end, target_end:
        while passed < limit and (data := receive(source_end)):
            target_end.sendall(data)
            passed += len(data)
        for end in (source_end, target_end):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def receive(end):
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def test_a_connection_that_always_breaks_is_told(database):
    """After three tries."""
    with pytest.raises(
        DatabaseUnavailable, match="The connection to the database that WAREHOUSE_URL names broke"
    ):
        read("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_variable_that_is_not_set(monkeypatch):
    """It is a matter of configuration: exit 2, naming the variable."""
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)

    with pytest.raises(ConfigError, match="the environment variable WAREHOUSE_URL is not set"):
        read()


def test_times_are_utc_whatever_the_server_thinks(database):
    """A server's own zone changes no row."""
    execute(database, "CREATE TABLE t AS SELECT timestamptz '2013-06-01 00:00+00' AS t")
    execute(database, "ALTER ROLE owner SET timezone = 'Asia/Tokyo'")
    try:
        _, rows = read("SELECT t, t::text AS spelled, date_trunc('day', t) AS day FROM t")
    finally:
        execute(database, "ALTER ROLE owner RESET timezone")

    assert rows == [(datetime(2013, 6, 1), "2013-06-01 00:00:00+00", datetime(2013, 6, 1))]
