from __future__ import annotations

from datetime import date, datetime

import pytest

from evertrain.datasets.csv_files import read_shape
from evertrain.datasets.queries import open_table
from evertrain.datasets.text_types import SAMPLE_ROWS
from evertrain.errors import SourceError


def read(path, text, **kwargs):
    path.write_text(text, newline="", **kwargs)
    with open_table([path], None) as table:
        values = table.fetch(*(cell.sql for cell in table.cells))
        return {
            cell.name: (cell.type, [row[place] for row in values]) for place, cell in enumerate(table.cells)
        }


def column(tmp_path, *fields):
    return read(tmp_path / "a.csv", "\n".join(["x,other", *(f"{field},1" for field in fields)]) + "\n")["x"]


@pytest.mark.parametrize(
    ("fields", "kind", "values"),
    [
        (["1", "-2", "+3", ""], "integer", [1, -2, 3, None]),
        (["1", "NA", "NaN", "nan", "null"], "integer", [1, None, None, None, None]),
        (["1", ".5", "2.", "1e-3", "NA"], "float", [1.0, 0.5, 2.0, 0.001, None]),
        ([" 1", "2 ", " "], "integer", [1, 2, None]),
        (["12345678901234567890"], "float", [12345678901234567890.0]),
        (["true", "FALSE", ""], "boolean", [True, False, None]),
        (["True", "NA"], "boolean", [True, None]),
        (["true", "1"], "string", ["true", "1"]),
        (["2013-01-31", ""], "date", [date(2013, 1, 31), None]),
        (
            ["2013-01-31T05:00:00Z", "2013-01-31 05:00+02:00", "2013-01-31"],
            "timestamp",
            [datetime(2013, 1, 31, 5), datetime(2013, 1, 31, 3), datetime(2013, 1, 31)],
        ),
        (["2013-02-30"], "string", ["2013-02-30"]),
        (["2013-01-31", "NA"], "string", ["2013-01-31", "NA"]),
        (["Yes", "No", ""], "string", ["Yes", "No", None]),
        (["NA", "EU", "null"], "string", ["NA", "EU", "null"]),
        (["NA", "NaN"], "string", ["NA", "NaN"]),
        (["00501", "10001"], "string", ["00501", "10001"]),
        (["inf", "1"], "string", ["inf", "1"]),
        (["1e400"], "string", ["1e400"]),
        (["1_000"], "string", ["1_000"]),
        (["#1", "x"], "string", ["#1", "x"]),
        (["", ""], "string", [None, None]),
        (['""', "1"], "integer", [None, 1]),
        (['"a ""b"""', "' c '"], "string", ['a "b"', "' c '"]),
        (['"a\nb"', "c"], "string", ["a\nb", "c"]),
    ],
)
def test_types_of_columns(tmp_path, fields, kind, values):
    """A column has the type that all of its values have; NA is missing among numbers only."""
    assert column(tmp_path, *fields) == (kind, values)


@pytest.mark.parametrize(
    ("last", "kind"), [("1.5", "float"), ("x", "string"), ("", "integer"), ("007", "string")]
)
def test_the_last_row_counts(tmp_path, last, kind):
    """All rows decide, not only those at the head."""
    found, values = column(tmp_path, *["1"] * (SAMPLE_ROWS + 100), last)

    assert found == kind
    assert len(values) == SAMPLE_ROWS + 101


def test_types_are_found_where_the_head_is_empty(tmp_path):
    """A column whose first rows are missing has the type of the later ones."""
    assert column(tmp_path, *[""] * (SAMPLE_ROWS + 1), "1.5")[0] == "float"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path, delimiter):
    """The delimiter is found; the others may stand in quoted fields."""
    others = "".join({",", ";", "\t", "|"} - {delimiter})
    text = f'a{delimiter}"b{others}c"\r\n1{delimiter}"x{others}y"\r\n'

    assert read(tmp_path / "a.csv", text) == {
        "a": ("integer", [1]),
        f"b{others}c": ("string", [f"x{others}y"]),
    }


def test_decimal_commas_don_t_make_columns(tmp_path):
    """Semicolons with decimal commas: the numbers stay text."""
    assert read(tmp_path / "a.csv", "a;b;c\n1,5;2;3\n") == {
        "a": ("string", ["1,5"]),
        "b": ("integer", [2]),
        "c": ("integer", [3]),
    }


def test_one_column_needs_no_delimiter(tmp_path):
    """A file of one column is read; an empty line is a missing value."""
    assert read(tmp_path / "a.csv", "a\n1\n\n2\n") == {"a": ("integer", [1, None, 2])}


def test_odd_names(tmp_path):
    """Names may hold anything; a nameless column is called by its place; a byte order mark is no name."""
    names = ["", "a.b-c d", "Größe (cm)", "quo'te", "SELECT", "  x", "x;y"]
    text = ",".join(names) + ',"d""q"\n' + ",".join("12345678") + "\n"

    found = read(tmp_path / "a.csv", text, encoding="utf-8-sig")

    assert list(found) == ["column0", *names[1:], 'd"q']
    assert [values for _, values in found.values()] == [[place] for place in range(1, 9)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", r"a.csv', line 3: expected 2 fields as in the header, found 1"),
        (b"a,b\n1,2,3\n", r"a.csv', line 2: expected 2 fields as in the header, found 3"),
        (b'a,b\n1,"2\n', r"a.csv', line 2: a quote is opened and never closed"),
        (b"a,b\n1,\xe9\n", r"a.csv' is not UTF-8"),
        (b"a,b\n" + b"1,2\n" * 30_000 + b"1,\xe9\n", r"a.csv', line 30002: it is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), r"a.csv' is not UTF-8"),
        (b"a,b\n1,2\r3,4\n", r"a.csv': it can't be read as CSV"),
        (b"a,b\n", r"a.csv' holds no rows"),
        (b"a,b,a\n1,2,3\n", r"several columns called 'a'"),
        (b"a,b,A\n1,2,3\n", r"several columns called 'a' \(in SQL, case makes no difference\): 'a', 'A'"),
        (
            b"a,b\n" + b"1,2\n" * 30 + b"x" * 3_000_000 + b",1\n",
            r"a.csv', line 32: the line is longer than 2 MB",
        ),
        (b"a,b\n1,unicode\r3,4\n", r"a.csv': it can't be read as CSV"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", r"a.csv' is not CSV: field larger than field limit"),
    ],
)
def test_faults_name_the_file_and_the_line(tmp_path, content, message):
    """What can't be read is refused with its place."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=message), open_table([path], None):
        pass


def test_the_shape_of_a_file(tmp_path):
    """Delimiter and header are what must be alike for files to be read together."""
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\t2,3\n")

    assert read_shape(path) == ("\t", ("a", "b"))
