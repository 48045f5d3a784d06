"""Owns what the steps of one drift check share: the pipeline, the champion it looks at, what time it sees."""

from __future__ import annotations

from datetime import UTC, datetime

from evertrain.bundles import Bundle, load_bundle
from evertrain.datasets import read_manifest
from evertrain.outcomes import OUTCOME
from evertrain.pipelines import Pipeline, find_champion
from evertrain.records import Snapshot, TrainOutcome
from evertrain.runs import StepRecords


class Check:
    """One drift check. A plain class: Prefect looks into the fields of a dataclass parameter, not into this.

    Args:
        pipeline: What is checked.
        as_of: What time the check was asked to see; None: now, or the newest row where that is earlier.
        seconds: What each step took; filled as they end.

    Raises:
        DataRefused: The pipeline has no champion yet.
    """

    def __init__(self, pipeline: Pipeline, as_of: datetime | None, seconds: dict[str, float]) -> None:
        state, self.champion = find_champion(pipeline)
        self.pipeline = pipeline
        self.config = pipeline.config
        self.as_of = as_of
        self.now = datetime.now(UTC)
        self.seconds = seconds
        self.generation = state.generation
        self.retrained_as_of = state.retrains.as_of[-1] if state.retrains.as_of else None

    def bundle(self) -> Bundle:
        """Load what the champion serves."""
        return load_bundle(self.pipeline.store, self.champion.bundle)

    def snapshot(self) -> Snapshot:
        """Read the manifest of the rows that the champion learnt from."""
        return read_manifest(self.pipeline.store, self.champion.snapshot)

    def known_until(self) -> datetime | None:
        """Say what the champion, or a later retrain that a check started, saw; None without a timestamp."""
        retrained = self.retrained_as_of and datetime.fromisoformat(self.retrained_as_of)
        known = [moment for moment in (self.snapshot().as_of, retrained) if moment]
        return max(known, default=None)

    def holdout_metrics(self) -> dict[str, float]:
        """Recall what the champion reached on its own held-out rows; empty if that wasn't kept."""
        outcome = StepRecords(self.pipeline.store, self.champion.run_key).read(OUTCOME, TrainOutcome)
        return dict(outcome.metrics) if outcome else {}
