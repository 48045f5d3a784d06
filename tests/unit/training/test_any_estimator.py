from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.utils import all_estimators

from evertrain.bundles import open_model
from evertrain.columns import InputSpec, encode_inputs, input_names
from evertrain.config import TrainingConfig
from evertrain.errors import TrainingError
from evertrain.native import as_frame, dump_native, load_native
from evertrain.packaging import pack_model
from evertrain.packaging.conversion import Conversion, convert_apart, to_onnx
from evertrain.packaging.parity import tolerance_for
from evertrain.predictions import Prediction, compare_predictions
from evertrain.records import Feature, Signature, Task
from evertrain.training.fitting import fit_pipeline
from evertrain.training.rows import TrainingRows

ROWS = 300
LEARNT = 220
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="amount", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
    Feature(name="flag", kind="numeric", type="boolean"),
)
KINDS: tuple[tuple[Task, str], ...] = (
    ("binary_classification", "classifier"),
    ("multiclass_classification", "classifier"),
    ("regression", "regressor"),
)
# What can't learn from this table, and the vendor's word for why.
REFUSED = {
    "CCA": "n_components",
    "IsotonicRegression": "1 feature",
    "MultiTaskElasticNet": "mono-task",
    "MultiTaskElasticNetCV": "mono-task",
    "MultiTaskLasso": "mono-task",
    "MultiTaskLassoCV": "mono-task",
    "PLSCanonical": "n_components",
    "QuadraticDiscriminantAnalysis": "reg_param",
    "RadiusNeighborsClassifier": "No neighbors",
    "RadiusNeighborsRegressor": "aren't finite",
    "SelfTrainingClassifier": "NoneType",
}
QUICK = (
    ("binary_classification", "LogisticRegression", "onnx"),
    ("binary_classification", "RandomForestClassifier", "onnx"),
    ("binary_classification", "GaussianNB", "onnx"),
    ("binary_classification", "LinearSVC", "onnx"),
    ("binary_classification", "SVC", "native"),
    ("binary_classification", "KNeighborsClassifier", "native"),
    ("binary_classification", "LinearDiscriminantAnalysis", "onnx"),
    ("multiclass_classification", "DecisionTreeClassifier", "onnx"),
    ("multiclass_classification", "SGDClassifier", "onnx"),
    ("multiclass_classification", "ComplementNB", "onnx"),
    ("regression", "Ridge", "onnx"),
    ("regression", "GradientBoostingRegressor", "onnx"),
    ("regression", "HistGradientBoostingRegressor", "onnx"),
    ("regression", "DummyRegressor", "native"),
)


def table() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A small table with missing numbers and texts, and a target for each task."""
    rng = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {
        "x": rng.normal(size=ROWS),
        "amount": rng.gamma(2, 100, size=ROWS),
        "c": rng.choice(np.array(["a", "b", "c", None], dtype=object), ROWS),
        "flag": rng.random(ROWS) < 0.5,
    }
    score = columns["x"] + columns["amount"] / 500 + (columns["c"] == "a") + rng.normal(size=ROWS) / 3
    columns["x"][::20] = np.nan
    targets = {
        "binary_classification": (score > np.median(score)).astype(np.int64),
        "multiclass_classification": np.digitize(score, np.quantile(score, [0.3, 0.7])).astype(np.int64),
        "regression": np.exp(score / 2),
    }
    return encode_inputs(FEATURES, columns), targets


def convert_here(data: bytes, specs: Sequence[InputSpec]) -> Conversion:
    """Convert without a child process."""
    try:
        return Conversion(to_onnx(load_native(data), specs))
    except Exception as cause:
        return Conversion(None, str(cause))


def find(name: str) -> type[Any]:
    """Find a class of scikit-learn by its name."""
    return next(kind for found, kind in all_estimators() if found == name)


def default_estimators(kind: str) -> list[str]:
    """Name every classifier or regressor that can be made without arguments."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, estimator in all_estimators(type_filter=kind):
            try:
                estimator()
            except TypeError:
                continue
            found.append(name)
    return found


def serve(task: Task, name: str, convert: Callable[[bytes, Sequence[InputSpec]], Conversion]) -> str:
    """Train, pack and load an estimator; check that it answers as scikit-learn does; return its runtime."""
    inputs, targets = table()
    target = targets[task]
    rows = TrainingRows(
        inputs={name: values[:LEARNT] for name, values in inputs.items()},
        specs=input_names(FEATURES),
        target=target[:LEARNT],
        is_classification=task != "regression",
        weights=None,
        newest=np.zeros(LEARNT, dtype=bool),
    )
    pipeline = fit_pipeline(find(name), TrainingConfig(estimator=f"sklearn.{name}"), rows)
    signature = Signature(
        task=task,
        target="y",
        features=FEATURES,
        classes=tuple(range(int(target.max()) + 1)) if rows.is_classification else None,
        has_probabilities=hasattr(pipeline, "predict_proba"),
    )
    held_out = {name: values[LEARNT:] for name, values in inputs.items()}
    data, tolerance = dump_native(pipeline), tolerance_for(signature)
    packed = pack_model(pipeline, data, signature, held_out, tolerance, convert)
    found = open_model(packed.runtime, packed.data, signature)(held_out)
    difference = compare_predictions(answer(pipeline, signature, held_out), found, tolerance)
    assert difference.labels_different == 0
    assert difference.largest <= tolerance
    return packed.runtime


def answer(pipeline: Any, signature: Signature, inputs: dict[str, np.ndarray]) -> Prediction:
    """What scikit-learn itself says, by its public methods."""
    answers = np.asarray(pipeline.predict(as_frame(inputs))).reshape(-1)
    if signature.classes is None:
        return Prediction(values=answers)
    probabilities = pipeline.predict_proba(as_frame(inputs)) if signature.has_probabilities else None
    return Prediction(codes=answers, probabilities=probabilities)


@pytest.mark.parametrize(("task", "name", "runtime"), QUICK)
def test_usual_estimators_answer_as_scikit_learn(task: Task, name: str, runtime: str) -> None:
    """Each of the usual estimators is packed for the runtime that is right for it and answers alike."""
    assert serve(task, name, convert_here) == runtime


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("task", "kind"), KINDS)
def test_every_estimator_answers_alike_or_says_why_not(task: Task, kind: str) -> None:
    """Every estimator of scikit-learn is packed and answers alike, or is refused in the vendor's words."""
    names = default_estimators(kind)
    assert len(names) > 30
    for name in names:
        if name in REFUSED:
            with pytest.raises(TrainingError, match=REFUSED[name]):
                serve(task, name, convert_apart)
        else:
            assert serve(task, name, convert_apart) in ("onnx", "native"), name
