"""Owns models that are converted as others which answer the same, and which skl2onnx gets right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def stand_in(pipeline: Any) -> Any:
    """The pipeline that is converted for *pipeline*; its estimator answers alike."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import Pipeline

    model = pipeline[-1]
    if isinstance(model, LinearDiscriminantAnalysis) and len(model.classes_) == 2:
        return Pipeline([*pipeline.steps[:-1], (pipeline.steps[-1][0], _as_logistic(model))])
    return pipeline


def _as_logistic(model: Any) -> Any:
    """Two classes told apart by a line: the sigmoid of its score, where skl2onnx takes it twice as steep."""
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression()
    logistic.classes_ = model.classes_
    logistic.coef_, logistic.intercept_ = model.coef_, model.intercept_
    logistic.n_features_in_ = model.n_features_in_
    return logistic


@contextmanager
def unflattened_votes(pipeline: Any) -> Iterator[None]:
    """While the block runs, a vote's members are kept apart, as skl2onnx wants it; answers don't differ."""
    model = pipeline[-1]
    if not hasattr(model, "flatten_transform"):
        yield
        return
    before, model.flatten_transform = model.flatten_transform, False
    try:
        yield
    finally:
        model.flatten_transform = before
