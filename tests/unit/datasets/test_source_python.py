from __future__ import annotations

import sys

import pytest

from evertrain.datasets.queries import open_table
from evertrain.datasets.source_python import read_function
from evertrain.datasets.source_reading import source_files
from evertrain.errors import ConfigError, EvertrainError, SourceError
from evertrain.settings import read_settings
from evertrain.sources import PythonSource

MODULE = """
import pandas as pd
import pyarrow as pa

def frame():
    return pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[7, 8])

def table():
    return pa.Table.from_pandas(frame(), preserve_index=False)

def reader():
    return table().to_reader(max_chunksize=1)

class Foreign:
    def __arrow_c_stream__(self, requested_schema=None):
        return table().__arrow_c_stream__(requested_schema)

def lazily():
    import companion
    return companion.make()

def number(): return 1
def empty(): return frame().iloc[:0]
def mixed(): return pd.DataFrame({"a": [1, "x"]})
def raises(): raise KeyError("no such key")
def leaves(): raise SystemExit(0)
def breaks_late():
    def batches():
        yield table().to_batches()[0]
        raise OSError("the tape tore")
    return pa.RecordBatchReader.from_batches(table().schema, batches())
constant = 1
"""


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """A function of a module that lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERTRAIN_ALLOW_PYTHON_SOURCES", "1")
    (tmp_path / "rows_of_mine.py").write_text(MODULE)
    (tmp_path / "companion.py").write_text("from rows_of_mine import frame as make")
    (tmp_path / "halfway.py").write_text("import nothing_of_that_name")
    (tmp_path / "torn.py").write_text("1 / 0")
    yield lambda name: PythonSource(type="python", entry=name)
    for name in ("rows_of_mine", "companion", "halfway", "torn"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("function", ["frame", "table", "reader", "Foreign", "lazily"])
def test_frames_and_streams_are_read(entry, function):
    """A pandas frame without its index, an Arrow table or reader, and whatever else streams Arrow."""
    path = list(sys.path)

    with source_files(entry(f"rows_of_mine:{function}")) as paths, open_table(paths, None) as table:
        assert [(column.name, column.type) for column in table.columns] == [("a", "integer"), ("b", "string")]
        assert table.fetch(*(cell.sql for cell in table.cells)) == [(1, "x"), (2, None)]
    assert sys.path == path


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("rows_of_mine:number", SourceError, "returned a int; expected a pandas DataFrame"),
        ("rows_of_mine:empty", SourceError, "gives no rows"),
        ("rows_of_mine:mixed", SourceError, "failed: Arrow.*column a with type object"),
        ("rows_of_mine:raises", SourceError, "'rows_of_mine:raises' .* failed: KeyError: 'no such key'"),
        ("rows_of_mine:leaves", SourceError, "failed: SystemExit"),
        ("rows_of_mine:breaks_late", SourceError, "failed: .*the tape tore"),
        ("rows_of_mine:missing", ConfigError, "module 'rows_of_mine' has no function 'missing'"),
        ("rows_of_mine:constant", ConfigError, "has no function 'constant'"),
        ("nowhere_to.be_found:f", ConfigError, "no module 'nowhere_to.be_found' in the current folder"),
        ("halfway:f", SourceError, "failed: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("torn:f", SourceError, "failed: ZeroDivisionError"),
    ],
)
def test_what_a_function_gets_wrong_is_told(entry, name, kind, message):
    """In its own words where it raised; a function that isn't there is a matter of configuration."""
    with pytest.raises(EvertrainError, match=message) as refused, source_files(entry(name)):
        pass
    assert type(refused.value) is kind


def test_no_code_runs_unless_that_is_allowed(entry, tmp_path):
    """Exit 2 says which variable allows it; the module isn't even imported."""
    with pytest.raises(ConfigError, match="EVERTRAIN_ALLOW_PYTHON_SOURCES=1"):
        read_function(entry("torn:f"), tmp_path, read_settings({}))
    assert "torn" not in sys.modules
