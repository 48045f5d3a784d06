from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from evertrain.columns import InputSpec
from evertrain.config import PipelineConfig
from evertrain.errors import TrainingError
from evertrain.records import Search, Trial
from evertrain.runs import StepRecords
from evertrain.storage import open_store
from evertrain.training.rows import TrainingRows, find_newest_fifth
from evertrain.training.search import choose_parameters, describe_search, search_parameters

SPECS = (InputSpec("in_000", "float"), InputSpec("in_001", "string"))
SPACE = {
    "max_depth": {"type": "int", "low": 1, "high": 12},
    "min_samples_leaf": {"type": "float", "low": 0.001, "high": 0.3, "log": True},
    "criterion": {"type": "categorical", "choices": ["gini", "entropy"]},
}


def rows(
    count: int = 300, *, is_classification: bool = True, weights: np.ndarray | None = None
) -> TrainingRows:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=count).astype(np.float32)
    values = np.sin(2 * numbers) + 0.3 * rng.normal(size=count)
    return TrainingRows(
        inputs={"in_000": numbers, "in_001": rng.choice(np.array(["a", "b"], dtype=object), count)},
        specs=SPECS,
        target=(values > 0).astype(np.int64) if is_classification else values,
        is_classification=is_classification,
        weights=weights,
        newest=find_newest_fifth(None, count),
        times=np.arange(count),
    )


def config(space: dict[str, Any] = SPACE, *, trials: int = 12, **options: Any) -> PipelineConfig:
    task = options.pop("task", "binary_classification")
    search = {"trials": trials, "space": space, "timeout": options.pop("timeout", None)}
    return PipelineConfig.model_validate(
        {
            "name": "tiny",
            "data": {"source": {"type": "files", "uri": "rows.csv"}, "target": "y"},
            "training": {"estimator": "sklearn.tree.DecisionTreeClassifier", "search": search, **options},
            "evaluation": {"task": task},
        }
    )


def without_seconds(found: Search) -> Search:
    trials = tuple(trial.model_copy(update={"seconds": 0.0}) for trial in found.trials)
    return found.model_copy(update={"trials": trials})


class Killed(BaseException):
    """What a kill looks like from within."""


class DyingRecords(StepRecords):
    """Step records of a process that is killed before it keeps its n-th trial."""

    def __init__(self, records: StepRecords, survives: int) -> None:
        super().__init__(records._store, records.run_key)
        self.survives = survives

    def write(self, step: str, record: Any) -> None:
        if self.survives == 0:
            raise Killed
        self.survives -= 1
        super().write(step, record)


class Picky(ClassifierMixin, BaseEstimator):
    """Fails to fit where told, answers the majority else."""

    def __init__(self, mood: str = "well") -> None:
        self.mood = mood

    def fit(self, X: Any, y: Any) -> Picky:
        if self.mood == "ill":
            raise RuntimeError("not today")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X), dtype=np.int64)

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.tile([0.7, 0.3], (len(X), 1))


def test_a_search_begins_with_the_yaml_and_ends_no_worse() -> None:
    """Trial 0 has the parameters of no search; the best is the greatest of the complete ones."""
    found = search_parameters(DecisionTreeClassifier, config(params={"max_depth": 1}), rows())
    first, best = found.trials[0], found.trials[found.best]
    assert (found.metric, found.planned, len(found.trials)) == ("roc_auc", 12, 12)
    assert [trial.number for trial in found.trials] == list(range(12))
    assert first.params == {"max_depth": 1, "min_samples_leaf": 1, "criterion": "gini"}
    assert first.state == "complete"
    assert best.value == max(trial.value for trial in found.trials if trial.value is not None)
    assert best.value > first.value
    assert best.value == pytest.approx(np.mean(best.scores))
    for trial in found.trials[1:]:
        assert 1 <= trial.params["max_depth"] <= 12
        assert isinstance(trial.params["max_depth"], int)
        assert 0.001 <= trial.params["min_samples_leaf"] <= 0.3
        assert trial.params["criterion"] in ("gini", "entropy")


def test_a_metric_whose_less_is_better_is_searched_downwards() -> None:
    """The best of a loss is the least."""
    options = {"estimator": "sklearn.tree.DecisionTreeRegressor", "task": "regression"}
    space = {"max_depth": {"type": "int", "low": 1, "high": 8}}
    found = search_parameters(DecisionTreeRegressor, config(space, **options), rows(is_classification=False))
    values = [trial.value for trial in found.trials if trial.value is not None]
    assert (found.metric, found.trials[found.best].value) == ("mean_absolute_error", min(values))


def test_trials_that_fall_behind_are_pruned() -> None:
    """A trial below the median after its first folds isn't judged on all."""
    found = search_parameters(DecisionTreeClassifier, config(trials=20), rows())
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial.value is None
        assert 1 <= len(trial.scores) < 3


def test_equal_seeds_search_alike() -> None:
    """The same rows and seed give the same trials; another seed gives others."""
    first, second = (
        without_seconds(search_parameters(DecisionTreeClassifier, config(), rows())) for _ in range(2)
    )
    other = search_parameters(DecisionTreeClassifier, config(seed=1), rows())
    assert first == second
    assert [trial.params for trial in other.trials[1:]] != [trial.params for trial in first.trials[1:]]


@pytest.fixture(scope="module")
def unkilled() -> Search:
    """What fourteen trials find that nobody kills."""
    return without_seconds(search_parameters(DecisionTreeClassifier, config(trials=14), rows()))


@pytest.mark.parametrize("survives", [0, 1, 7, 13])
def test_a_killed_search_goes_on_after_its_last_trial(
    tmp_path: Path, unkilled: Search, survives: int
) -> None:
    """Killed in any trial, the search runs the rest and finds what an unkilled one finds."""
    records = StepRecords(open_store(str(tmp_path)), "a" * 64)
    pipeline = config(trials=14)
    with pytest.raises(Killed):
        search_parameters(DecisionTreeClassifier, pipeline, rows(), DyingRecords(records, survives))
    written = DyingRecords(records, -1)
    resumed = search_parameters(DecisionTreeClassifier, pipeline, rows(), written)
    assert without_seconds(resumed) == unkilled
    assert written.survives == -1 - (14 - survives)


def test_a_search_that_was_done_runs_nothing_again(tmp_path: Path) -> None:
    """All trials are recalled, the failed and the pruned too."""
    records = StepRecords(open_store(str(tmp_path)), "a" * 64)
    pipeline = config({"mood": {"type": "categorical", "choices": ["well", "ill"]}}, trials=6)
    found = search_parameters(Picky, pipeline, rows(), records)
    assert {trial.state for trial in found.trials} == {"complete", "failed"}
    assert search_parameters(Picky, pipeline, rows(), DyingRecords(records, 0)) == found


def test_a_trial_that_fails_is_counted_and_passed_over() -> None:
    """What an estimator raises ends the trial alone, with its reason."""
    pipeline = config({"mood": {"type": "categorical", "choices": ["ill"]}}, trials=3)
    found = search_parameters(Picky, pipeline, rows())
    assert [trial.state for trial in found.trials] == ["complete", "failed", "failed"]
    assert found.best == 0
    assert "RuntimeError: not today" in (found.trials[1].reason or "")


def test_a_search_whose_trials_all_fail_is_a_training_error() -> None:
    """Where nothing could be fitted, the error says why the first couldn't."""
    pipeline = config({"mood": {"type": "categorical", "choices": ["ill"]}}, trials=3, params={"mood": "ill"})
    with pytest.raises(TrainingError, match=r"all 3 trials failed\. .*RuntimeError: not today"):
        search_parameters(Picky, pipeline, rows())


def test_a_score_that_is_no_number_fails_the_trial() -> None:
    """An average that overflows is no score to be the best of."""
    huge = rows(is_classification=False)
    huge = dataclasses.replace(huge, target=np.where(huge.target > 0, 1e200, -1e200))
    space = {"max_depth": {"type": "int", "low": 1, "high": 2}}
    pipeline = config(space, trials=1, estimator="sklearn.tree.DecisionTreeRegressor", task="regression")
    metrics = pipeline.evaluation.model_copy(update={"metrics": ("root_mean_squared_error",)})
    pipeline = pipeline.model_copy(update={"evaluation": metrics})
    with pytest.raises(TrainingError, match="all 1 trials failed"):
        search_parameters(DecisionTreeRegressor, pipeline, huge)


def test_of_equal_trials_the_yaml_s_own_stays() -> None:
    """A trial that is no better than the YAML's parameters doesn't replace them."""
    pipeline = config({"mood": {"type": "categorical", "choices": ["fine", "well"]}}, trials=4)
    found = search_parameters(Picky, pipeline, rows())
    assert found.best == 0
    assert choose_parameters(pipeline.training, found) == pipeline.training


def test_the_best_parameters_take_the_place_of_the_yaml_s() -> None:
    """What isn't searched stays as the YAML has it."""
    pipeline = config(params={"max_depth": 1, "max_features": 2})
    found = search_parameters(DecisionTreeClassifier, pipeline, rows())
    assert found.best > 0
    chosen = choose_parameters(pipeline.training, found)
    assert chosen.params == {"max_features": 2, **found.trials[found.best].params}


def ticking(seconds: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += seconds


def test_the_timeout_ends_the_search_with_the_best_so_far(caplog: pytest.LogCaptureFixture) -> None:
    """No trial begins after the timeout, one in its midst is given up; trial 0 always ends."""
    clock = ticking(1.0)
    with caplog.at_level(logging.INFO, logger="evertrain.steps"):
        found = search_parameters(
            DecisionTreeClassifier, config(timeout="22s"), rows(), clock=lambda: next(clock)
        )
    assert 1 < len(found.trials) < 12
    assert caplog.messages[-1] == f"search ended by its timeout after {len(found.trials)} of 12 trials"
    slow = ticking(100.0)
    alone = search_parameters(DecisionTreeClassifier, config(timeout="1s"), rows(), clock=lambda: next(slow))
    assert [trial.state for trial in alone.trials] == ["complete"]


def test_the_time_of_a_killed_search_counts(tmp_path: Path) -> None:
    """What earlier tries have taken is taken off the timeout."""
    records = StepRecords(open_store(str(tmp_path)), "a" * 64)
    slow, frozen = ticking(10.0), ticking(0.0)
    with pytest.raises(Killed):
        search_parameters(
            DecisionTreeClassifier, config(), rows(), DyingRecords(records, 3), clock=lambda: next(slow)
        )
    pipeline = config(timeout="60s")
    found = search_parameters(DecisionTreeClassifier, pipeline, rows(), records, clock=lambda: next(frozen))
    assert len(found.trials) == 3


def test_progress_is_told_trial_by_trial(caplog: pytest.LogCaptureFixture) -> None:
    """Each trial is a line: its number, its score, the best so far."""
    pipeline = config({"mood": {"type": "categorical", "choices": ["ill"]}}, trials=2)
    with caplog.at_level(logging.INFO, logger="evertrain.steps"):
        search_parameters(Picky, pipeline, rows())
    assert caplog.messages == ["trial 1 of 2: roc_auc 0.5, best 0.5", "trial 2 of 2: failed, best 0.5"]


def test_what_a_search_chose_is_said_in_a_line() -> None:
    """The best trial by its place, and its parameters, floats in three digits."""
    params = {"max_depth": 3, "min_samples_leaf": 0.0123456, "criterion": "gini"}
    tried = [Trial(number=n, params=params, value=0.5, state="complete", seconds=1.0) for n in range(2)]

    said = describe_search(Search(metric="roc_auc", trials=tuple(tried), best=1, planned=2))

    assert said == "trial 2 of 2 is the best: max_depth 3, min_samples_leaf 0.0123, criterion gini"


def test_optuna_says_nothing(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the log nor the terminal gets a word of Optuna's, and its logger is left as it was."""
    import optuna  # noqa: F401

    level = logging.getLogger("optuna").level
    with caplog.at_level(logging.DEBUG):
        search_parameters(DecisionTreeClassifier, config(trials=3), rows())
    assert not [record for record in caplog.records if record.name.startswith("optuna")]
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna").level == level


def test_weights_balance_and_calibration_hold_in_every_trial() -> None:
    """Trials learn as the final fit does: other weights, balance or calibration give other scores."""
    space = {"C": {"type": "float", "low": 0.01, "high": 10.0, "log": True}}
    numbers = np.random.default_rng(1).normal(size=300).astype(np.float32)
    uneven = dataclasses.replace(rows(), target=(numbers > 1).astype(np.int64))
    uneven = dataclasses.replace(uneven, inputs={**uneven.inputs, "in_000": numbers})
    weighted = dataclasses.replace(uneven, weights=np.where(uneven.target == 1, 9.0, 1.0))
    options = {"estimator": "sklearn.linear_model.LogisticRegression", "trials": 1}

    def first_score(learnt: TrainingRows, **more: Any) -> float | None:
        pipeline = config(space, **options, **more)
        metrics = pipeline.evaluation.model_copy(update={"metrics": ("log_loss",)})
        pipeline = pipeline.model_copy(update={"evaluation": metrics})
        return search_parameters(LogisticRegression, pipeline, learnt).trials[0].value

    scores = [
        first_score(uneven),
        first_score(weighted),
        first_score(uneven, class_weight="balanced"),
        first_score(uneven, calibration="sigmoid"),
    ]
    assert None not in scores
    assert len(set(scores)) == 4
