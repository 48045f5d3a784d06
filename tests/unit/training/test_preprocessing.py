from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import CategoricalNB, GaussianNB, MultinomialNB
from sklearn.tree import DecisionTreeRegressor

from evertrain.columns import InputSpec
from evertrain.training.preprocessing import build_preprocessor, is_tree_based

SPECS = (InputSpec("in_000", "float"), InputSpec("in_001", "string"))


class OwnForest(RandomForestClassifier):
    pass


def frame(numbers: list[float], texts: list[str]) -> pd.DataFrame:
    columns = {"in_000": np.array(numbers, dtype=np.float32), "in_001": np.array(texts, dtype=object)}
    return pd.DataFrame(columns)


def transform(estimator: Any, later: pd.DataFrame) -> np.ndarray:
    learnt = frame([1.0, 2.0, 9.0, np.nan], ["b", "a", "b", "c"])
    preprocessor = build_preprocessor(estimator, SPECS).fit(learnt)
    matrix = preprocessor.transform(later)
    return np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(), OwnForest(), DecisionTreeRegressor()])
def test_trees_get_medians_and_codes_without_a_scaler(estimator: Any) -> None:
    """Numbers reach a tree as they are, missing ones as the median; categories as codes, unseen as -1."""
    assert transform(estimator, frame([7.0, np.nan], ["c", "new"])).tolist() == [[7.0, 2.0], [2.0, -1.0]]


def test_boosting_with_bins_gets_missing_numbers_as_they_are() -> None:
    """An estimator that has its own way with missing numbers is left to it."""
    matrix = transform(HistGradientBoostingClassifier(), frame([7.0, np.nan], ["a", "b"]))
    assert matrix[0].tolist() == [7.0, 0.0]
    assert np.isnan(matrix[1, 0])


def test_others_get_scaled_numbers_and_a_column_a_category() -> None:
    """A linear model gets the mean as 0 and unseen categories as all zeros."""
    matrix = transform(LogisticRegression(), frame([4.0, np.nan], ["b", "new"]))
    assert matrix.tolist() == [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_an_estimator_of_positive_numbers_never_gets_a_negative_one() -> None:
    """What lies below all training rows is clipped to 0 for an estimator that takes no negative number."""
    assert transform(MultinomialNB(), frame([-50.0], ["a"])).min() == 0.0


@pytest.mark.filterwarnings("ignore:Bins whose width are too small")
def test_an_estimator_of_categories_gets_binned_numbers() -> None:
    """Numbers reach an estimator that takes categories alone as whole numbers of bins it has seen."""
    matrix = transform(CategoricalNB(), frame([-50.0, 2.0, 50.0], ["a", "b", "new"]))
    assert matrix[:, 0].tolist() == sorted(matrix[:, 0].astype(int).tolist())
    assert matrix[:, 0].min() == 0
    assert matrix[-1, 1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("estimator", "sparse"), [(LogisticRegression(), True), (GaussianNB(), False)])
def test_categories_are_sparse_only_where_that_is_taken(estimator: Any, sparse: bool) -> None:
    """Sparse columns are made for the estimators whose tags allow them."""
    texts = [f"category {number}" for number in range(50)]
    learnt = frame([float(number) for number in range(50)], texts)
    assert hasattr(build_preprocessor(estimator, SPECS).fit_transform(learnt), "todense") is sparse


@pytest.mark.parametrize("spec", SPECS)
def test_one_kind_of_input_is_enough(spec: InputSpec) -> None:
    """A table of numbers alone, or of categories alone, is preprocessed too."""
    preprocessor = build_preprocessor(LogisticRegression(), [spec])
    assert len(preprocessor.fit(frame([1.0, 2.0], ["a", "b"])).transformers_[0][2]) == 1


def test_a_column_without_any_number_is_kept() -> None:
    """A number that is missing in every training row becomes 0, so that later rows can still be answered."""
    numbers = frame([np.nan, np.nan], ["a", "b"])
    assert build_preprocessor(RandomForestClassifier(), SPECS).fit_transform(numbers)[:, 0].tolist() == [0, 0]


def test_tree_based_is_told_by_descent() -> None:
    """A class of another package that derives from a forest is tree-based; a linear model isn't."""
    assert is_tree_based(OwnForest())
    assert not is_tree_based(LogisticRegression())
