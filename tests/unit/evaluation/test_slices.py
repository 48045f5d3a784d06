from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from evertrain.evaluation.answers import Truth
from evertrain.evaluation.gains import PairedGain
from evertrain.evaluation.slices import MOST_LISTED, Slice, cut_slices, judge_slices, why_not_shown

NUMBERS = Truth(np.zeros(5000), None)


def sizes(column):
    return {each.value: each.rows.size for each in cut_slices({"a": column}, ["a"])}


def fixed(gains, spread=0.01):
    """Measures the slice of rows [i, ...] as gains[i], with one more spread a tenfold of confidence."""

    def measure(rows):
        gain = gains[int(rows[0])]
        reach = lambda confidence: spread * -np.log10(1 - confidence)  # noqa: E731 - two words
        return PairedGain(gain, lambda level: (gain - reach(level), gain + reach(level)))

    return measure


def judged(gains, **changes):
    slices = [Slice("a", f"v{place}", np.array([place, 99])) for place in range(len(gains))]
    arguments = {"metric": "r2", "max_regression": 0.03, "min_rows": 2, **changes}
    return judge_slices(slices, NUMBERS, fixed(gains), **arguments)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array(["b", "a", "b", None], dtype=object), {"a": 1, "b": 2, "__missing__": 1}),
        (np.array([1.0, 2.0, np.nan, 1.0]), {"1": 2, "2": 1, "__missing__": 1}),
        (np.array([3, 3, 4]), {"3": 2, "4": 1}),
        (np.array([True, False, True]), {"true": 2, "false": 1}),
        (np.array([True, None], dtype=object), {"true": 1, "__missing__": 1}),
        (
            np.array(["2024-01-01", "NaT"], dtype="datetime64[us]"),
            {"2024-01-01T00:00:00": 1, "__missing__": 1},
        ),
        (np.array([2**60, None, Decimal(1)], dtype=object), {str(2**60): 1, "__missing__": 1, "1": 1}),
        (np.array([[1], [1]], dtype=object)[:, 0:1].reshape(2), {"1": 2}),
    ],
)
def test_a_column_is_cut_by_its_values(column, expected):
    """Each value that occurs is a slice, spelled as a category is; missing values are one too."""
    assert sizes(column) == expected


def test_a_value_that_is_no_category_is_cut_all_the_same():
    """A nested value is spelled as Python writes it."""
    column = np.empty(2, dtype=object)
    column[:] = [[1, 2], [1, 2]]
    assert sizes(column) == {"[1, 2]": 2}


def test_numbers_of_many_values_are_cut_into_fifths():
    """Over twenty different numbers make five ranges of a fifth of the rows, and one of what is missing."""
    assert sizes(np.append(np.arange(100.0), np.nan)) == {
        "under 20": 20,
        "20 to under 40": 20,
        "40 to under 60": 20,
        "60 to under 80": 20,
        "80 and over": 20,
        "__missing__": 1,
    }


def test_fifths_of_lumpy_numbers_are_fewer():
    """Equal values stay in one slice: where most rows are 0 there are fewer slices, and none is empty."""
    found = sizes(np.append(np.zeros(70), np.arange(1, 31)))
    assert found == {"0 to under 11": 80, "11 and over": 20}


def test_times_of_many_values_are_cut_into_fifths():
    """Times are cut as numbers are, and spelled to the second."""
    found = sizes(np.datetime64("2024-01-01T00", "us") + np.arange(50) * np.timedelta64(1, "h"))
    assert list(found.values()) == [10] * 5
    assert "2024-01-01T10:00:00 to under 2024-01-01T20:00:00" in found


def test_slices_of_a_column_are_a_partition():
    """Every row lies in exactly one slice of each column."""
    rng = np.random.default_rng(0)
    columns = {"n": rng.normal(size=500), "s": rng.choice(np.array(["x", "y", None], dtype=object), 500)}
    slices = cut_slices(columns, ["s", "n"])
    assert [each.column for each in slices] == ["s"] * 3 + ["n"] * 5
    for name in columns:
        rows = np.concatenate([each.rows for each in slices if each.column == name])
        assert sorted(rows) == list(range(500))


@pytest.mark.parametrize(
    ("target", "rows", "why"),
    [
        ([0, 1] * 10, range(20), None),
        ([0, 1] * 10, range(9), "9 of 10 rows"),
        ([0] * 16 + [1] * 4, range(20), "4 rows of class 1"),
        ([1] * 10 + [0] * 10, range(10), "no rows of class 0"),
    ],
)
def test_a_slice_needs_rows_of_every_class(target, rows, why):
    """What is too small or lacks a class is not shown, and says what it lacks."""
    assert why_not_shown(np.array(rows), Truth(np.array(target), (0, 1)), 10) == why


def test_a_class_that_no_row_has_is_no_slice_s_lack():
    """A class that only the models know takes nothing from a slice."""
    truth = Truth(np.array([0, 1] * 10), (0, 1, 2))
    assert why_not_shown(np.arange(20), truth, 10) is None


def test_holm_holds_the_worst_to_the_highest_confidence():
    """Of ten slices the worst is judged at 99.5 %; where it fails, the next at what is then left."""
    found = judged([-0.06, -0.054, *[0.0] * 8])
    worst, next_, *rest = found.slices
    assert (worst.verdict, worst.confidence) == ("fail", pytest.approx(0.995))
    assert (next_.verdict, next_.confidence) == ("fail", pytest.approx(1 - 0.05 / 10))
    assert {(each.verdict, each.confidence) for each in rest} == {("pass", 1 - 0.05 / 8)}


def test_holm_steps_on_while_slices_fail():
    """A slice that fails only once another has gone does fail."""
    reach_of = lambda m: 0.01 * -np.log10(0.05 / m)  # noqa: E731 - two words
    between = -0.03 - (reach_of(2) + reach_of(1)) / 2
    assert [each.verdict for each in judged([-0.2, between]).slices] == ["fail", "fail"]
    assert [each.verdict for each in judged([0.0, between]).slices] == ["pass", "pass"]


def test_no_slice_that_passes_shows_an_end_below_the_margin():
    """Verdict and interval never contradict each other."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        found = judged(list(rng.normal(-0.05, 0.02, 12)))
        assert all((each.high < -0.03) == (each.verdict == "fail") for each in found.slices)
        assert [each.high for each in found.slices] == sorted(each.high for each in found.slices)


def test_slices_not_shown_stand_last_and_are_counted():
    """What can't be compared is listed after the rest, and takes nothing from Holm's confidence."""
    slices = [
        Slice("a", "big", np.arange(50)),
        Slice("a", "one", np.array([60])),
        Slice("a", "two", np.array([70, 71])),
    ]
    found = judge_slices(slices, NUMBERS, fixed([0.0]), metric="r2", max_regression=0.0, min_rows=3)
    assert [(each.value, each.verdict, each.missing) for each in found.slices] == [
        ("big", "pass", None),
        ("two", "not_shown", "2 of 3 rows"),
        ("one", "not_shown", "1 of 3 rows"),
    ]
    assert (found.shown, found.total, found.slices[0].confidence) == (1, 3, 0.95)


def test_the_list_of_slices_is_bounded():
    """Thousands of slices are counted, and the worst two hundred listed."""
    found = judged([0.1] * 5000)
    assert (len(found.slices), found.shown, found.total) == (MOST_LISTED, 5000, 5000)
