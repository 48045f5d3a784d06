"""Owns what stands between the column layer's inputs and an estimator, chosen by the estimator's nature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evertrain.columns import InputSpec

TREES = (
    "sklearn.tree.",
    "sklearn.ensemble.",
    "lightgbm.",
    "xgboost.",
)
NATIVE_MISSING = ("sklearn.ensemble._hist_gradient_boosting.", "lightgbm.", "xgboost.")


def build_preprocessor(estimator: Any, inputs: Sequence[InputSpec]) -> Any:
    """Build the column transformer that turns model inputs into the matrix *estimator* learns from.

    Trees get categories as numbers and numbers as they are (no arithmetic before a split); all others get
    scaled numbers (binned ones where the estimator takes categories alone) and one column a category.

    Args:
        estimator: Not fitted.
        inputs: The column layer's inputs, at least one.

    Returns:
        A ColumnTransformer, not fitted.
    """
    from sklearn.compose import ColumnTransformer

    numbers = [spec.name for spec in inputs if spec.kind == "float"]
    texts = [spec.name for spec in inputs if spec.kind == "string"]
    parts = [("numbers", _numbers(estimator), numbers), ("categories", _categories(estimator), texts)]
    return ColumnTransformer([part for part in parts if part[2]])


def is_tree_based(estimator: Any) -> bool:
    """Whether *estimator* splits on thresholds: trees, forests, boosting and what derives from them."""
    return _comes_from(estimator, TREES)


def _numbers(estimator: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, StandardScaler
    from sklearn.utils import get_tags

    tags = get_tags(estimator).input_tags
    if is_tree_based(estimator):
        if tags.allow_nan and _comes_from(estimator, NATIVE_MISSING):
            return "passthrough"
        return SimpleImputer(strategy="median", keep_empty_features=True)
    filled = SimpleImputer(strategy="mean", keep_empty_features=True)
    if tags.categorical:
        # Such an estimator takes each whole number for a category; fractions would all become 0.
        return make_pipeline(filled, KBinsDiscretizer(encode="ordinal", strategy="quantile", subsample=None))
    # clip: a later row may lie below all training rows, and such an estimator takes no negative number.
    scaler = MinMaxScaler(clip=True) if tags.positive_only else StandardScaler()
    return make_pipeline(filled, scaler)


def _categories(estimator: Any) -> Any:
    import numpy as np
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
    from sklearn.utils import get_tags

    if is_tree_based(estimator):
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32)
    return OneHotEncoder(handle_unknown="ignore", sparse_output=get_tags(estimator).input_tags.sparse)


def _comes_from(estimator: Any, modules: tuple[str, ...]) -> bool:
    return any(f"{kind.__module__}.".startswith(modules) for kind in type(estimator).__mro__)
