"""Tests of how often unchanged rows are called drifted, and how small a change is found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.datasets.stored_rows import StoredRows, rows_of_table
from evertrain.drift import measure_drift, plan_drift
from evertrain.drift.blocks import block_length
from evertrain.drift.curves import (
    SHARES,
    AtSize,
    at_size,
    calibrate_codes,
    calibrate_numbers,
    chance_of,
    score_of,
)
from evertrain.drift_records import DriftMeasured, DriftPlan, NullCurve
from evertrain.records import Feature

COLUMNS = 20
FEATURES = [
    Feature(name=f"{place}", kind="categorical" if place % 5 == 4 else "numeric", type="float")
    for place in range(COLUMNS)
]


def make_rows(rng: np.random.Generator, rows: int, phi: float = 0.0, moved: float = 0.0) -> StoredRows:
    """Twenty columns of autocorrelation *phi*, every fifth cut into 20 levels; the first *moved*."""
    values = rng.normal(size=(rows, COLUMNS)) * np.sqrt(1 - phi**2)
    for row in range(1, rows if phi else 0):
        values[row] += phi * values[row - 1]
    values[:, 0] += moved
    values[:, 4::5] = np.clip(np.round(values[:, 4::5] * 4), -10, 9)
    return rows_of_table(pa.table({f"{place}": values[:, place] for place in range(COLUMNS)}))


def check(plan: DriftPlan, reference: StoredRows, current: StoredRows) -> DriftMeasured:
    return measure_drift(plan, reference, current, max_share=0.0)


class Champion(NamedTuple):
    """What a bundle remembers, and the rows it is of."""

    reference: StoredRows
    plan: DriftPlan


@pytest.fixture(scope="module")
def champion() -> Champion:
    reference = make_rows(np.random.default_rng(0), 4000)
    return Champion(reference, plan_drift(FEATURES, reference))


def test_unchanged_rows_seldom_drift_at_any_size(champion: Champion) -> None:
    """D1 at the size of a pull request: 120 checks from 50 to 2,000 rows, where one column is a drift."""
    rng = np.random.default_rng(1)
    drifted = [
        check(champion.plan, champion.reference, make_rows(rng, rows)).drifted
        for rows in (50, 200, 500, 2000)
        for _ in range(30)
    ]
    # By chance in .6 of them at the level; five or more in one of four thousand runs.
    assert len(drifted) == 120
    assert sum(drifted) <= 4


def test_rows_that_follow_each_other_seldom_drift() -> None:
    """D2 at the size of a pull request: as if they were independent, most of these would alarm."""
    table = make_rows(np.random.default_rng(3), 12_000, phi=0.9).sample(12_000, 0)
    reference, features = rows_of_table(table.slice(0, 6000)), FEATURES[2:7]
    mixed = rows_of_table(table.slice(0, 6000).take(np.random.default_rng(0).permutation(6000)))
    windows = [rows_of_table(table.slice(start, 500)) for start in range(6000, 12_000, 500)]

    blocks, rows = plan_drift(features, reference), plan_drift(features, mixed)

    assert sum(check(blocks, reference, window).drifted for window in windows) <= 1
    assert sum(check(rows, reference, window).drifted for window in windows) >= 8


@pytest.mark.parametrize(("rows", "moved"), [(50, 1.0), (500, 0.35), (2000, 0.2)])
def test_a_change_that_matters_is_found(champion: Champion, rows: int, moved: float) -> None:
    """One of twenty columns moved: a whole spread in 50 rows, a third in 500, a fifth in 2,000."""
    rng = np.random.default_rng(5)

    found = [
        check(champion.plan, champion.reference, make_rows(rng, rows, moved=moved)).columns for _ in range(10)
    ]

    assert sum(columns[0].drifted for columns in found) >= 9
    assert sum(column.drifted for columns in found for column in columns[1:]) <= 1


def test_what_is_certain_and_small_is_no_drift() -> None:
    """Of many rows every difference is certain; below a tenth of a spread none is drift."""
    rng = np.random.default_rng(7)
    reference, current = rng.normal(size=60_000), rng.normal(0.06, 1, 60_000)
    feature = Feature(name="x", kind="numeric", type="float")
    tables = [rows_of_table(pa.table({"x": values})) for values in (reference, current)]

    (found,) = check(plan_drift([feature], tables[0]), *tables).columns

    assert found.p_value is not None
    assert found.p_value < 1e-4
    assert (found.drifted, found.threshold) == (False, 0.1)


@pytest.mark.parametrize("heavy", [True, False])
def test_far_values_are_no_drift_by_themselves(heavy: bool) -> None:
    """Columns whose spread one value makes (Cauchy's, or a rare flag) don't alarm where nothing changed."""
    rng = np.random.default_rng(11)
    feature = Feature(name="x", kind="numeric", type="float")
    drifted = 0
    for _ in range(8):
        draw = rng.standard_cauchy if heavy else (lambda rows: (rng.random(rows) < 0.002).astype(float))
        reference = rows_of_table(pa.table({"x": draw(4000)}))
        plan = plan_drift([feature], reference)
        windows = [rows_of_table(pa.table({"x": draw(300)})) for _ in range(15)]
        drifted += sum(check(plan, reference, window).drifted for window in windows)
    assert drifted <= 4


def test_many_categories_are_no_drift_by_themselves() -> None:
    """Two thousand categories: most of a window's are seldom in the reference, and its score is great."""
    rng = np.random.default_rng(13)
    feature = Feature(name="x", kind="categorical", type="integer")
    reference = rows_of_table(pa.table({"x": rng.integers(0, 2000, 4000)}))
    plan = plan_drift([feature], reference)

    for rows in (100, 1000, 4000):
        current = rows_of_table(pa.table({"x": rng.integers(0, 2000, rows)}))
        (found,) = check(plan, reference, current).columns
        assert found.score is not None
        assert found.score > 0.2
        assert not found.drifted

    (moved,) = check(plan, reference, rows_of_table(pa.table({"x": rng.integers(0, 200, 1000)}))).columns
    assert moved.drifted


def test_a_plan_without_curves_makes_them_of_the_checks_reference(champion: Champion) -> None:
    """A bundle of before is checked as one of today is: it holds no more than names and methods."""
    current = make_rows(np.random.default_rng(17), 400, moved=0.6)
    features, plan = FEATURES[:5], champion.plan.model_copy(update={"columns": champion.plan.columns[:5]})

    old = check(plan_drift(features), champion.reference, current)

    assert old == check(plan, champion.reference, current)
    assert old.columns[0].drifted


def test_a_curve_is_small_and_decided_by_the_rows() -> None:
    """The same rows give the same curve, of less than a kilobyte, whose scores fall with the size."""
    numbers = np.random.default_rng(0).normal(size=40_000)
    curve = calibrate_numbers(numbers)
    assert curve is not None
    assert curve == calibrate_numbers(numbers)
    assert NullCurve.model_validate_json(curve.model_dump_json()) == curve
    assert len(curve.model_dump_json()) < 1000
    assert curve.sizes == (49.94, 99.75, 199.0, 493.8, 975.0, 1900.0, 4375.0, 7500.0, 10000.0)
    medians = [scores[0] for scores in curve.scores]
    assert medians == sorted(medians, reverse=True)


def test_scores_beyond_a_curves_sizes_go_on_falling() -> None:
    """A million rows aren't calibrated: their scores are a tenth of those of ten thousand, by the root."""
    curve = calibrate_numbers(np.random.default_rng(0).normal(size=40_000))
    assert curve is not None
    large, larger = at_size(curve, 20_000, 20_000), at_size(curve, 2_000_000, 2_000_000)
    assert larger.scores / large.scores == pytest.approx(np.full(8, 0.1), rel=0.35)
    few = at_size(curve, 40_000, 5)
    assert (few.scores > at_size(curve, 40_000, 50).scores).all()


CURVES = [
    calibrate_numbers(np.random.default_rng(1).normal(size=3000)),
    calibrate_numbers(np.random.default_rng(1).standard_cauchy(3000)),
    calibrate_numbers(np.full(300, 4.0)),
    calibrate_codes(np.random.default_rng(1).integers(0, 5, 200)),
    calibrate_codes(np.arange(50)),
    calibrate_numbers(np.array([1.0])),
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CURVES),
    st.integers(1, 10**7),
    st.integers(1, 10**7),
    st.floats(1e-6, 0.4),
    st.floats(0, 10),
)
def test_a_chance_and_its_score_are_one_anothers_inverse(
    curve: NullCurve, reference: int, current: int, chance: float, score: float
) -> None:
    """A greater score is never likelier, and what is reached by a chance has that chance, or less."""
    at = at_size(curve, reference, current)
    assert np.isfinite(at.scores).all()
    assert (np.diff(at.scores) >= 0).all()
    reached = score_of(chance, at)
    assert chance_of(max(reached, 2e-12) * 1.000001, at) <= chance * 1.001
    assert chance_of(score, at) >= chance_of(score * 1.5 + 0.01, at)
    assert 0 <= chance_of(score, at) <= 1
    assert score_of(SHARES[0], at) == pytest.approx(at.scores[0])


def test_blocks_are_as_long_as_rows_stay_alike() -> None:
    """Independent rows have none; of AR(1) rows a block outlasts the memory, for numbers and categories."""
    rng = np.random.default_rng(19)
    following = rng.normal(size=6000)
    for row in range(1, 6000):
        following[row] = 0.9 * following[row - 1] + np.sqrt(0.19) * following[row]
    ranks = np.argsort(np.argsort(following))
    assert 40 <= block_length(ranks, 6000, ordered=True) <= 200
    assert 20 <= block_length(ranks // 1500, 4, ordered=False) <= 200
    assert block_length(rng.permutation(ranks), 6000, ordered=True) == 1
    assert block_length(np.zeros(500, dtype=int), 1, ordered=True) == 1
    assert block_length(np.arange(10), 10, ordered=True) == 1


def test_whole_cycles_are_balanced() -> None:
    """Hours of a day: a block is a day or days, and a week's rows are hardly apart, half a day's are far."""
    rng = np.random.default_rng(29)
    hours = np.concatenate([np.sort(rng.normal(13, 4, rng.integers(450, 550))) for _ in range(60)])
    curve = calibrate_numbers(hours)
    assert curve is not None
    assert 400 <= curve.block <= 1100
    half_a_day, week = at_size(curve, 26_500, 200), at_size(curve, 26_500, 3500)
    assert half_a_day.scores[-2] > 0.8
    assert week.scores[-2] < 0.2


def test_rows_in_blocks_are_taken_in_blocks() -> None:
    """The curve of rows that stay alike for long is several times as wide as of the same rows shuffled."""
    rng = np.random.default_rng(23)
    stays = np.repeat(rng.normal(size=200), 50)
    held, mixed = calibrate_numbers(stays), calibrate_numbers(rng.permutation(stays))
    assert held is not None
    assert mixed is not None
    assert (held.block > 40, mixed.block) == (True, 1)
    assert at_size(held, 8000, 1000).scores[-2] > 3 * at_size(mixed, 8000, 1000).scores[-2]
    texts = np.repeat(rng.integers(0, 4, 200), 50)
    assert calibrate_codes(texts).block > 40


def test_a_score_beyond_all_measure_has_no_chance() -> None:
    """However far a finite score lies beyond the curve, its chance is a number, and small."""
    at = AtSize(np.full(len(SHARES), 1e-12), 0.5)

    assert chance_of(1e308, at) == pytest.approx(0.0, abs=1e-100)
