"""Owns realised metrics: how the service's own answers turned out, once their labels arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from evertrain.config import PipelineConfig
from evertrain.datasets.prediction_log import IN_ORDER, LoggedRows, has_feedback, open_log
from evertrain.datasets.snapshots import to_columns
from evertrain.evaluation.bootstrap import bootstrap, count_resamples, evaluate_once, find_interval
from evertrain.evaluation.scores import Answers, ClassAnswers, IntArray, metric_formula
from evertrain.evaluation.slices import cut_slices
from evertrain.metrics import METRICS
from evertrain.realised.outcomes import (
    REGRESSION,
    Counted,
    Outcomes,
    read_outcomes,
    take_outcomes,
)
from evertrain.realised_records import LabelLag, Realised, RealisedPart
from evertrain.records import MetricEstimate
from evertrain.storage import Store

__all__ = ["Counted", "Outcomes", "has_labels", "measure_realised", "read_outcomes"]

CONFIDENCE = 0.95
LATE_QUANTILE = 0.9
RANKINGS = ("roc_auc", "average_precision")
MOST_RESAMPLES = 1_000
"""A percentile is read off the draws: fewer tell it badly."""
FEWEST_IN_A_SLICE = 30
MOST_SLICES = 200


def has_labels(store: Store, config: PipelineConfig, since: datetime, until: datetime) -> bool:
    """Whether answers can have labels: the YAML names their source, or the feedback route took some then."""
    if config.labels is not None and not config.labels.gives_target:
        return True
    return has_feedback(store, config.name, since, until)


def measure_realised(
    store: Store, config: PipelineConfig, *, since: datetime, until: datetime, as_of: datetime
) -> Realised | None:
    """Measure what was answered after *since* and up to *until* on the labels that had arrived by *as_of*.

    Each metric has the percentile interval of a bootstrap, stratified by class as that of the evaluation is;
    rows count as independent of each other. Slices are those of ``evaluation.slices`` that are features.

    Args:
        store: Holds the log.
        config: The pipeline; its metrics and that of ``drift.performance`` are measured.
        since: Times without a zone are UTC.
        until: What was answered later isn't looked at.
        as_of: What arrived later doesn't exist.

    Returns:
        What was found in all, by version, by arm and by slice; None where nothing was logged.

    Raises:
        StorageError: The store can't be read, or a part of the log can't be understood.
        SourceError: The YAML's labels can't be had.
    """
    with open_log(
        store,
        config.name,
        config.labels,
        since=since,
        until=until,
        as_of=as_of,
        features=config.evaluation.slices,
    ) as logged:
        outcomes = take_outcomes(logged, is_regression=config.evaluation.task == REGRESSION)
        if not outcomes.counts:
            return None
        measure = _Measure(outcomes, _wanted_metrics(config), config.training.seed)
        slices, total = _measure_slices(logged, measure)
    everything = np.arange(outcomes.rows)
    return Realised(
        since=since,
        until=until,
        as_of=as_of,
        total=measure.part("all", sum(each.rows for each in outcomes.counts), everything),
        versions=tuple(_measure_each(measure, "version")),
        arms=tuple(_measure_each(measure, "arm")),
        slices=slices,
        slices_total=total,
    )


def _wanted_metrics(config: PipelineConfig) -> tuple[str, ...]:
    watched = [config.drift.performance.metric] if config.drift.performance else []
    return tuple(dict.fromkeys([*config.evaluation.metrics, *watched]))


class _Measure:
    """Measures parts of the labelled rows."""

    def __init__(self, outcomes: Outcomes, metrics: Sequence[str], seed: int) -> None:
        self.outcomes, self._metrics, self._seed = outcomes, metrics, seed

    def part(
        self, name: str, rows: int, labelled: IntArray, *, column: str | None = None, fewest: int = 1
    ) -> RealisedPart:
        """Measure the labelled rows at these places, of *rows* that were logged."""
        metrics, missing = self._metrics_of(labelled, fewest)
        lag = self.outcomes.lag_seconds[labelled]
        return RealisedPart(
            name=name,
            column=column,
            rows=rows,
            labelled=labelled.size,
            coverage=labelled.size / rows,
            metrics=metrics,
            missing=missing,
            lag=LabelLag(
                median_seconds=float(np.median(lag)), p90_seconds=float(np.quantile(lag, LATE_QUANTILE))
            )
            if labelled.size
            else None,
        )

    def _metrics_of(
        self, labelled: IntArray, fewest: int
    ) -> tuple[dict[str, MetricEstimate], tuple[str, ...]]:
        if labelled.size < fewest:
            why = f"{labelled.size} labelled rows of {fewest}" if labelled.size else "no label has arrived"
            return {}, (why,)
        answers = self.outcomes.answers_to(labelled)
        why_not = {metric: _why_not(metric, answers) for metric in self._metrics}
        formulas = {
            metric: metric_formula(metric, answers) for metric in self._metrics if not why_not[metric]
        }
        curves = max(1, len(self.outcomes.truth.names) - 1)
        draws = bootstrap(
            formulas,
            self.outcomes.truth.codes[labelled],
            resamples=min(MOST_RESAMPLES, count_resamples(labelled.size, curves)),
            seed=self._seed,
        )
        found = {}
        for metric, formula in formulas.items():
            low, high = find_interval(draws[metric], CONFIDENCE)
            value = evaluate_once(formula, labelled.size)
            found[metric] = MetricEstimate(value=value, low=low, high=high)
        return found, tuple(why for why in why_not.values() if why)


def _why_not(metric: str, answers: Answers) -> str | None:
    """Say why *metric* can't be computed; None if it can."""
    if not isinstance(answers, ClassAnswers):
        return None
    if METRICS[metric].needs_probabilities and answers.probabilities is None:
        return f"{metric} needs probabilities"
    if metric in RANKINGS and np.unique(answers.truth).size < 2:
        return f"{metric} needs labels of two classes"
    return None


def _measure_each(measure: _Measure, kind: str) -> Iterator[RealisedPart]:
    """Measure each version, or each arm, by itself."""
    values: np.ndarray = getattr(measure.outcomes, kind)
    rows: dict[int | str, int] = {}
    for each in measure.outcomes.counts:
        of = each.version if kind == "version" else each.arm
        rows[of] = rows.get(of, 0) + each.rows
    for name in sorted(rows):
        yield measure.part(str(name), rows[name], np.flatnonzero(values == name))


def _measure_slices(logged: LoggedRows, measure: _Measure) -> tuple[tuple[RealisedPart, ...], int]:
    """Measure the largest slices, those of few labelled rows without metrics; and count them all."""
    names = logged.table.names
    if not names:
        return (), 0
    # In the order of the outcomes, and the unlabelled ones between them.
    found = logged.table.stream(
        *(cell.sql for cell in logged.table.cells),
        f"{measure.outcomes.label_sql} IS NOT NULL",
        rest=f"ORDER BY {IN_ORDER}",
    ).read_all()
    table = found.rename_columns([*names, "labelled rows"])
    is_labelled = table.column(len(names)).to_numpy()
    places = np.cumsum(is_labelled) - 1
    slices = cut_slices(to_columns(table, names), names)
    slices.sort(key=lambda each: -each.rows.size)
    parts = [
        measure.part(
            each.value,
            each.rows.size,
            places[each.rows[is_labelled[each.rows]]],
            column=each.column,
            fewest=FEWEST_IN_A_SLICE,
        )
        for each in slices[:MOST_SLICES]
    ]
    return tuple(parts), len(slices)
