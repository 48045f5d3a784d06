"""Owns where a batch's rows come from and its answers go: as it was asked, else as the YAML says."""

from __future__ import annotations

from datetime import date

from evertrain.config import BatchConfig
from evertrain.errors import ConfigError

DATE = "{date}"


def choose_addresses(
    batch: BatchConfig, day: date, *, source: str | None = None, target: str | None = None
) -> tuple[str, str]:
    """Give the addresses of a batch's input and output; ``{date}`` in them becomes *day* as 2013-01-31.

    Args:
        batch: The YAML's section.
        day: The day that the batch is of.
        source: The input in place of the YAML's.
        target: The output in place of the YAML's.

    Raises:
        ConfigError: Neither the caller nor the YAML names one.
    """
    found = {"input": source or batch.input, "output": target or batch.output}
    chosen = []
    for name, address in found.items():
        if address is None:
            raise ConfigError(
                f"There is no {name} to score; give --{name} URI, or set batch.{name} in the YAML."
            )
        chosen.append(address.replace(DATE, day.isoformat()))
    return chosen[0], chosen[1]
