from __future__ import annotations

import gzip
import signal
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.datasets.queries import check_query, open_table
from evertrain.datasets.source_files import match_files
from evertrain.errors import ConfigError, SourceError


def read(uri, query=None):
    with open_table(match_files(str(uri)), query) as table:
        rows = table.fetch(*(cell.sql for cell in table.cells), rest="ORDER BY ALL")
        return [(column.name, column.type) for column in table.columns], rows


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,age\nAnn,30\nBob,40\n")
    return path


def test_files_are_joined_by_column_name(tmp_path):
    """Files of a source may order their columns differently, or lack some; all of them decide on a type."""
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("b;a;c\ny;2.5;true\n")

    columns, rows = read(tmp_path / "*.csv")

    assert columns == [("a", "float"), ("b", "string"), ("c", "boolean")]
    assert rows == [(1.0, "x", None), (2.5, "y", True)]


def test_gzip_and_odd_file_names(tmp_path):
    """A zipped file is read; a name that looks like a glob means that file alone."""
    (tmp_path / "[a]*.csv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    (tmp_path / "ab.csv.gz").write_bytes(gzip.compress(b"a\n2\n"))

    assert read(tmp_path / "[a]*.csv.gz") == ([("a", "integer")], [(1,)])


def test_parquet_types(tmp_path):
    """Parquet's types come in their normal form: UTC times, floats for decimals, null for NaN."""
    zoned = pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC)], pa.timestamp("ns", "America/New_York"))
    table = pa.table(
        {
            "small": pa.array([1], pa.int8()),
            "wide": pa.array([2**63], pa.uint64()),
            "wide but fits": pa.array([7], pa.uint64()),
            "real": [float("nan")],
            "single": pa.array([0.5], pa.float32()),
            "money": pa.array([Decimal("1.50")]),
            "zoned": zoned,
            "day": [date(2013, 1, 1)],
            "flag": [True],
            "text": pa.array(["x"]).dictionary_encode(),
            "list": [[1]],
            "bytes": [b"x"],
            "none": pa.array([None], pa.null()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")

    columns, rows = read(tmp_path / "a.parquet")

    assert columns == [
        ("small", "integer"), ("wide", "float"), ("wide but fits", "integer"), ("real", "float"),
        ("single", "float"), ("money", "float"), ("zoned", "timestamp"), ("day", "date"), ("flag", "boolean"),
        ("text", "string"), ("list", "other"), ("bytes", "other"), ("none", "other"),
    ]  # fmt: skip
    assert rows[0][:-1] == (
        1, 2.0**63, 7, None, 0.5, 1.5, datetime(2013, 1, 1, 5), date(2013, 1, 1), True, "x", "[1]", "x",
    )  # fmt: skip
    assert rows[0][-1] is None


def test_json_lines(tmp_path):
    """JSON lines: all rows decide on types, missing keys are null, texts stay as they are spelled."""
    (tmp_path / "a.jsonl").write_text(
        '{"n": 1, "t": "12:30", "z": "00501", "when": "2013-01-01T05:00:00Z", '
        '"u": "123E4567-e89b-12d3-a456-426614174000"}\n'
        '{"n": 2.5, "t": null, "nested": {"a": 1}, "none": null}\n'
    )

    columns, rows = read(tmp_path / "a.jsonl")

    assert dict(columns) == {
        "n": "float", "t": "string", "z": "string", "when": "timestamp", "u": "string", "nested": "other",
        "none": "string",
    }  # fmt: skip
    assert rows[0] == (
        1.0, "12:30", "00501", datetime(2013, 1, 1, 5), "123E4567-e89b-12d3-a456-426614174000", None, None
    )  # fmt: skip


def test_a_json_array_is_read_too(tmp_path):
    """A file that is one array of objects is read as its rows."""
    (tmp_path / "a.json").write_text('[{"a": 1}, {"a": 2}]')

    assert read(tmp_path / "a.json") == ([("a", "integer")], [(1,), (2,)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 no, it isn't PAR1", "a.parquet' is not Parquet, or is damaged"),
        ("a.jsonl", b'{"a": 1}\n{"a":\n', "can't be read: .*Malformed JSON in file .*a.jsonl"),
        ("a.jsonl", b"1\n2\n", "can't be read: .*expected records.* Mend the file"),
        ("a.jsonl", b'{"a": "\xe9"}\n', "invalid UTF-8"),
        ("a.jsonl", b"", "a.jsonl' is empty"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    """What can't be read is refused by name, with what to do."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message):
        read(tmp_path / name)


def test_a_source_without_rows_is_refused(tmp_path):
    """Files that hold columns but no rows are no data."""
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / name)

    with pytest.raises(SourceError, match="The 2 files of the source hold no rows"):
        read(tmp_path / "*.parquet")


def test_parquet_with_a_column_twice_is_refused(tmp_path):
    """Two names that SQL doesn't tell apart are refused, not silently renamed."""
    pq.write_table(pa.table({"a": [1], "A": [2]}), tmp_path / "a.parquet")

    with pytest.raises(SourceError, match="several columns called 'a'"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("query", "columns", "rows"),
    [
        (
            "SELECT *, age > 35 AS old FROM source;",
            ["name", "age", "old"],
            [("Ann", 30, False), ("Bob", 40, True)],
        ),
        ("SELECT sum(age) AS s, 1.5 AS d FROM source -- all", ["s", "d"], [(70, 1.5)]),
        ("FROM source WHERE age > 35", ["name", "age"], [("Bob", 40)]),
        ('WITH x AS (SELECT age AS "a b" FROM source) SELECT * FROM x ORDER BY 1 LIMIT 1', ["a b"], [(30,)]),
    ],
)
def test_queries(people, query, columns, rows):
    """One SELECT filters, derives, renames and sums; a sum that fits is an integer, a decimal a float."""
    found, values = read(people, query)

    assert [name for name, _ in found] == columns
    assert values == rows


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "can't be parsed: .*syntax error"),
        ("SELECT 1; SELECT 2", "expected one SELECT over `source`, found SELECT, SELECT"),
        ("COPY source TO 'x'", "found COPY"),
        ("SET threads = 4", "found SET"),
        ("DROP VIEW source", "found DROP"),
        ("-- nothing", "found nothing"),
    ],
)
def test_only_one_select_is_a_query(people, query, message):
    """Anything but exactly one SELECT is a fault of the configuration, found without data too."""
    with pytest.raises(ConfigError, match=f"data.query.*{message}") as caught:
        read(people, query)
    assert caught.value.attributes["path"] == "data.query"
    with pytest.raises(ConfigError, match=message):
        check_query(query)


def test_a_good_query_passes_without_data():
    """A query can be checked before there is data."""
    check_query("SELECT nope FROM source")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope FROM source", "\"nope\" not found.*`source` has the columns 'name', 'age'"),
        ("SELECT * FROM sauce", "sauce does not exist"),
        ("SELECT CAST(name AS INT) AS x FROM source", "Could not convert string 'Ann'"),
        ("SELECT * FROM source WHERE age > 99", "gives no rows"),
        ("SELECT *, 1 AS Age FROM source", r"several columns called 'age'.*EXCLUDE \(\"age\"\)"),
    ],
)
def test_a_query_that_fails_is_told(people, query, message):
    """What only the data can show is told in DuckDB's words, with the columns that there are."""
    with pytest.raises(SourceError, match=f"data.query.*{message}") as caught:
        read(people, query)
    assert "LINE 1" not in caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM '{other}'",
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM read_text('{other}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{folder}/out.csv''')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "SELECT getenv('HOME') AS x",
        "SELECT * FROM secret_frame",
    ],
)
def test_a_query_reaches_nothing_but_its_source(people, query):
    """Other files, the network, the environment and Python's variables are out of reach."""
    secret_frame = pa.table({"a": [1]})
    other = people.parent / "other.csv"
    other.write_text("a,b\n1,2\n")

    with pytest.raises(SourceError, match=r"data\.query"):
        read(people, query.format(other=other, folder=people.parent))
    assert secret_frame is not None
    assert sorted(path.name for path in people.parent.iterdir()) == ["other.csv", "people.csv"]


def test_a_ragged_line_is_told_though_there_is_a_query(tmp_path):
    """A file's fault isn't blamed on the query."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 5000 + "3\n")

    with pytest.raises(SourceError, match=r"a.csv', line 5002: expected 2 fields"):
        read(path, "SELECT a FROM source")


def test_ctrl_c_ends_a_query(people):
    """An interrupt while DuckDB works is an interrupt, not a fault."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            read(people, "SELECT sum(range + age) AS n FROM source, range(1000000000000)")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_another_error_of_a_reader_stays_what_it_is(people):
    """What whoever reads the table raises passes through."""
    with pytest.raises(RuntimeError, match="mine"), open_table([people], None):
        raise RuntimeError("mine")
