"""Owns the bundle as MLflow loads it (``mlflow.pyfunc.load_model``); knows the bundle, not MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evertrain.bundles import Bundle, load_bundle
from evertrain.spelling import spell_category
from evertrain.storage import attach_store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class PyfuncModel:
    """Answers frames as the service answers rows.

    Args:
        bundle: The model behind its column layer.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> np.ndarray | pd.DataFrame:
        """Answer each row.

        Args:
            model_input: Shape (n_rows, n_columns); holds every feature; not modified.
            params: ``probabilities``: whether to give these too, as columns ``probability_<class>``.

        Returns:
            Labels in the training data's own type, or numbers, shape (n_rows,); a frame with the column
            ``prediction`` where probabilities were asked for.

        Raises:
            InvalidInput: A column is missing or ill-typed.
            ModelFailed: The model raised, or gave a number that isn't finite.
        """
        import pandas as pd

        signature = self.bundle.signature
        names = [feature.name for feature in signature.features if feature.name in model_input.columns]
        prediction = self.bundle.predict({name: _values(model_input[name]) for name in names})
        answers = pd.Series(prediction.labels(signature), index=model_input.index, name="prediction")
        if not (params or {}).get("probabilities"):
            return answers.to_numpy()
        frame = answers.to_frame()
        if prediction.probabilities is not None and signature.classes:
            for place, label in enumerate(signature.classes):
                frame[f"probability_{spell_category(label)}"] = prediction.probabilities[:, place]
        return frame


def _load_pyfunc(path: str) -> PyfuncModel:
    """What MLflow calls; *path* is a store that holds the one bundle."""
    store = attach_store(path)
    (digest,) = {key.split("/")[1] for key in store.list("bundles/")}
    return PyfuncModel(load_bundle(store, digest))


def _values(series: pd.Series[Any]) -> np.ndarray:
    import numpy as np
    import pandas as pd

    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return series.to_numpy() if isinstance(series.dtype, np.dtype) else series.to_numpy(dtype=object)
