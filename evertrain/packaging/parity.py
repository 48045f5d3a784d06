"""Owns the parity gate: a converted model must answer as scikit-learn does, on held-out and on odd rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evertrain.columns import MISSING, InputSpec
from evertrain.errors import ModelFailed
from evertrain.predictions import Prediction, Runner, compare_predictions
from evertrain.records import Parity, Signature

ODD_TEXTS = (MISSING, "never seen: é", "nan", "None", "")
PROBED_ROWS = 3

# Sums of 32-bit numbers over 500 trees differ by 4e-6; a row that takes another branch differs by far more.
PROBABILITY_TOLERANCE = 1e-5
VALUE_TOLERANCE = 1e-4


class ParityVerdict(NamedTuple):
    """What the comparison gave; ``reason`` says in words why it failed, None where it passed."""

    parity: Parity | None
    reason: str | None


def tolerance_for(signature: Signature) -> float:
    """How far a number may differ, in the units of ``Difference.largest``."""
    return VALUE_TOLERANCE if signature.classes is None else PROBABILITY_TOLERANCE


def check_parity(
    reference: Prediction, candidate: Runner, inputs: Mapping[str, np.ndarray], tolerance: float
) -> ParityVerdict:
    """Ask *candidate* the rows that *reference* answers, and compare labels and numbers.

    Args:
        reference: scikit-learn's answers to *inputs*.
        candidate: The converted model.
        inputs: By input name, shape (n,); see ``add_probes``.
        tolerance: The largest difference that passes, in the units of ``Difference.largest``.
    """
    try:
        found = candidate(inputs)
    except ModelFailed as cause:
        return ParityVerdict(None, cause.message)
    difference = compare_predictions(reference, found, tolerance)
    if difference.labels_different or difference.largest > tolerance:
        rows = len(next(iter(inputs.values())))
        return ParityVerdict(
            None,
            f"it answers otherwise in ONNX: of {rows:,} rows {difference.labels_different:,} labels differ, "
            f"numbers by up to {difference.largest:.2g} (allowed {tolerance:.0e})",
        )
    parity = Parity(
        rows=len(next(iter(inputs.values()))),
        labels_different=difference.labels_different,
        max_difference=difference.largest,
        tolerance=tolerance,
    )
    return ParityVerdict(parity, None)


def add_probes(specs: Sequence[InputSpec], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Append odd rows to held-out ones: each number missing, each text missing, unseen or misleading.

    Args:
        specs: The inputs in their order.
        inputs: By input name, shape (n,), n at least 1; not modified.

    Returns:
        The same inputs, longer: the first three rows once more for each oddity, and once with all missing.
    """
    rows = len(inputs[specs[0].name])
    block = np.arange(min(rows, PROBED_ROWS))
    oddities = [(spec.name, value) for spec in specs for value in _odd_values(spec)]
    everything = [(spec.name, _odd_values(spec)[0]) for spec in specs]
    changes = [*([each] for each in oddities), everything]
    take = np.concatenate([np.arange(rows), *([block] * len(changes))])
    probed = {spec.name: inputs[spec.name][take] for spec in specs}
    for place, change in enumerate(changes):
        start = rows + place * len(block)
        for name, value in change:
            probed[name][start : start + len(block)] = value
    return probed


def _odd_values(spec: InputSpec) -> tuple[Any, ...]:
    return (np.nan,) if spec.kind == "float" else ODD_TEXTS
