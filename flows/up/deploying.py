"""Owns the process in which ``up`` registers the pipelines of ``configs/``; its answer is one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evertrain.errors import ConfigError, EvertrainError
from evertrain.settings import Settings, read_settings

CONFIGS = "configs"


def deploy(settings: Settings) -> dict[str, Any]:
    """Register each YAML that can be used, and tell what is wrong with the others.

    Raises:
        EvertrainError: The Prefect server can't be used.
    """
    return {"deployed": [], "wrong": []}


def main() -> None:
    """Print what was deployed, or why it can't be."""
    try:
        answer = deploy(read_settings())
    except EvertrainError as error:
        answer = {"error": error.message}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
