from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import zipfile
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from evertrain.errors import BundleRefused, ModelFailed
from evertrain.native import CHUNK_ROWS, dump_native, load_native, native_runner, open_native
from evertrain.records import Signature

BINARY = Signature(
    task="binary_classification", target="y", features=(), classes=("No", "Yes"), has_probabilities=True
)
REGRESSION = Signature(task="regression", target="y", features=())

FOREST = """
import hashlib
import numpy as np
from sklearn.cluster import Birch
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from evertrain.native import dump_native
X = np.random.default_rng(0).normal(size=(80, 3))
model = RandomForestClassifier(5, random_state=0).fit(X, X[:, 0] > 0)
model.note = ["plain", "plain", b"bytes"]
print(hashlib.sha256(dump_native(Pipeline([("model", model)]))).hexdigest())
"""


def inputs(rows: int) -> dict[str, np.ndarray]:
    return {"in_000": np.linspace(-1, 1, rows).astype(np.float32)}


def fit(model: Any, target: np.ndarray) -> Pipeline:
    matrix = inputs(len(target))["in_000"].reshape(-1, 1)
    return Pipeline([("inputs", StandardScaler()), ("model", model)]).fit(matrix, target)


def classifier() -> Pipeline:
    return fit(LogisticRegression(), np.array([0, 1] * 10))


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_model_answers_alike_after_writing_and_reading() -> None:
    """What is read from the bytes answers exactly as what was written."""
    pipeline = fit(RandomForestClassifier(5, random_state=0), np.array([0, 1] * 10))
    written, read = native_runner(pipeline, BINARY), open_native(dump_native(pipeline), BINARY)
    assert np.array_equal(written(inputs(7)).probabilities, read(inputs(7)).probabilities)
    assert read(inputs(7)).codes.dtype == np.int64


def test_the_same_model_gives_the_same_bytes_in_every_process() -> None:
    """Neither memory addresses nor the time nor leftovers of memory reach the bytes."""
    other = subprocess.run([sys.executable, "-c", FOREST], capture_output=True, text=True, check=True).stdout
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(FOREST, {})
    assert here.getvalue() == other != ""


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_many_rows_are_answered_as_one_by_one() -> None:
    """Rows beyond one chunk are answered too, in order."""
    run = native_runner(fit(LinearRegression(), np.arange(20.0)), REGRESSION)
    rows = inputs(CHUNK_ROWS + 3)
    whole, last = run(rows), run({"in_000": rows["in_000"][-1:]})
    assert len(whole.values) == CHUNK_ROWS + 3
    assert whole.values[-1] == last.values[0]


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_no_rows_are_no_answer_but_an_error_of_ours() -> None:
    """What scikit-learn can't answer is ModelFailed, with its first line."""
    with pytest.raises(ModelFailed, match="ValueError: Found array with 0 sample"):
        native_runner(classifier(), BINARY)(inputs(0))


def test_a_type_outside_the_list_is_neither_written_nor_read() -> None:
    """A pipeline that names a function is refused by that function's name."""
    pipeline = Pipeline([("model", FunctionTransformer(subprocess.getoutput))])
    with pytest.raises(BundleRefused, match=r"subprocess\.getoutput"):
        dump_native(pipeline)


def test_what_skops_cant_write_is_refused() -> None:
    """An object that skops has no way to write is refused, not written by other means."""
    with pytest.raises(BundleRefused, match="can't be written"):
        dump_native(Pipeline([("model", Birch())]))


def test_bytes_that_are_no_model_are_refused() -> None:
    """Bytes that skops can't read are refused before anything is built of them."""
    with pytest.raises(BundleRefused, match="can't be read as skops"):
        load_native(b"no zip file")


def test_where_scikit_learn_is_missing_the_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The light serving install says what a native bundle needs, not which import failed."""
    monkeypatch.setitem(sys.modules, "skops.io", None)

    with pytest.raises(BundleRefused, match=r"evertrain\[serving-native\]"):
        load_native(b"any")


def test_a_model_whose_parts_are_gone_is_refused() -> None:
    """A trusted schema whose arrays are broken is refused, too."""
    with pytest.raises(BundleRefused, match="native model can't be read:"):
        load_native(rewrite(".npy", b"NUMPY", b"NOTHING"))


def test_another_version_of_scikit_learn_is_refused() -> None:
    """A model of another version is refused: its answers could differ without a word."""
    import sklearn

    data = rewrite("schema.json", sklearn.__version__.encode(), b"1.2.3")
    with pytest.raises(BundleRefused, match=r"trained with scikit-learn 1\.2\.3"):
        load_native(data)


def rewrite(suffix: str, old: bytes, new: bytes) -> bytes:
    """Change those files of a model's bytes whose names end with *suffix*."""
    written = zipfile.ZipFile(io.BytesIO(dump_native(classifier())))
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as target:
        for name in written.namelist():
            data = written.read(name)
            target.writestr(name, data.replace(old, new) if name.endswith(suffix) else data)
    return changed.getvalue()


@pytest.mark.parametrize("calibrated", [False, True])
def test_boosting_that_splits_by_category_is_kept(calibrated: bool) -> None:
    """What sorts its columns names a function, which isn't written: the answers are the same without it."""
    rng = np.random.default_rng(3)
    matrix = np.column_stack([rng.normal(size=400), rng.integers(0, 5, 400)]).astype(np.float32)
    target = (matrix[:, 1] == 3) ^ (matrix[:, 0] > 1)
    model: Any = HistGradientBoostingClassifier(max_iter=10, categorical_features=[1], random_state=0)
    if calibrated:
        model = CalibratedClassifierCV(model, method="sigmoid", cv=2)
    fitted = Pipeline([("model", model)]).fit(matrix, target)
    asked = matrix.copy()
    asked[:5, 0], asked[5:10, 1] = np.nan, 77.0

    again = load_native(dump_native(fitted))

    np.testing.assert_array_equal(again.predict_proba(asked), fitted.predict_proba(asked))
