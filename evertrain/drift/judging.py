"""Owns the verdict on the columns of one check: each threshold among the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evertrain.drift.curves import AtSize, score_of
from evertrain.drift.discovery import find_cutoffs
from evertrain.drift.scoring import Scored
from evertrain.drift_records import ColumnDrift


def judge(found: Sequence[Scored]) -> tuple[ColumnDrift, ...]:
    """Give each scored column its threshold: what matters, and what chance alone doesn't reach."""
    chances = [scored.drift.p_value for scored in found if scored.drift.p_value is not None]
    cutoffs = iter(find_cutoffs(np.array(chances)).tolist())
    return tuple(
        scored.drift if scored.at is None else _judge(scored.drift, scored.at, next(cutoffs))
        for scored in found
    )


def _judge(drift: ColumnDrift, at: AtSize, cutoff: float) -> ColumnDrift:
    assert drift.score is not None
    threshold = max(drift.threshold, score_of(cutoff, at))
    drifted = drift.score >= threshold
    told = {"threshold": threshold, "drifted": drifted, "shape": drift.shape if drifted else None}
    return drift.model_copy(update=told)
