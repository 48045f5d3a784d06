"""Owns how confident the later looks at one hold-out must be: what error is left is spent among them."""

from __future__ import annotations

import math


def judged_confidence(confidence: float, look: int | None) -> float:
    """Say at which confidence a challenger is compared that is number *look* on the same held-out rows.

    The first look has the confidence that the YAML states, so that one challenger is wrongly promoted in at
    most half of 1 - confidence (the other half lies at the interval's other end). Look k after it has
    1 - (1 - confidence) * 6 / (pi^2 * (k - 1)^2). As 1 + 1/4 + 1/9 + ... is pi^2 / 6, all later looks
    together spend the same half once more, however many there will be: over any number of challengers that
    are no better, a wrong promotion has a chance of at most 1 - confidence. That rests on Bonferroni's
    inequality, which asks nothing of how the looks depend on each other.

    Args:
        confidence: As the YAML states it.
        look: Counted from 1; None where no look is counted.
    """
    if look is None or look == 1:
        return confidence
    return 1 - (1 - confidence) * 6 / (math.pi**2 * (look - 1) ** 2)
