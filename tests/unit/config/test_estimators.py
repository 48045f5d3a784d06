"""Which classes may learn, and with which parameters."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from evertrain.config.estimators import (
    describe_class,
    describe_estimator,
    find_estimator,
    parameter_faults,
    resolve_estimator,
)
from evertrain.errors import ConfigError
from evertrain.settings import read_settings

SETTINGS = read_settings({})
PACKAGE = """
from sklearn.base import BaseEstimator
from sklearn.tree import DecisionTreeClassifier


class Open(BaseEstimator):
    def __init__(self, a=1, **others): pass
    def fit(self, X, y, **options): return self
    def predict(self, X): return X


class Picky(BaseEstimator):
    def __init__(self, a=1):
        if a != 1:
            raise ValueError("a must be 1")
    def fit(self, X, y): return self
    def predict(self, X): return X


def function(): pass
"""


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two importable packages of someone's own, one of which fails when it is imported."""
    texts = {
        "ownlearners": PACKAGE,
        "brokenlearners": "raise OSError('libgomp.so.1: no such file')",
        "needylearners": "import no_such_dependency",
        "emptylearners": "",
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in texts:
        sys.modules.pop(name, None)


def line_of(path: str, packages: str = "sklearn,lightgbm,xgboost") -> str:
    kind, (fault,) = find_estimator(path, read_settings({"EVERTRAIN_ALLOWED_PACKAGES": packages}))

    assert kind is None
    return fault.line


def test_a_public_class_of_an_allowed_package_is_found():
    """With parameters that it takes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    path = "sklearn.ensemble.HistGradientBoostingClassifier"

    assert (
        resolve_estimator(path, {"max_iter": 5, "max_depth": None}, SETTINGS)
        is HistGradientBoostingClassifier
    )


def test_all_that_is_wrong_is_raised_as_a_configuration_error():
    """Exit 2."""
    with pytest.raises(ConfigError) as caught:
        resolve_estimator(
            "sklearn.tree.DecisionTreeClassifier", {"max_dept": 1, "max_leaf_nodes": 0}, SETTINGS
        )

    assert [fault["path"] for fault in caught.value.attributes["faults"]] == [
        *("training.params.max_dept", "training.params.max_leaf_nodes")
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "os.path.join",
            "expected a public class of sklearn, lightgbm, xgboost (EVERTRAIN_ALLOWED_PACKAGES)",
        ),
        ("sklearnx.tree.Tree", "expected a public class of"),
        ("sklearn.tree._classes.DecisionTreeClassifier", "expected a public class of"),
        ("sklearn.ensemble._forest.RandomForestClassifier", "expected a public class of"),
        (
            "sklearn.ensemble.RandomForestClasifier",
            "no such class; expected sklearn.ensemble.RandomForestClassifier",
        ),
        ("sklearn.linear_model.RandomForestClassifier", "expected sklearn.ensemble.RandomForestClassifier"),
        (
            "sklearn.ensembel.RandomForestClassifier",
            "no such module; expected sklearn.ensemble.RandomForestClassifier",
        ),
        ("sklearn.qqqqqqq.Wwwwwww", "expected a class such as sklearn."),
        ("sklearn.utils.all_estimators", "no such class"),
        ("sklearn.preprocessing.StandardScaler", "is no estimator; expected a class with fit and predict"),
        ("sklearn.base.BaseEstimator", "is no estimator"),
        ("sklearn.utils.Bunch", "is no estimator"),
    ],
)
def test_another_path_is_refused(path, words):
    """With what was meant, or what is allowed."""
    assert words in line_of(path)


def test_nothing_outside_the_allowed_packages_is_imported(packages):
    """A module's code runs when it is imported: the list is looked at first."""
    line_of("ownlearners.Open")

    assert "ownlearners" not in sys.modules


def test_a_package_may_be_allowed_and_brings_its_own_classes_only(packages):
    """What it merely imported belongs to another package."""
    settings = read_settings({"EVERTRAIN_ALLOWED_PACKAGES": "ownlearners"})

    assert resolve_estimator("ownlearners.Open", {"a": 2, "whatever": 3}, settings).__name__ == "Open"
    assert "comes from sklearn.tree._classes" in line_of("ownlearners.DecisionTreeClassifier", "ownlearners")
    assert "expected ownlearners.Open" in line_of("ownlearners.Opne", "ownlearners")
    assert "no such class" in line_of("ownlearners.function", "ownlearners")
    assert "no such module" in line_of("ownlearners.inner.Open", "ownlearners")


def test_a_package_that_fails_to_import_says_why(packages):
    """The vendor's own words."""
    needy = line_of("needylearners.X", "needylearners")

    assert "can't be imported (ModuleNotFoundError: No module named 'no_such_dependency')" in needy
    assert "expected a class that exists" in line_of("emptylearners.X", "emptylearners")
    assert "can't be imported (OSError: libgomp.so.1: no such file)" in line_of(
        "brokenlearners.X", "brokenlearners"
    )


def test_a_constructor_that_refuses_a_value_is_a_fault(packages):
    """Also where the class has no constraints to ask."""
    from ownlearners import Picky

    (fault,) = parameter_faults(Picky, {"a": 2})

    assert fault.line == "training.params.a: 2; expected a must be 1"


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("lightgbm.LGBMClassifier", "pip install 'evertrain[lightgbm]'"),
        ("xgboost.XGBRegressor", "pip install 'evertrain[xgboost]'"),
        ("nosuchpackage.Learner", "pip install nosuchpackage"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_what_brings_it(monkeypatch, path, advice):
    """An extra of evertrain's where there is one."""
    top = path.partition(".")[0]

    class Absent:
        def find_spec(self, name, *_):
            if name == top:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, top, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])

    line = line_of(path, f"sklearn,{top}")

    assert f"{top} is not installed; expected {top} to be installed: {advice}" in line


@pytest.mark.parametrize(
    ("path", "trait"),
    [("lightgbm.LGBMClassifier", "classifier"), ("xgboost.XGBRegressor", "regressor")],
)
def test_boosters_are_asked_themselves(path, trait):
    """They aren't in the table, and take parameters that they don't name."""
    pytest.importorskip(path.partition(".")[0], reason="the extra of this booster isn't installed")

    facts, faults = describe_estimator(path, {"n_estimators": 5, "max_depth": 3}, SETTINGS)

    assert not faults
    assert trait in facts.traits
    assert (facts.takes.open_ended, facts.parameters["n_estimators"]) == (True, 5)


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("lightgbm.LGBMClassifier", "n_estimator", "n_estimators"),
        ("xgboost.XGBRegressor", "learnin_rate", "learning_rate"),
        ("lightgbm.LGBMClassifier", "num_leaf", None),
        ("lightgbm.LGBMClassifier", "colsample_bynode", None),
        ("xgboost.XGBRegressor", "eta", None),
    ],
)
def test_a_misspelled_parameter_of_a_booster_is_refused(path, name, meant):
    """Boosters take any name and pass over those they don't know; their other names are let through."""
    pytest.importorskip(path.partition(".")[0], reason="the extra of this booster isn't installed")
    kind, _ = find_estimator(path, SETTINGS)

    faults = parameter_faults(kind, {name: 0.5})

    assert [fault.path for fault in faults] == ([f"training.params.{name}"] if meant else [])
    assert all(f"(did you mean {meant}?)" in fault.line for fault in faults)


def test_a_wrapper_without_an_estimator_is_no_fault_of_its_other_parameters():
    """Scikit-learn's own default doesn't pass its own check there."""
    kind, _ = find_estimator("sklearn.semi_supervised.SelfTrainingClassifier", SETTINGS)

    assert parameter_faults(kind, {"threshold": 0.5}) == []
    assert [fault.path for fault in parameter_faults(kind, {"threshold": 2})] == ["training.params.threshold"]


@pytest.mark.parametrize(
    ("path", "params", "lines"),
    [
        ("sklearn.linear_model.LogisticRegression", {"C": 2, "max_iter": 50}, []),
        ("sklearn.neural_network.MLPClassifier", {"hidden_layer_sizes": [5, 5]}, []),
        (
            "sklearn.linear_model.LogisticRegression",
            {"C": "x", "solver": "lbfsg", "maxiter": 1},
            [
                "training.params.maxiter: LogisticRegression has no such parameter; expected one of",
                'training.params.C: "x"; expected a float in the range (0.0, inf]',
                'training.params.solver: "lbfsg"; expected a str among',
            ],
        ),
        (
            "sklearn.ensemble.VotingClassifier",
            {},
            ["training.estimator: VotingClassifier needs estimators, which are estimators or other objects"],
        ),
        (
            "sklearn.ensemble.VotingClassifier",
            {"estimators": 5, "weights": "x"},
            ["training.params.estimators: 5; expected", 'training.params.weights: "x"; expected'],
        ),
    ],
)
def test_parameters_are_held_against_the_estimators_own_constraints(path, params, lines):
    """Each wrong one is told."""
    kind, _ = find_estimator(path, SETTINGS)
    assert kind is not None

    found = [fault.line for fault in parameter_faults(kind, params)]

    assert len(found) == len(lines)
    assert all(line in fault for line, fault in zip(lines, found, strict=True))


@pytest.mark.parametrize(
    ("path", "takes"),
    [("sklearn.tree.DecisionTreeClassifier", True), ("sklearn.neighbors.KNeighborsClassifier", False)],
)
def test_whether_weights_are_taken_is_seen_in_fit(path, takes):
    """No fitting is needed to know."""
    kind: Any = find_estimator(path, SETTINGS)[0]

    assert describe_class(kind).weights is takes
