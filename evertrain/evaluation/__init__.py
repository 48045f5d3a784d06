"""Owns the judgement of a candidate: both models on the same held-out rows, and the gates' verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from evertrain.errors import DataRefused, InvalidInput, ModelFailed, TrainingError
from evertrain.evaluation.answers import Truth, ask, why_incomparable
from evertrain.evaluation.bootstrap import bootstrap, count_resamples, evaluate_once, find_interval
from evertrain.evaluation.curves import draw_curves
from evertrain.evaluation.gains import PairedGain, accuracy_gain, same_rows, spread_gain
from evertrain.evaluation.latency import measure_latency
from evertrain.evaluation.scores import Answers, ClassAnswers, FloatArray, Formula, IntArray, metric_formula
from evertrain.evaluation.slices import cut_slices, judge_slices
from evertrain.gates import BeatsChampion, LatencyGate, NotWorse, SlicesGate, Threshold
from evertrain.gates.looks import judged_confidence
from evertrain.metrics import METRICS
from evertrain.records import (
    ChampionScore,
    Evaluation,
    Gain,
    GateEvidence,
    GateResult,
    Latency,
    MetricEstimate,
    SliceGains,
)

if TYPE_CHECKING:
    from evertrain.bundles import Bundle
    from evertrain.config import PipelineConfig
    from evertrain.records import Label

INTERVAL_CONFIDENCE = 0.95
RANKINGS = ("roc_auc", "average_precision")
CHALLENGER, CHAMPION = "challenger", "champion"
SLICE_RESAMPLES = 400
"""A slice's interval needs the draws' spread alone, which 400 tell to 4 %."""


def evaluate(  # noqa: PLR0913 - two models, the rows, and how to look at them
    config: PipelineConfig,
    candidate: Bundle,
    champion: tuple[int, Bundle] | None,
    columns: Mapping[str, np.ndarray],
    target: np.ndarray,
    classes: tuple[Label, ...] | None,
    *,
    seed: int,
    look: int | None = None,
) -> Evaluation:
    """Measure the candidate and, where it can be asked these rows, the champion. Every row counts alike.

    Args:
        config: Says which metrics and gates there are.
        candidate: The bundle that would be served.
        champion: The version that is served, and its bundle; None before the first promotion.
        columns: Raw held-out columns by name, each of shape [n]; holds both models' features where it can,
            and the columns of ``evaluation.slices``.
        target: What really happened on those rows, shape [n]; none missing.
        classes: The data's classes in the candidate's order; None for regression.
        seed: Seeds the bootstrap: the same inputs give the same evaluation.
        look: Which challenger on these rows this is, counted from 1; None: not counted.

    Returns:
        Every metric that the configuration or a gate names, with its interval, for both models; the gain for
        each comparison that a gate makes, and for each gate on slices what it sees.

    Raises:
        DataRefused: The held-out rows hold one class, and a metric needs two.
        TrainingError: The candidate gives no probabilities, and a metric needs them.
        InvalidInput: The held-out rows don't fit the candidate's own signature.
        ModelFailed: The candidate raised, or answered with a number that isn't finite.
    """
    metrics = wanted_metrics(config)
    why_not = _why_not(config, champion, columns, classes)
    rival = champion if champion and not why_not else None
    truth = Truth(target, classes, (rival[1].signature.classes or ()) if rival else ())
    _check_classes(metrics, truth)
    models = {CHALLENGER: ask(candidate, columns, truth)}
    _check_probabilities(metrics, models[CHALLENGER], config.training.estimator)
    if rival:
        try:
            models[CHAMPION] = ask(rival[1], columns, truth)
        except (InvalidInput, ModelFailed) as fault:
            rival, why_not = None, fault.message
    scores = _Scores(metrics, models, truth, seed)
    gains = tuple(gain for pair in wanted_gains(config, look) if (gain := scores.gain(*pair)))
    return Evaluation(
        rows=len(target),
        resamples=scores.resamples,
        metrics=scores.estimates(CHALLENGER),
        champion=rival and ChampionScore(version=rival[0], metrics=scores.estimates(CHAMPION)),
        champion_missing=why_not and f"the champion can't be scored on these rows: {why_not}",
        gains=gains,
        curves=draw_curves(models, truth.names, seed=seed),
        look=look if gains else None,
        slices=tuple(_look_into_slices(config, models, columns, truth, seed)) if rival else (),
    )


def judge(config: PipelineConfig, evidence: GateEvidence) -> tuple[GateResult, ...]:
    """Ask every gate of the pipeline, in order."""
    return tuple(gate.check(evidence) for gate in config.evaluation.gates)


def time_candidate(
    config: PipelineConfig, candidate: Bundle, columns: Mapping[str, np.ndarray]
) -> Latency | None:
    """Time one row through *candidate* if a gate asks for it, against the strictest such gate.

    Raises:
        InvalidInput: The held-out rows don't fit the candidate's own signature.
        ModelFailed: The candidate raised, or answered with a number that isn't finite.
    """
    limits = [gate.p99_ms for gate in config.evaluation.gates if isinstance(gate, LatencyGate)]
    return measure_latency(candidate, columns, min(limits)) if limits else None


def counts_looks(config: PipelineConfig) -> bool:
    """Whether a gate's verdict depends on how often the held-out rows were looked at before."""
    return any(isinstance(gate, BeatsChampion) for gate in config.evaluation.gates)


def wanted_metrics(config: PipelineConfig) -> tuple[str, ...]:
    """Name the metrics to compute, the primary one first, then those of gates and of the drift check."""
    gates = config.evaluation.gates
    kinds = Threshold | BeatsChampion | NotWorse | SlicesGate
    judged = [gate.metric for gate in gates if isinstance(gate, kinds)]
    performance = config.drift.performance
    watched = [performance.metric] if performance else []
    return tuple(dict.fromkeys([*config.evaluation.metrics, *judged, *watched]))


def wanted_gains(config: PipelineConfig, look: int | None = None) -> tuple[tuple[str, float], ...]:
    """Name the comparisons that gates make at a challenger's *look*: metric and confidence, each once."""
    compared = {
        (
            gate.metric,
            judged_confidence(gate.confidence, look if isinstance(gate, BeatsChampion) else None),
        ): None
        for gate in config.evaluation.gates
        if isinstance(gate, BeatsChampion | NotWorse)
    }
    return tuple(compared)


class _Scores:
    """Both models' metrics and their draws over the very same resamples."""

    def __init__(
        self, metrics: Sequence[str], models: Mapping[str, Answers], truth: Truth, seed: int
    ) -> None:
        self._rows, self._models = truth.codes.size, models
        formulas: dict[tuple[str, str], Formula] = {
            (who, metric): metric_formula(metric, answers)
            for who, answers in models.items()
            for metric in metrics
            if _can_score(metric, answers)
        }
        curves = len(truth.names) if len(truth.names) > 2 and set(metrics) & set(RANKINGS) else 1
        self.resamples = count_resamples(self._rows, curves)
        self._values = {name: evaluate_once(formula, self._rows) for name, formula in formulas.items()}
        self._draws: dict[tuple[str, str], FloatArray] = bootstrap(
            formulas, truth.codes, resamples=self.resamples, seed=seed
        )

    def estimates(self, who: str) -> dict[str, MetricEstimate]:
        found = {}
        for (model, metric), value in self._values.items():
            if model == who:
                low, high = find_interval(self._draws[model, metric], INTERVAL_CONFIDENCE)
                found[metric] = MetricEstimate(value=value, low=low, high=high)
        return found

    def gain(self, metric: str, confidence: float) -> Gain | None:
        ours, theirs = (CHALLENGER, metric), (CHAMPION, metric)
        if theirs not in self._values:
            return None
        if metric == "accuracy":
            found = accuracy_gain(self._models[CHALLENGER], self._models[CHAMPION])
        else:
            sign = METRICS[metric].sign
            draws = sign * (self._draws[ours] - self._draws[theirs])
            found = spread_gain(sign * (self._values[ours] - self._values[theirs]), draws)
        low, high = found.interval(confidence)
        return Gain(metric=metric, confidence=confidence, gain=found.gain, low=low, high=high)


def _why_not(
    config: PipelineConfig,
    champion: tuple[int, Bundle] | None,
    columns: Mapping[str, np.ndarray],
    classes: tuple[Label, ...] | None,
) -> str | None:
    if champion is None:
        return None
    return why_incomparable(champion[1].signature, columns, config.evaluation.task, classes)


def _can_score(metric: str, answers: Answers) -> bool:
    if not METRICS[metric].needs_probabilities:
        return True
    return isinstance(answers, ClassAnswers) and answers.probabilities is not None


def _check_classes(metrics: Sequence[str], truth: Truth) -> None:
    if truth.names and "roc_auc" in metrics and np.unique(truth.codes).size == 1:
        raise DataRefused(
            f"All held-out rows are of the class {truth.names[truth.codes[0]]!r}; roc_auc needs rows of two. "
            "Widen data.window.holdout or name another metric."
        )


def _check_probabilities(metrics: Sequence[str], answers: Answers, estimator: str) -> None:
    short = [metric for metric in metrics if not _can_score(metric, answers)]
    if short:
        raise TrainingError(
            f"{estimator} gives no probabilities, which {', '.join(short)} needs. "
            "Name metrics such as accuracy or f1, or set training.calibration."
        )


def _look_into_slices(
    config: PipelineConfig,
    models: Mapping[str, Answers],
    columns: Mapping[str, np.ndarray],
    truth: Truth,
    seed: int,
) -> Iterator[SliceGains]:
    for gate in config.evaluation.gates:
        if isinstance(gate, SlicesGate) and all(_can_score(gate.metric, each) for each in models.values()):
            yield judge_slices(
                cut_slices(columns, config.evaluation.slices),
                truth,
                partial(_gain_on, gate.metric, models, truth, seed),
                metric=gate.metric,
                max_regression=gate.max_regression,
                min_rows=gate.min_rows,
            )


def _gain_on(
    metric: str, models: Mapping[str, Answers], truth: Truth, seed: int, rows: IntArray
) -> PairedGain:
    ours, theirs = (same_rows(models[who], rows) for who in (CHALLENGER, CHAMPION))
    if metric == "accuracy":
        return accuracy_gain(ours, theirs)
    formulas = {CHALLENGER: metric_formula(metric, ours), CHAMPION: metric_formula(metric, theirs)}
    resamples = min(SLICE_RESAMPLES, count_resamples(rows.size, max(1, len(truth.names) - 1)))
    draws = bootstrap(formulas, truth.codes[rows], resamples=resamples, seed=seed)
    values = {who: evaluate_once(formula, rows.size) for who, formula in formulas.items()}
    sign = METRICS[metric].sign
    return spread_gain(
        sign * (values[CHALLENGER] - values[CHAMPION]), sign * (draws[CHALLENGER] - draws[CHAMPION])
    )
