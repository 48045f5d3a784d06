from __future__ import annotations

import pytest

from evertrain.datasets.hints import name_closest


@pytest.mark.parametrize(
    ("wanted", "known", "hint"),
    [
        ("aeg", ["age", "height"], "did you mean 'age'?"),
        ("colum", ["column", "columns", "x"], "did you mean 'column' or 'columns'?"),
        ("z", ["age"], "there are: 'age'."),
        ("z", [f"name{number}" for number in range(25)], "'name19' and 5 more."),
    ],
)
def test_hints(wanted, known, hint):
    """What resembles the name is offered; else what there is, up to twenty."""
    assert name_closest(wanted, known).endswith(hint)
