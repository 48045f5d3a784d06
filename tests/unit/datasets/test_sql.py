from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.datasets.sql import allowed_paths, quote_name, quote_paths, quote_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.fixture(scope="module")
def connection():
    return duckdb.connect()


@given(text=TEXTS)
def test_texts_and_names_come_back(connection, text):
    """Whatever a text or a name holds, quoting keeps it one."""
    relation = connection.sql(f"SELECT {quote_text(text)} AS {quote_name(text)}")

    assert relation.columns == [text]
    assert relation.fetchall() == [(text,)]


def test_paths_are_no_globs():
    """Magic characters are quoted for reading, and both spellings are allowed."""
    paths = [Path("/data/it's [a]*?.csv"), Path("/data/b.csv")]

    assert quote_paths(paths) == "['/data/it''s [[]a][*][?].csv', '/data/b.csv']"
    assert allowed_paths(paths) == "['/data/it''s [a]*?.csv', '/data/it''s [[]a][*][?].csv', '/data/b.csv']"
