"""Rows that are asked in another order, alike ones once, get what each gets alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evertrain.batch import sorting
from evertrain.batch.sorting import predict_sorted, sort_keys
from evertrain.columns import Coded
from evertrain.predictions import Prediction

CELLS = st.tuples(st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan")]), st.integers(0, 3))


def ask(inputs):
    """A model that tells its rows apart by every input."""
    assert len(inputs["a"]) <= sorting.ASKED_AT_ONCE
    values = np.nan_to_num(inputs["a"], nan=-7.0) * 10 + np.array([len(text) for text in inputs["b"]])
    return Prediction(values=values.astype(np.float64))


@given(rows=st.lists(CELLS, min_size=1, max_size=60))
def test_each_row_gets_its_own_answer(rows):
    """Whatever the rows, with gaps and repetitions, the answers are those of the order they came in."""
    texts = ["", "x", "xx", "xxx"]
    numbers = np.array([number for number, _ in rows], dtype=np.float32)
    places = np.array([place for _, place in rows])
    inputs = {"a": numbers, "b": np.array([texts[place] for place in places], dtype=object)}
    keys = sort_keys(inputs, [numbers, Coded(texts, places)])

    np.testing.assert_array_equal(predict_sorted(ask, inputs, keys).values, ask(inputs).values)


def test_rows_that_are_alike_are_asked_once():
    """A thousand rows of four kinds are four questions."""
    asked = []

    def count(inputs):
        asked.append(len(inputs["a"]))
        return Prediction(values=inputs["a"].astype(np.float64))

    numbers = np.tile(np.arange(4, dtype=np.float32), 250)
    found = predict_sorted(count, {"a": numbers}, [numbers])

    assert asked == [4]
    np.testing.assert_array_equal(found.values, numbers)


def test_texts_without_places_are_not_sorted_by():
    """Where a text column isn't known by its distinct values, rows are asked as they came."""
    texts = np.array(["a", "b"], dtype=object)

    assert sort_keys({"a": texts}, [texts]) is None
