"""What a source may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from evertrain.sources import SqlSource


def sql(query):
    return SqlSource(type="sql", url_env="URL", query=query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        " select * from t ;",
        "-- first\nWITH a AS (SELECT 1) SELECT * FROM a",
        "/* a; b */ (SELECT 1) UNION (SELECT 2)",
        "VALUES (1)",
        "SELECT ';' AS a, \"insert; into\" FROM `update;`",
        "SELECT 'it''s; DELETE', updated_at FROM inserts",
    ],
)
def test_one_reading_statement_is_taken_as_it_is(query):
    """Semicolons and words in quotes and comments are no statements."""
    assert sql(query).query == query


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE t",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 -- ;\n; SELECT 2",
        "CALL f()",
        "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
        "SELECT * INTO copied FROM t",
        "SELECT * FROM t FOR UPDATE",
        "selected",
        "-- SELECT 1",
        " ",
    ],
)
def test_what_writes_or_is_several_statements_is_refused(query):
    """Where a database has no read-only transaction this is the wall."""
    with pytest.raises(ValidationError, match="expected"):
        sql(query)
