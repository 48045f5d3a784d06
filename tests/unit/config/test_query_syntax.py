"""What a query shows without data."""

from __future__ import annotations

import pytest

from evertrain.config.query_syntax import computed_columns, find_query_faults


def faults_of(query: object) -> list[str]:
    return [fault.line for fault in find_query_faults({"data": {"query": query}})]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT *, a > 15 AS late FROM source",
        "WITH q AS (SELECT * FROM source) SELECT * FROM q;",
        "FROM source -- all of it",
        "SELECT a FROM source UNION ALL SELECT b FROM source",
        None,
        5,
    ],
)
def test_one_select_is_no_fault(query):
    """What isn't text is the types' concern."""
    assert faults_of(query) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT *\nFRM source", "(line 2 of the query)"),
        ("DROP TABLE source", "not a SELECT"),
        ("COPY source TO 'x.csv'", "not a SELECT"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("  ", "0 statements"),
        ("DESCRIBE source", "a DESCRIBE"),
        ("SHOW TABLES", "a DESCRIBE, SHOW"),
    ],
)
def test_all_else_is_a_fault_at_data_query(query, found):
    """Found by DuckDB's own parser."""
    (line,) = faults_of(query)

    assert line.startswith("data.query: ")
    assert found in line
    assert line.endswith("expected one SELECT over the table source")


@pytest.mark.parametrize(
    ("query", "computed"),
    [
        ("SELECT * FROM source", set()),
        ("SELECT a, b AS c, source.d, source.e AS f FROM source", set()),
        ("SELECT *, a + 1 AS b, upper(c) AS c FROM source", {"b", "c"}),
        ("SELECT * REPLACE (a + 1 AS a) FROM source", {"a"}),
        ("SELECT * RENAME (a AS b) FROM source", set()),
        ("SELECT * RENAME (a AS b) FROM (SELECT *, 1 AS a FROM source)", {"a", "b"}),
        (
            "WITH q AS (SELECT a + 1 AS y FROM source), r AS (SELECT y AS z FROM q) SELECT z AS w FROM r",
            {"w", "y", "z"},
        ),
        ("SELECT count(*) FROM source", set()),
        ("SELECT a, avg(b) OVER (PARTITION BY c) AS m FROM source", {"m"}),
    ],
)
def test_columns_that_a_query_computes_are_named(query, computed):
    """A column that is only taken or renamed is sent by the caller as it is."""
    assert computed_columns(query) == computed
