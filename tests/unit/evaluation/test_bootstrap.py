from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest

from evertrain.evaluation.bootstrap import (
    Resampler,
    bootstrap,
    count_resamples,
    count_threads,
    evaluate_once,
    find_interval,
)
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers, metric_formula


def two_classes(rng, rows, shift):
    """Truth and scores whose true AUC is Phi(shift / sqrt(2))."""
    truth = (np.arange(rows) < rows // 2).astype(np.int64)
    return truth, rng.normal(size=rows) + shift * truth


def auc(truth, scores):
    answers = ClassAnswers(truth, np.zeros_like(truth), np.column_stack([-scores, scores]))
    return metric_formula("roc_auc", answers)


def test_resamples_keep_every_class():
    """Each resample holds as many rows of each class as the rows themselves, in every row's own place."""
    strata = np.array([2, 0, 1, 0, 2, 2, 0, 0])
    weights = Resampler(strata, seed=1).weights(0, 50)
    for code, rows in enumerate(np.bincount(strata)):
        assert (weights[:, strata == code].sum(axis=1) == rows).all()


def test_every_row_is_drawn_as_often():
    """No row is favoured: over many resamples each is drawn once a resample on average."""
    strata = np.repeat([0, 1], [30, 7])
    mean = Resampler(strata, seed=0).weights(0, 4000).mean(axis=0)
    assert np.abs(mean - 1).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("chunk_cells", [1, 700, 10**7])
def test_chunks_change_no_bit(chunk_cells):
    """The draws are the same bits, however many resamples are held at once."""
    rng = np.random.default_rng(0)
    values = ValueAnswers(rng.normal(size=101), rng.normal(size=101))
    truth, scores = two_classes(rng, 101, 1.0)
    probabilities = np.column_stack([1 - scores, scores]) / 10 + 0.3
    classes = ClassAnswers(truth, truth, probabilities)
    formulas = {
        "r2": metric_formula("r2", values),
        **{name: metric_formula(name, classes) for name in ("roc_auc", "average_precision", "log_loss")},
    }
    found = bootstrap(formulas, truth, resamples=23, seed=5, chunk_cells=chunk_cells)
    expected = bootstrap(formulas, truth, resamples=23, seed=5)
    assert all((found[name] == expected[name]).all() for name in formulas)


def test_what_is_drawn_first_doesn_t_matter():
    """Resample number 7 is the same, whether those before it are drawn or not."""
    resampler = Resampler(np.array([0, 1, 0, 1, 1, 0]), seed=3)

    assert (resampler.weights(7, 2) == resampler.weights(0, 9)[7:]).all()


@pytest.mark.parametrize(("rows", "threads"), [(99_999, 1), (100_000, 4)])
def test_many_rows_are_shared_by_threads(rows, threads, monkeypatch):
    """From 100,000 rows on as many threads as cores work, up to four; with fewer they would only wait."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))

    assert count_threads(rows) == threads


def test_threads_change_no_bit(monkeypatch):
    """The draws are the same bits, whether one thread makes them or four do."""
    truth, scores = two_classes(np.random.default_rng(0), 300, 1.0)
    formulas = {"auc": auc(truth, scores)}
    alone = bootstrap(formulas, truth, resamples=40, seed=5, chunk_cells=900)
    monkeypatch.setattr(sys.modules[bootstrap.__module__], "count_threads", lambda _: 4)

    assert (bootstrap(formulas, truth, resamples=40, seed=5, chunk_cells=900)["auc"] == alone["auc"]).all()


def test_seed_decides():
    """The same seed gives the same draws, another one others."""
    truth, scores = two_classes(np.random.default_rng(0), 60, 1.0)
    first, again, other = (
        bootstrap({"auc": auc(truth, scores)}, truth, resamples=20, seed=seed)["auc"] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("rows", "curves", "expected"),
    [(10, 1, 1000), (200_000, 1, 1000), (400_000, 1, 500), (10_000_000, 1, 200), (100_000, 10, 200)],
)
def test_many_rows_get_fewer_resamples(rows, curves, expected):
    """There are 1,000 resamples up to 200,000 rows, then fewer, and never under 200."""
    assert count_resamples(rows, curves) == expected


def test_memory_is_bounded():
    """Ten thousand rows a thousand times stay under 200 MB."""
    truth, scores = two_classes(np.random.default_rng(0), 10_000, 1.0)
    formula = auc(truth, scores)
    tracemalloc.start()
    bootstrap({"auc": formula}, truth, resamples=300, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_interval_is_the_middle_of_the_draws():
    """A 90 % interval leaves a twentieth of the draws on either side."""
    assert find_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))


@pytest.mark.parametrize("metric", ["roc_auc", "mean_absolute_error"])
def test_intervals_cover_the_truth(metric):
    """Of 200 tables of 500 rows the 95 % interval holds the true value in 90 to 99 % (G6 at small size)."""
    rng = np.random.default_rng(7)
    strata = np.zeros(500, dtype=np.int64)
    covered = 0
    for seed in range(200):
        if metric == "roc_auc":
            strata, scores = two_classes(rng, 500, 1.0)
            formula, true = auc(strata, scores), 0.7602499389065233
        else:
            answers = ValueAnswers(np.zeros(500), rng.normal(size=500))
            formula, true = metric_formula(metric, answers), np.sqrt(2 / np.pi)
        draws = bootstrap({"it": formula}, strata, resamples=300, seed=seed)["it"]
        low, high = find_interval(draws, 0.95)
        covered += low <= true <= high
    assert 180 <= covered <= 198


def test_equal_challengers_are_seldom_promoted():
    """Of 300 challengers as good as the champion at most 5 % are shown to be better (G5 at small size)."""
    rng = np.random.default_rng(11)
    promoted = 0
    for seed in range(300):
        truth, signal = two_classes(rng, 400, 1.0)
        scores = [signal + rng.normal(0, 0.5, 400) for _ in range(2)]
        formulas = {name: auc(truth, each) for name, each in zip("ab", scores, strict=True)}
        draws = bootstrap(formulas, truth, resamples=300, seed=seed)
        promoted += find_interval(draws["a"] - draws["b"], 0.95)[0] > 0
    assert promoted <= 15


def test_a_better_challenger_is_found():
    """Two points of accuracy more, at 10 % discordance on 5,000 rows, are shown in 19 of 20 tables (G5)."""
    rng = np.random.default_rng(13)
    strata, found = np.zeros(5000, dtype=np.int64), 0
    for seed in range(40):
        discordant = rng.random(5000) < 0.10
        ours = discordant & (rng.random(5000) < 0.6)
        truth = np.zeros(5000, dtype=np.int64)
        pair = {"ours": ~(discordant & ~ours), "theirs": ~ours}
        formulas = {
            name: metric_formula("accuracy", ClassAnswers(truth, (~right).astype(np.int64), None))
            for name, right in pair.items()
        }
        draws = bootstrap(formulas, strata, resamples=200, seed=seed)
        found += find_interval(draws["ours"] - draws["theirs"], 0.95)[0] > 0
    assert found >= 38


def test_the_point_is_the_plain_metric():
    """Each row counted once gives the metric itself."""
    answers = ValueAnswers(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    assert evaluate_once(metric_formula("mean_absolute_error", answers), 2) == 0.5
