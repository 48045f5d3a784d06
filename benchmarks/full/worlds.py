"""Owns made-up models whose true merit is known, and what the product's own gates say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from evertrain.bundles import Bundle
from evertrain.config import PipelineConfig
from evertrain.evaluation import evaluate, judge
from evertrain.predictions import Prediction
from evertrain.records import Evaluation, Feature, GateEvidence, GateResult, Signature

BOTH = (False, True)


class Oracle:
    """Answers by one column: the log odds of True or, of a regression, the value."""

    def __init__(self, column: str, *, regression: bool = False) -> None:
        self.column = column
        self.signature = Signature(
            task="regression" if regression else "binary_classification",
            target="y",
            features=(Feature(name=column, kind="numeric", type="float"),),
            classes=None if regression else BOTH,
            has_probabilities=not regression,
        )

    def predict(self, columns: Mapping[str, np.ndarray]) -> Prediction:
        """Answer rows."""
        score = columns[self.column]
        if self.signature.classes is None:
            return Prediction(values=score)
        positive = 1 / (1 + np.exp(-score))
        return Prediction(
            codes=(score > 0).astype(np.int64), probabilities=np.column_stack([1 - positive, positive])
        )


def make_config(metrics: list[str], gates: list[dict[str, Any]]) -> PipelineConfig:
    """Configure a pipeline that measures *metrics* and has *gates*."""
    regression = metrics[0] == "mean_absolute_error"
    return PipelineConfig.model_validate(
        {
            "name": "proof",
            "data": {"source": {"type": "files", "uri": "none.csv"}, "target": "y"},
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {
                "task": "regression" if regression else "binary_classification",
                "metrics": metrics,
                "gates": gates,
            },
        }
    )


def challenge(
    config: PipelineConfig,
    ours: np.ndarray,
    theirs: np.ndarray | None,
    target: np.ndarray,
    *,
    seed: int,
    look: int | None = None,
) -> tuple[Evaluation, tuple[GateResult, ...]]:
    """Let a challenger that answers *ours* meet a champion that answers *theirs*, each of shape [n]."""
    regression = config.evaluation.task == "regression"
    columns = {"ours": ours} | ({} if theirs is None else {"theirs": theirs})
    # What is asked of a bundle is its signature and its answers.
    challenger, champion = (cast(Bundle, Oracle(name, regression=regression)) for name in ("ours", "theirs"))
    found = evaluate(
        config,
        challenger,
        None if theirs is None else (1, champion),
        columns,
        target,
        None if regression else BOTH,
        seed=seed,
        look=look,
    )
    return found, judge(config, GateEvidence(evaluation=found, signature=challenger.signature))
