"""Owns how realised metrics look in a terminal."""

from __future__ import annotations

from evertrain.durations import spell_seconds
from evertrain.realised_records import Realised, RealisedPart


def realised_lines(realised: Realised) -> list[str]:
    """Say what came of the service's answers: of all, and of each version and arm of several."""
    total = realised.total
    lines = [f"realised: {spell_part(total)}"]
    if total.lag:
        median, late = (spell_seconds(each) for each in (total.lag.median_seconds, total.lag.p90_seconds))
        lines.append(f"  labels took {median} in the median, nine in ten at most {late}")
    for kind, parts in (("version", realised.versions), ("arm", realised.arms)):
        if len(parts) > 1:
            lines += [f"  {kind} {part.name}: {spell_part(part)}" for part in parts]
    return lines


def spell_part(part: RealisedPart) -> str:
    """Spell a part's coverage, and its metrics with their intervals."""
    metrics = [
        f"{name} {found.value:.4f} ({found.low:.4f} to {found.high:.4f})"
        for name, found in part.metrics.items()
    ]
    told = ", ".join([*metrics, *part.missing])
    return f"{part.labelled:,} of {part.rows:,} answers have a label ({part.coverage:.0%}); {told}"
