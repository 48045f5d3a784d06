"""Owns ``--sweep a.b=1,2,3``: the variants of a pipeline that it spans, and which results aren't bettered."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import product

from evertrain.backtest_records import StrategyResult
from evertrain.config.yaml_reader import parse_value
from evertrain.errors import ConfigError
from evertrain.metrics import METRICS

MOST_VARIANTS = 64
PLAIN = re.compile(r"\w[\w.-]*", re.ASCII)


def spread_sweeps(sweeps: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Give the overrides of each variant, in the order of the values: the product of all *sweeps*.

    Raises:
        ConfigError: One can't be read, or together they make more than 64 variants.
    """
    if not sweeps:
        return ()
    variants = tuple(product(*map(_spread, sweeps)))
    if len(variants) > MOST_VARIANTS:
        raise ConfigError(
            f"--sweep spans {len(variants):,} variants; at most {MOST_VARIANTS} are replayed at once. Name "
            "fewer values."
        )
    return variants


def _spread(text: str) -> list[str]:
    path, equals, values = text.partition("=")
    found = parse_value(f"[{values}]") if equals and path.strip() else None
    if not isinstance(found, list) or not found:
        raise ConfigError(f"--sweep {text!r}: expected PATH=VALUE,VALUE,…, such as drift.max_share=0.2,0.5.")
    return [f"{path.strip()}={_spell(value)}" for value in found]


def _spell(value: object) -> str:
    """Write a value as YAML reads it again, without quotes where it needs none: ``30d``."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and parse_value(value) == value:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_spell, value))}]"
    return json.dumps(value)


def mark_frontier(results: Sequence[StrategyResult], metric: str) -> tuple[StrategyResult, ...]:
    """Mark the strategies that none betters: as good in *metric* with as few retrains, one of both better."""
    sign = METRICS[metric].sign
    points = [
        (sign * each.metrics[metric], -each.retrains) if metric in each.metrics else None for each in results
    ]

    def is_bettered(mine: tuple[float, int]) -> bool:
        return any(
            other is not None and other != mine and other[0] >= mine[0] and other[1] >= mine[1]
            for other in points
        )

    return tuple(
        each.model_copy(update={"frontier": point is not None and not is_bettered(point)})
        for each, point in zip(results, points, strict=True)
    )
