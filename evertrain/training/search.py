"""Owns the search for an estimator's parameters: trials judged on folds of the training window alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from evertrain.config import PipelineConfig, SearchConfig, TrainingConfig
from evertrain.errors import TrainingError
from evertrain.metrics import METRICS, Metric
from evertrain.progress import STEPS
from evertrain.records import Search, Trial
from evertrain.runs import StepRecords
from evertrain.training.fitting import fit_pipeline, make_estimator, told
from evertrain.training.folds import Fold, make_folds
from evertrain.training.rows import TrainingRows, select_rows
from evertrain.training.scoring import score_pipeline
from evertrain.training.study import Study

Clock = Callable[[], float]


@dataclass(frozen=True, eq=False)
class _Task:
    """What every trial of a search shares."""

    kind: type[Any]
    training: TrainingConfig
    plan: SearchConfig
    metric: Metric
    rows: TrainingRows
    folds: tuple[Fold, ...]
    clock: Clock


def search_parameters(
    kind: type[Any],
    config: PipelineConfig,
    rows: TrainingRows,
    records: StepRecords | None = None,
    clock: Clock = time.monotonic,
) -> Search:
    """Search the space of ``training.search`` for the parameters with the best primary metric.

    Trial 0 has the parameters that the YAML names, so that a search never ends worse than none. A search
    that was killed goes on after its last finished trial, and ends as if it hadn't been.

    Args:
        kind: The estimator's class.
        config: The pipeline; it has a search.
        rows: The training side; folds are cut from it.
        records: Where each finished trial is kept, and found again; None: nowhere.
        clock: Gives seconds; the search's ``timeout`` ends it with the best so far, but not before trial 0.

    Raises:
        TrainingError: No fold can be cut, or every trial failed.
        StorageError: A trial can't be kept.
    """
    plan = config.training.search
    assert plan is not None
    folds, metric = make_folds(rows, config.training), METRICS[config.primary_metric]
    task = _Task(kind, config.training, plan, metric, rows, folds, clock)
    study = Study(plan.space, config.training.seed, greater_is_better=metric.greater_is_better)
    trials = _recall(plan, records)
    for trial in trials:
        study.tell(trial)
    end = _find_end(plan.timeout, clock() - sum(trial.seconds for trial in trials))
    while len(trials) < plan.trials and (not trials or clock() < end):
        ended = _try_next(task, study, len(trials), end)
        if ended is None:
            break
        if records is not None:
            records.write(_record_name(ended.number), ended)
        trials.append(ended)
        STEPS.info("%s", _describe(task, trials))
    if len(trials) < plan.trials:
        STEPS.info("search ended by its timeout after %d of %d trials", len(trials), plan.trials)
    best = _find_best(metric, trials)
    if best is None:
        raise TrainingError(f"training.search: all {len(trials)} trials failed. {trials[0].reason}")
    return Search(metric=metric.name, trials=tuple(trials), best=best.number, planned=plan.trials)


def choose_parameters(training: TrainingConfig, found: Search) -> TrainingConfig:
    """Put the best trial's parameters in the place of the YAML's."""
    # Trial 0 is the YAML itself: what that leaves to the estimator stays the estimator's to choose.
    return _with(training, found.trials[found.best].params if found.best else {})


def describe_search(found: Search) -> str:
    """Say in a line which of the trials is the best, and its parameters; floats to three digits."""
    chosen = (
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.trials[found.best].params.items()
    )
    return f"trial {found.best + 1} of {len(found.trials)} is the best: {', '.join(chosen)}"


def _with(training: TrainingConfig, params: Mapping[str, Any]) -> TrainingConfig:
    return training.model_copy(update={"params": {**training.params, **params}})


def _recall(plan: SearchConfig, records: StepRecords | None) -> list[Trial]:
    trials: list[Trial] = []
    while records is not None and len(trials) < plan.trials:
        trial = records.read(_record_name(len(trials)), Trial)
        if trial is None:
            break
        trials.append(trial)
    return trials


def _record_name(number: int) -> str:
    return f"trials/{number:05d}"


def _find_end(timeout: timedelta | None, began: float) -> float:
    return math.inf if timeout is None else began + timeout.total_seconds()


def _try_next(task: _Task, study: Study, number: int, end: float) -> Trial | None:
    """Run a trial and tell the study of it; None if the search's time ran out in its midst."""
    if number == 0:
        ended = _judge(task, 0, _given_parameters(task), task.training, lambda _: False, math.inf)
    else:
        params = study.ask()
        ended = _judge(task, number, params, _with(task.training, params), study.falls_behind, end)
    if ended is not None:
        study.tell(ended)
    return ended


def _given_parameters(task: _Task) -> dict[str, Any]:
    """What the space's parameters are where nothing is searched."""
    given = make_estimator(task.kind, task.training).get_params(deep=False)
    return {name: given[name] for name in task.plan.space if name in given}


def _judge(
    task: _Task,
    number: int,
    params: dict[str, Any],
    training: TrainingConfig,
    falls_behind: Callable[[list[float]], bool],
    end: float,
) -> Trial | None:
    began = task.clock()
    scores: list[float] = []

    def finish(**facts: Any) -> Trial:
        seconds = task.clock() - began
        return Trial(number=number, params=params, scores=tuple(scores), seconds=seconds, **facts)

    for fold in task.folds:
        if task.clock() >= end:
            return None
        try:
            scores.append(_score(task, training, fold))
        except TrainingError as failure:
            return finish(state="failed", reason=failure.message)
        if falls_behind(scores) and len(scores) < len(task.folds):
            return finish(state="pruned")
    return finish(state="complete", value=sum(scores) / len(scores))


def _score(task: _Task, training: TrainingConfig, fold: Fold) -> float:
    learnt, judged = select_rows(task.rows, fold.learnt), select_rows(task.rows, fold.judged)
    with told(training.estimator, tell_warnings=False):
        pipeline = fit_pipeline(task.kind, training, learnt, tell_warnings=False)
        score = score_pipeline(pipeline, task.metric.name, judged)
    if not math.isfinite(score):
        raise TrainingError(f"{training.estimator} scores no finite {task.metric.name} on a fold.")
    return score


def _find_best(metric: Metric, trials: list[Trial]) -> Trial | None:
    complete = [trial for trial in trials if trial.value is not None]
    # Of equal trials the first: the YAML's own parameters aren't left for nothing.
    return max(complete, key=lambda trial: metric.sign * (trial.value or 0.0), default=None)


def _describe(task: _Task, trials: list[Trial]) -> str:
    last, best, name = trials[-1], _find_best(task.metric, trials), task.metric.name
    said = last.state if last.value is None else f"{name} {last.value:.4g}"
    so_far = "" if best is None else f", best {best.value:.4g}"
    return f"trial {last.number + 1} of {task.plan.trials}: {said}{so_far}"
