"""Owns what the service does beside answering: written down with the model, read by the service alone."""

from __future__ import annotations

from typing import Any

from evertrain.frozen import Record


class ServingPlan(Record):
    """What the service keeps and counts of the rows that a bundle answers; part of the bundle.

    Attributes:
        log_predictions: Whether rows and answers are kept.
        sample: Of how many requests, as a share.
        expectations: Great Expectations' own, as the YAML has them; broken ones are counted, none is refused.
    """

    log_predictions: bool = True
    sample: float = 1.0
    expectations: tuple[dict[str, Any], ...] = ()
