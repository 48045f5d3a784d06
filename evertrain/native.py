"""Owns scikit-learn models as skops bytes: always written alike, read under one frozen list of types."""

from __future__ import annotations

import io
import itertools
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evertrain.errors import BundleRefused, ModelFailed
from evertrain.predictions import Prediction, Runner, join_predictions
from evertrain.records import Signature

if TYPE_CHECKING:
    import pandas as pd

# What estimators of the allowed packages hold beyond skops' own list. Each is a record of arrays and numbers:
# building one runs no code that its bytes could choose. (functools.partial, which can name any callable, and
# the search and threshold wrappers, which name functions, are left out.)
TRUSTED_TYPES = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        # The metrics that a neighbour tree can be told by name.
        "sklearn.metrics._dist_metrics.BrayCurtisDistance64",
        "sklearn.metrics._dist_metrics.CanberraDistance64",
        "sklearn.metrics._dist_metrics.ChebyshevDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.HammingDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        # Boosters parse their own format in native code: a bundle is loaded by the digest its journal names.
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRegressor",
    }
)

# Their ``predict`` names the likeliest class of ``predict_proba``, but for ties that rounding makes.
CHOOSES_LIKELIEST = frozenset(
    {
        "lightgbm.sklearn.LGBMClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "xgboost.sklearn.XGBClassifier",
    }
)
NEAR_TIE = 1e-6

CHUNK_ROWS = 20_000
_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump_native(model: Any) -> bytes:
    """Write a fitted scikit-learn pipeline as skops; the same model gives the same bytes.

    Raises:
        BundleRefused: It holds a type outside the list, or one that skops can't write; the message names it.
    """
    import skops.io

    try:
        with _without_functions(model):
            data = skops.io.dumps(without_search(model))
    except Exception as cause:
        raise BundleRefused(f"The fitted model can't be written as skops: {cause}") from cause
    _refuse_untrusted(data)
    return _without_addresses(data)


def without_search(model: Any) -> Any:
    """The pipeline that answers as *model* does, without what a search for it has left behind.

    A search holds names of functions and splitters, which aren't loaded; what it found holds none.
    """
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.pipeline import Pipeline

    if not isinstance(model, Pipeline):
        return model
    found = last = model[-1]
    if hasattr(last, "best_estimator_"):
        found = last.best_estimator_
    elif isinstance(last, TunedThresholdClassifierCV):
        found = FixedThresholdClassifier(last.estimator, threshold=last.best_threshold_)
        found.estimator_ = last.estimator_
    return model if found is last else Pipeline([*model.steps[:-1], (model.steps[-1][0], found)])


@contextmanager
def _without_functions(model: Any) -> Iterator[None]:
    """While the block runs, no histogram boosting within *model* names the function that checks its numbers.

    With categories it sorts its columns by a transformer that holds such a function; what a pipeline hands to
    it are numbers, and those are joined with its categories in 64 bits all the same.
    """
    kept = []
    for boosting in find_boosting(model):
        sorting = getattr(boosting, "_preprocessor", None)
        named = [*getattr(sorting, "transformers", ()), *getattr(sorting, "transformers_", ())]
        for _, transformer, _ in named:
            if isinstance(getattr(transformer, "func", None), partial):
                kept.append((transformer, transformer.func))
                transformer.func = None
    try:
        yield
    finally:
        for transformer, function in kept:
            transformer.func = function


def find_boosting(part: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Every fitted histogram boosting within *part*, however deep: in steps, ensembles, calibrations."""
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if is_boosting(part) and hasattr(part, "_predictors"):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from find_boosting(value, seen)
    elif isinstance(part, list | tuple) or (isinstance(part, np.ndarray) and part.dtype == object):
        for value in part:
            yield from find_boosting(value, seen)
    elif type(part).__module__.startswith("sklearn.") and hasattr(part, "__dict__"):
        yield from find_boosting(vars(part), seen)


def is_boosting(part: Any) -> bool:
    """Whether *part* is scikit-learn's histogram boosting."""
    return any(kind.__name__ == "BaseHistGradientBoosting" for kind in type(part).__mro__)


def load_native(data: bytes) -> Any:
    """Read a pipeline that ``dump_native`` wrote.

    Raises:
        BundleRefused: A type outside the list, another version of scikit-learn, bytes that aren't skops, or
            no scikit-learn here.
    """
    try:
        import skops.io
        from sklearn.exceptions import InconsistentVersionWarning
    except ModuleNotFoundError as cause:
        raise BundleRefused(
            f"This bundle is native, not ONNX, and {cause.name} isn't installed here: "
            "pip install 'evertrain[serving-native]', or use the image serving-native."
        ) from cause

    untrusted = _refuse_untrusted(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            return skops.io.loads(data, trusted=untrusted)
    except InconsistentVersionWarning as cause:
        raise BundleRefused(
            f"The model was trained with scikit-learn {cause.original_sklearn_version}, but "
            f"{cause.current_sklearn_version} is installed; install that version or train again."
        ) from cause
    except Exception as cause:
        raise BundleRefused(f"The native model can't be read: {cause}") from cause


def open_native(data: bytes, signature: Signature) -> Runner:
    """Open a native model as what answers model inputs; raises BundleRefused as ``load_native`` does."""
    return native_runner(load_native(data), signature)


def native_runner(pipeline: Any, signature: Signature) -> Runner:
    """Make a fitted pipeline answer model inputs; the runner raises ModelFailed when the pipeline raises."""
    from threadpoolctl import ThreadpoolController

    threads = ThreadpoolController()

    def run(inputs: Mapping[str, np.ndarray]) -> Prediction:
        frame = as_frame(inputs)
        chunks = [frame[start : start + CHUNK_ROWS] for start in range(0, len(frame), CHUNK_ROWS)] or [frame]
        try:
            # OpenMP's threads wait by spinning: on a busy machine one row took 2.4 s instead of 4 ms.
            with threads.limit(limits=1, user_api="openmp"), np.errstate(all="ignore"):
                return join_predictions([_predict(pipeline, chunk, signature) for chunk in chunks])
        except Exception as cause:
            line = next(iter(str(cause).strip().splitlines()), "")
            raise ModelFailed(f"The model failed: {type(cause).__name__}: {line}"[:300]) from cause

    return run


def as_frame(inputs: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Lay model inputs side by side, as scikit-learn's column transformer wants them."""
    import pandas as pd

    return pd.DataFrame(dict(inputs), copy=False)


def _predict(pipeline: Any, frame: pd.DataFrame, signature: Signature) -> Prediction:
    matrix = pipeline[:-1].transform(frame)
    model = pipeline[-1]
    if signature.classes is None:
        return Prediction(values=np.asarray(model.predict(matrix)).reshape(-1).astype(np.float64))
    probabilities = model.predict_proba(matrix).astype(np.float64) if signature.has_probabilities else None
    return Prediction(codes=_classify(model, matrix, probabilities), probabilities=probabilities)


def _classify(model: Any, matrix: Any, probabilities: np.ndarray | None) -> np.ndarray:
    """Name the class of each row as ``model.predict`` does; it would walk over all trees once more."""
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if probabilities is not None and probabilities.shape[1] > 1 and kind in CHOOSES_LIKELIEST:
        ordered = np.sort(probabilities, axis=1)
        if (ordered[:, -1] - ordered[:, -2] > NEAR_TIE).all():
            likeliest: np.ndarray = probabilities.argmax(axis=1)
            return likeliest.astype(np.int64)
    return np.asarray(model.predict(matrix)).reshape(-1).astype(np.int64)


def _refuse_untrusted(data: bytes) -> list[str]:
    import skops.io

    try:
        found = skops.io.get_untrusted_types(data=data)
    except Exception as cause:
        raise BundleRefused(f"The native model can't be read as skops: {cause}") from cause
    outside = sorted(set(found) - TRUSTED_TYPES)
    if outside:
        raise BundleRefused(
            f"The model holds {', '.join(outside)}, which evertrain doesn't load; choose other parameters or "
            "another estimator.",
            types=outside,
        )
    return list(found)


def _without_addresses(data: bytes) -> bytes:
    """Number skops' nodes in reading order: it names them by memory address, and notes the time."""
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(renamed, "w") as new:
        schema = json.loads(old.read(_SCHEMA))
        numbers: dict[str, int] = {}
        _renumber(schema, numbers, itertools.count())
        names = {_new_name(name, numbers): name for name in old.namelist() if name != _SCHEMA}
        for name in sorted(names):
            _add(new, name, _without_padding(name, old.read(names[name])))
        _add(new, _SCHEMA, json.dumps(schema, separators=(",", ":")).encode())
    return renamed.getvalue()


def _renumber(node: Any, numbers: dict[str, int], fresh: Iterator[int]) -> None:
    if isinstance(node, list):
        for each in node:
            _renumber(each, numbers, fresh)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("__id__"), int):
        # Whether two equal plain values are one object is Python's mood, so each gets its own number.
        plain = node.get("__loader__") == "JsonNode"
        node["__id__"] = next(fresh) if plain else _number(str(node["__id__"]), numbers, fresh)
    if isinstance(node.get("file"), str):
        _number(node["file"].partition(".")[0], numbers, fresh)
        node["file"] = _new_name(node["file"], numbers)
    for each in node.values():
        _renumber(each, numbers, fresh)


def _number(name: str, numbers: dict[str, int], fresh: Iterator[int]) -> int:
    if name not in numbers:
        numbers[name] = next(fresh)
    return numbers[name]


def _new_name(name: str, numbers: Mapping[str, int]) -> str:
    stem, _, suffix = name.partition(".")
    return f"{numbers[stem]}.{suffix}"


def _without_padding(name: str, data: bytes) -> bytes:
    """Blank the bytes between a structured array's fields: trees leave there what the memory held before."""
    if not name.endswith(".npy"):
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    clean = np.zeros(array.shape, dtype=array.dtype)
    for each in array.dtype.names:
        clean[each] = array[each]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data, compresslevel=1)
