"""Owns the list of pipelines: each family of scikit-learn's, and the boosters, several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Build = Callable[[], Any]


class Entry(NamedTuple):
    """One pipeline of the list.

    Attributes:
        name: Unique.
        family: What it is counted under.
        task: ``binary``, ``three`` or ``regression``.
        build: Makes the estimator.
        before: How its columns are prepared; see ``prepare``.
        rows: How many rows it learns from, where all would take minutes.
    """

    name: str
    family: str
    task: str
    build: Build
    before: str = "one-hot"
    rows: int = 3_000


def prepare(before: str, numbers: list[str], texts: list[str]) -> Any:
    """The column transformer named *before*."""
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import (
        KBinsDiscretizer,
        MinMaxScaler,
        OneHotEncoder,
        OrdinalEncoder,
        RobustScaler,
        StandardScaler,
    )

    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    filled = SimpleImputer(strategy="median")
    ways: dict[str, tuple[Any, Any]] = {
        "one-hot": (make_pipeline(SimpleImputer(), StandardScaler()), one_hot),
        "one-hot, sparse": (
            make_pipeline(SimpleImputer(), StandardScaler()),
            OneHotEncoder(handle_unknown="ignore"),
        ),
        "one-hot, robust": (make_pipeline(filled, RobustScaler()), one_hot),
        "one-hot, 0 to 1": (make_pipeline(filled, MinMaxScaler(clip=True)), one_hot),
        "one-hot, unscaled": (filled, one_hot),
        "bins": (make_pipeline(filled, KBinsDiscretizer(encode="ordinal", subsample=None)), ordinal),
        "ordinal": (filled, ordinal),
        "ordinal, gaps": ("passthrough", ordinal),
        "ordinal, scaled": (make_pipeline(filled, StandardScaler()), ordinal),
        "indicator": (SimpleImputer(add_indicator=True), one_hot),
        "infrequent": (filled, OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20)),
    }
    first, second = ways[before]
    return ColumnTransformer([("numbers", first, numbers), ("categories", second, texts)])


def all_entries() -> list[Entry]:
    """The whole list."""
    found = [
        *_linear(),
        *_bayes(),
        *_trees(),
        *_boosting(),
        *_wrapped(),
        *_neighbours(),
        *_regressors(),
        *_tree_regressors(),
        *_odd(),
    ]
    assert len({entry.name for entry in found}) == len(found)
    return found


def _each(
    family: str, builds: dict[str, Build], tasks: tuple[str, ...], before: str, **more: Any
) -> Iterator[Entry]:
    for label, build in builds.items():
        for task in tasks:
            yield Entry(f"{label}, {task}, {before}", family, task, build, before, **more)


BINARY, BOTH, REGRESSION = ("binary",), ("binary", "three"), ("regression",)


def _linear() -> Iterator[Entry]:
    from sklearn import discriminant_analysis as da
    from sklearn import linear_model as lm
    from sklearn import svm
    from sklearn.neural_network import MLPClassifier

    logistic = {"LogisticRegression": lambda: lm.LogisticRegression(max_iter=500)}
    for before in ("one-hot", "one-hot, sparse", "one-hot, robust", "one-hot, 0 to 1"):
        yield from _each("linear classifiers", logistic, BOTH, before)
    rest: dict[str, Build] = {
        "LogisticRegressionCV": lambda: lm.LogisticRegressionCV(Cs=3, cv=3, max_iter=300),
        "SGD log": lambda: lm.SGDClassifier(loss="log_loss", random_state=0),
        "SGD hinge": lambda: lm.SGDClassifier(random_state=0),
        "Perceptron": lambda: lm.Perceptron(random_state=0),
        "PassiveAggressive-like SGD": lambda: lm.SGDClassifier(loss="squared_hinge", random_state=0),
        "RidgeClassifier": lm.RidgeClassifier,
        "LinearSVC": lambda: svm.LinearSVC(random_state=0),
    }
    yield from _each("linear classifiers", rest, BOTH, "one-hot")
    analysis: dict[str, Build] = {
        "LDA": da.LinearDiscriminantAnalysis,
        "QDA": lambda: da.QuadraticDiscriminantAnalysis(reg_param=0.1),
    }
    yield from _each("discriminant analysis", analysis, BOTH, "one-hot")
    yield from _each(
        "neural networks",
        {"MLP": lambda: MLPClassifier((16,), max_iter=60, random_state=0)},
        BOTH,
        "one-hot",
    )
    machines: dict[str, Build] = {"SVC": svm.SVC, "NuSVC": lambda: svm.NuSVC(nu=0.2)}
    yield from _each("support vectors", machines, BOTH, "one-hot", rows=1_000)
    yield from _each(
        "support vectors", {"SVC linear": lambda: svm.SVC(kernel="linear")}, BINARY, "one-hot", rows=1_000
    )


def _bayes() -> Iterator[Entry]:
    from sklearn import naive_bayes as nb

    yield from _each("naive Bayes", {"GaussianNB": nb.GaussianNB}, BOTH, "one-hot")
    others: dict[str, Build] = {
        "MultinomialNB": nb.MultinomialNB,
        "ComplementNB": nb.ComplementNB,
        "BernoulliNB": nb.BernoulliNB,
    }
    yield from _each("naive Bayes", others, BOTH, "one-hot, 0 to 1")


def _trees() -> Iterator[Entry]:
    from sklearn import ensemble as en
    from sklearn import tree

    forests: dict[str, Build] = {
        "DecisionTree": lambda: tree.DecisionTreeClassifier(max_depth=8, random_state=0),
        "RandomForest": lambda: en.RandomForestClassifier(30, max_leaf_nodes=200, random_state=0),
        "ExtraTrees": lambda: en.ExtraTreesClassifier(30, max_leaf_nodes=200, random_state=0),
    }
    for before in ("ordinal", "ordinal, gaps", "one-hot, unscaled"):
        yield from _each("trees and forests", forests, BOTH, before)
    yield from _each(
        "trees behind a scaler", {"RandomForest": forests["RandomForest"]}, BINARY, "ordinal, scaled"
    )
    more: dict[str, Build] = {
        "Bagging": lambda: en.BaggingClassifier(n_estimators=10, random_state=0),
        "AdaBoost": lambda: en.AdaBoostClassifier(n_estimators=20, random_state=0),
        "GradientBoosting": lambda: en.GradientBoostingClassifier(n_estimators=30, random_state=0),
    }
    yield from _each("trees and forests", more, BOTH, "ordinal")


def _boosting() -> Iterator[Entry]:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier as Hist
    from sklearn.ensemble import HistGradientBoostingRegressor as HistRegressor
    from xgboost import XGBClassifier, XGBRegressor

    hist: dict[str, Build] = {"HistGradientBoosting": lambda: Hist(max_iter=40, random_state=0)}
    for before in ("ordinal", "ordinal, gaps", "one-hot, unscaled"):
        yield from _each("HistGradientBoosting", hist, BOTH, before)
    for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile"):
        more: dict[str, Any] = {"quantile": 0.7} if loss == "quantile" else {}
        build = {
            f"HistGradientBoosting {loss}": lambda loss=loss, more=more: HistRegressor(
                loss=loss, max_iter=40, random_state=0, **more
            )
        }
        yield from _each("HistGradientBoosting", build, REGRESSION, "ordinal, gaps")
    light: dict[str, Build] = {"LightGBM": lambda: LGBMClassifier(n_estimators=40, verbose=-1, n_jobs=1)}
    extreme: dict[str, Build] = {"XGBoost": lambda: XGBClassifier(n_estimators=40, n_jobs=1)}
    for before in ("ordinal", "ordinal, gaps"):
        yield from _each("LightGBM", light, BOTH, before)
        yield from _each("XGBoost", extreme, BOTH, before)
    yield from _each(
        "LightGBM",
        {"LightGBM": lambda: LGBMRegressor(n_estimators=40, verbose=-1, n_jobs=1)},
        REGRESSION,
        "ordinal, gaps",
    )
    yield from _each(
        "XGBoost", {"XGBoost": lambda: XGBRegressor(n_estimators=40, n_jobs=1)}, REGRESSION, "ordinal, gaps"
    )


def _wrapped() -> Iterator[Entry]:
    from sklearn import ensemble as en
    from sklearn import model_selection as ms
    from sklearn import multiclass as mc
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import LinearSVC

    def logistic() -> Any:
        return LogisticRegression(max_iter=500)

    for method in ("sigmoid", "isotonic"):
        inner: dict[str, Build] = {
            f"Calibrated {method} LogisticRegression": lambda method=method: CalibratedClassifierCV(
                logistic(), method=method, cv=3
            ),
            f"Calibrated {method} LinearSVC": lambda method=method: CalibratedClassifierCV(
                LinearSVC(), method=method, cv=3
            ),
        }
        yield from _each("calibrated", inner, BOTH, "one-hot")
        hist: dict[str, Build] = {
            f"Calibrated {method} HistGradientBoosting": lambda method=method: CalibratedClassifierCV(
                en.HistGradientBoostingClassifier(max_iter=20, random_state=0), method=method, cv=3
            )
        }
        yield from _each("calibrated", hist, BINARY, "ordinal, gaps")
    wrappers: dict[str, Build] = {
        "OneVsRest": lambda: mc.OneVsRestClassifier(logistic()),
        "OneVsOne": lambda: mc.OneVsOneClassifier(logistic()),
        "Bagging LogisticRegression": lambda: en.BaggingClassifier(logistic(), 5, random_state=0),
        "GridSearch LogisticRegression": lambda: ms.GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=3),
        "Voting soft": lambda: en.VotingClassifier([("a", logistic()), ("b", GaussianNB())], voting="soft"),
        "Voting hard": lambda: en.VotingClassifier([("a", logistic()), ("b", GaussianNB())]),
        "Stacking": lambda: en.StackingClassifier([("a", logistic()), ("b", GaussianNB())], cv=3),
    }
    yield from _each("wrappers", wrappers, BOTH, "one-hot")
    thresholds: dict[str, Build] = {
        "TunedThreshold": lambda: ms.TunedThresholdClassifierCV(logistic(), cv=3),
        "FixedThreshold": lambda: ms.FixedThresholdClassifier(logistic(), threshold=0.3),
    }
    yield from _each("thresholds", thresholds, BINARY, "one-hot")


def _neighbours() -> Iterator[Entry]:
    from sklearn import gaussian_process as gp
    from sklearn import neighbors as ne

    near: dict[str, Build] = {
        "KNeighbors": ne.KNeighborsClassifier,
        "NearestCentroid": ne.NearestCentroid,
    }
    yield from _each("neighbours", near, BINARY, "one-hot")
    yield from _each("neighbours", {"KNeighbors": ne.KNeighborsRegressor}, REGRESSION, "one-hot")
    yield from _each(
        "Gaussian processes",
        {"GaussianProcess": gp.GaussianProcessClassifier},
        BINARY,
        "one-hot",
        rows=300,
    )
    yield from _each(
        "Gaussian processes",
        {"GaussianProcess": lambda: gp.GaussianProcessRegressor(alpha=1.0)},
        REGRESSION,
        "one-hot",
        rows=300,
    )


def _regressors() -> Iterator[Entry]:
    import numpy as np
    from sklearn import ensemble as en
    from sklearn import linear_model as lm
    from sklearn import svm
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    plain: dict[str, Build] = {
        "LinearRegression": lm.LinearRegression,
        "Ridge": lm.Ridge,
        "RidgeCV": lm.RidgeCV,
        "Lasso": lambda: lm.Lasso(alpha=0.01),
        "LassoCV": lambda: lm.LassoCV(cv=3),
        "ElasticNet": lambda: lm.ElasticNet(alpha=0.01),
        "BayesianRidge": lm.BayesianRidge,
        "ARD": lambda: lm.ARDRegression(max_iter=30),
        "Huber": lambda: lm.HuberRegressor(max_iter=500),
        "SGD": lambda: lm.SGDRegressor(random_state=0),
        "LassoLars": lambda: lm.LassoLars(alpha=0.001),
        "OMP": lm.OrthogonalMatchingPursuit,
        "RANSAC": lambda: lm.RANSACRegressor(random_state=0),
        "Quantile": lambda: lm.QuantileRegressor(alpha=0.01),
        "PLS": PLSRegression,
        "LinearSVR": lambda: svm.LinearSVR(random_state=0),
        "MLP": lambda: MLPRegressor(hidden_layer_sizes=(16,), max_iter=100, random_state=0),
        "Poisson": lambda: lm.PoissonRegressor(max_iter=300),
        "Gamma": lambda: lm.GammaRegressor(max_iter=300),
        "Tweedie": lambda: lm.TweedieRegressor(power=1.5, link="log", max_iter=300),
        "Log target": lambda: TransformedTargetRegressor(lm.Ridge(), func=np.log1p, inverse_func=np.expm1),
        "Scaled target": lambda: TransformedTargetRegressor(lm.Ridge(), transformer=StandardScaler()),
        "Voting": lambda: en.VotingRegressor([("a", lm.Ridge()), ("b", lm.LinearRegression())]),
        "Stacking": lambda: en.StackingRegressor([("a", lm.Ridge()), ("b", lm.LinearRegression())], cv=3),
    }
    yield from _each("linear regressors and wrappers", plain, REGRESSION, "one-hot")
    yield from _each(
        "support vectors",
        {"SVR": svm.SVR, "NuSVR": svm.NuSVR},
        REGRESSION,
        "one-hot",
        rows=1_000,
    )


def _tree_regressors() -> Iterator[Entry]:
    from sklearn import ensemble as en
    from sklearn import tree

    trees: dict[str, Build] = {
        "DecisionTree": lambda: tree.DecisionTreeRegressor(max_depth=8, random_state=0),
        "RandomForest": lambda: en.RandomForestRegressor(30, max_leaf_nodes=200, random_state=0),
        "ExtraTrees": lambda: en.ExtraTreesRegressor(30, max_leaf_nodes=200, random_state=0),
        "GradientBoosting": lambda: en.GradientBoostingRegressor(n_estimators=30, random_state=0),
        "AdaBoost": lambda: en.AdaBoostRegressor(n_estimators=10, random_state=0),
    }
    yield from _each("trees and forests", trees, REGRESSION, "ordinal")


def _odd() -> Iterator[Entry]:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    logistic: dict[str, Build] = {"LogisticRegression": lambda: LogisticRegression(max_iter=500)}
    yield from _each("odd preparations", logistic, BINARY, "indicator")
    yield from _each("odd preparations", logistic, BINARY, "infrequent")
    yield from _each("odd preparations", logistic, BINARY, "bins")
    yield from _each("others", {"Dummy": DummyClassifier}, BINARY, "one-hot")
