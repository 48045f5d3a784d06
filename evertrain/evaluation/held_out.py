"""Owns what the gates are shown: two models on a snapshot's labelled held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from evertrain.datasets import read_side, to_columns
from evertrain.evaluation import evaluate, time_candidate
from evertrain.records import GateEvidence

if TYPE_CHECKING:
    import numpy as np

    from evertrain.bundles import Bundle
    from evertrain.config import PipelineConfig
    from evertrain.records import Label, Snapshot
    from evertrain.storage import Store


class HeldOut(NamedTuple):
    """The labelled held-out rows of a snapshot: raw columns by name and the target, each of shape [n]."""

    columns: dict[str, np.ndarray]
    target: np.ndarray


def read_held_out(
    store: Store,
    snapshot: Snapshot,
    target: str,
    bundles: Sequence[Bundle | None],
    extra: Sequence[str] = (),
) -> HeldOut:
    """Read, of the held-out rows, what *bundles* are asked with, the target, and what *extra* names."""
    wanted = {feature.name for bundle in bundles if bundle for feature in bundle.signature.features}
    names = [column.name for column in snapshot.columns if column.name in wanted | {*extra}]
    table = read_side(store, snapshot, "holdout", target=target, columns=names)
    return HeldOut(to_columns(table, names), to_columns(table, [target])[target])


def gather_evidence(
    config: PipelineConfig,
    candidate: Bundle,
    champion: tuple[int, Bundle] | None,
    rows: HeldOut,
    classes: tuple[Label, ...] | None,
    *,
    look: int | None = None,
) -> GateEvidence:
    """Measure and time the candidate as the pipeline's gates ask for it; ``evaluate`` says of what and how.

    Raises:
        DataRefused: The held-out rows hold one class, and a metric needs two.
        TrainingError: The candidate gives no probabilities, and a metric needs them.
        InvalidInput: The held-out rows don't fit the candidate's own signature.
        ModelFailed: The candidate raised, or answered with a number that isn't finite.
    """
    seed = config.training.seed
    return GateEvidence(
        evaluation=evaluate(
            config, candidate, champion, rows.columns, rows.target, classes, seed=seed, look=look
        ),
        latency=time_candidate(config, candidate, rows.columns),
        signature=candidate.signature,
        champion_signature=champion[1].signature if champion else None,
        allow_signature_change=config.promotion.allow_signature_change,
    )
