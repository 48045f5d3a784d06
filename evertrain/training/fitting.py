"""Owns one fit: from model inputs and a target to a fitted scikit-learn pipeline, and why it may fail."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evertrain.config import TrainingConfig
from evertrain.errors import TrainingError
from evertrain.native import as_frame
from evertrain.training.preprocessing import build_preprocessor
from evertrain.training.rows import TrainingRows
from evertrain.training.threads import threads_for

TRIAL_ROWS = 1000

logger = logging.getLogger("evertrain.training")


def fit_pipeline(
    kind: type[Any], config: TrainingConfig, rows: TrainingRows, *, tell_warnings: bool = True
) -> Any:
    """Fit an estimator behind its preprocessing.

    Args:
        kind: The estimator's class.
        config: Its parameters, the seed, class weights and calibration.
        rows: What it learns from; not modified.
        tell_warnings: Whether the log gets what the estimator warns of.

    Returns:
        A fitted Pipeline of two steps, ``inputs`` and ``model``, that answers the rows' first thousand.

    Raises:
        TrainingError: The estimator can't be fitted on these rows or can't answer them; the message names it.
    """
    from sklearn.pipeline import Pipeline

    with told(config.estimator, tell_warnings=tell_warnings), threads_for(*rows.shape):
        estimator = make_estimator(kind, config)
        weights = _weigh(estimator, config, rows)
        learnt = ~rows.newest if config.calibration != "none" else np.ones(len(rows.target), dtype=bool)
        _check_classes(config, rows, learnt)
        frame = as_frame(rows.inputs)
        preprocessor = build_preprocessor(estimator, rows.specs)
        matrix = preprocessor.fit_transform(frame[learnt])
        _fit(estimator, matrix, rows.target[learnt], None if weights is None else weights[learnt])
        if config.calibration != "none":
            held = preprocessor.transform(frame[~learnt])
            estimator = _calibrate(estimator, config.calibration, held, rows)
        pipeline = Pipeline([("inputs", preprocessor), ("model", estimator)])
        _try_out(pipeline, frame[:TRIAL_ROWS], config)
    return pipeline


def make_estimator(kind: type[Any], config: TrainingConfig) -> Any:
    """Make the estimator of *config*; where it has a ``random_state`` and none is set, that is the seed."""
    parameters = dict(config.params)
    if _is_chatty(kind) and not parameters.keys() & {"verbose", "verbosity"}:
        parameters["verbosity"] = -1
    estimator = kind(**parameters)
    if "random_state" in estimator.get_params(deep=False) and "random_state" not in parameters:
        estimator.set_params(random_state=config.seed)
    if config.class_weight == "balanced" and not _takes_weights(estimator) and _has_class_weight(estimator):
        estimator.set_params(class_weight="balanced")
    return estimator


def _is_chatty(kind: type[Any]) -> bool:
    """Whether it prints on standard output unless told otherwise: LightGBM, a line a tree."""
    return kind.__module__.partition(".")[0] == "lightgbm"


def _weigh(estimator: Any, config: TrainingConfig, rows: TrainingRows) -> np.ndarray | None:
    balanced = config.class_weight == "balanced"
    if _takes_weights(estimator):
        return _balance(rows) if balanced else rows.weights
    if rows.weights is not None:
        raise TrainingError(
            f"{config.estimator} takes no sample weights; remove data.weight or choose another estimator.",
            path="data.weight",
        )
    if balanced and not _has_class_weight(estimator):
        raise TrainingError(
            f"{config.estimator} takes neither sample weights nor class weights; set training.class_weight "
            "to none or choose another estimator.",
            path="training.class_weight",
        )
    return None


def _balance(rows: TrainingRows) -> np.ndarray:
    weights = np.ones(len(rows.target)) if rows.weights is None else rows.weights
    totals = np.bincount(rows.target, weights=weights)
    shares = np.divide(totals.sum(), len(totals) * totals, out=np.zeros_like(totals), where=totals > 0)
    return np.asarray(weights * shares[rows.target])


def _takes_weights(estimator: Any) -> bool:
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "sample_weight"))


def _has_class_weight(estimator: Any) -> bool:
    return "class_weight" in estimator.get_params(deep=False)


def _check_classes(config: TrainingConfig, rows: TrainingRows, learnt: np.ndarray) -> None:
    if not rows.is_classification or learnt.all():
        return
    classes = np.unique(rows.target)
    for part, words in ((learnt, "oldest four fifths"), (~learnt, "newest fifth")):
        if len(np.unique(rows.target[part])) < len(classes):
            raise TrainingError(
                f"A class doesn't occur among the {words} of the training rows, so training.calibration "
                f"{config.calibration!r} can't be fitted; set it to none or train on more rows.",
                path="training.calibration",
            )


def _fit(estimator: Any, matrix: Any, target: np.ndarray, weights: np.ndarray | None) -> None:
    if weights is None:
        estimator.fit(matrix, target)
    else:
        estimator.fit(matrix, target, sample_weight=weights)


def _calibrate(estimator: Any, method: str, matrix: Any, rows: TrainingRows) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    # It warns that the weights don't reach the estimator; that has learnt with them already.
    warnings.filterwarnings("ignore", "Since FrozenEstimator", UserWarning)
    calibrated = CalibratedClassifierCV(FrozenEstimator(estimator), method=method)
    # Balanced classes are for learning alone: probabilities are put right by the rows as they came.
    weights = None if rows.weights is None else rows.weights[rows.newest]
    _fit(calibrated, matrix, rows.target[rows.newest], weights)
    # Frozen only so that it isn't fitted again: the wrapper has no converter to ONNX.
    calibrated.estimator = estimator
    for each in calibrated.calibrated_classifiers_:
        each.estimator = estimator
    return calibrated


def _try_out(pipeline: Any, frame: Any, config: TrainingConfig) -> None:
    answers = [pipeline.predict(frame)]
    if hasattr(pipeline, "predict_proba"):
        answers.append(pipeline.predict_proba(frame))
    if not all(np.isfinite(np.asarray(each, dtype=np.float64)).all() for each in answers):
        raise TrainingError(
            f"{config.estimator} was fitted, but predicts numbers that aren't finite; look at the scale of "
            "the target and at training.params."
        )


@contextmanager
def told(estimator: str, *, tell_warnings: bool) -> Iterator[None]:
    """Turn whatever *estimator* raises into a TrainingError, and its warnings into one log line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except TrainingError:
            raise
        except Exception as cause:
            line = next(iter(str(cause).strip().splitlines()), "")
            raise TrainingError(f"{estimator} failed to fit: {type(cause).__name__}: {line[:500]}") from cause
    for text in dict.fromkeys(
        f"{each.category.__name__}: {each.message}" for each in caught if tell_warnings
    ):
        logger.warning("%s: %s", estimator, " ".join(text.split())[:500])
