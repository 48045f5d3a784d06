"""The flights model as a BentoML service, one worker."""

import bentoml
import pandas as pd


@bentoml.service(workers=1)
class Flights:
    """Answers from the newest saved model."""

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model("flights:latest")

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> dict:
        """Score rows."""
        probabilities = self.model.predict_proba(rows)
        return {
            "predictions": self.model.classes_[probabilities.argmax(axis=1)].tolist(),
            "probabilities": probabilities.tolist(),
        }
