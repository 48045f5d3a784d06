"""Owns the process in which ``up`` registers the pipelines of ``configs/``; its answer is one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evertrain.errors import EvertrainError
from evertrain.settings import read_settings
from flows.deploying import DEFAULT, deploy_pipelines


def deploy() -> dict[str, Any]:
    """Register each YAML that can be used, as `evertrain deploy` does; wrong ones are part of the answer."""
    if not Path(*DEFAULT).is_dir():
        return {}
    try:
        found = deploy_pipelines(DEFAULT, read_settings(), skip_wrong=True)
    except EvertrainError as error:
        return {"error": error.message}
    return {"deployed": found.model_dump(mode="json")}


if __name__ == "__main__":
    json.dump(deploy(), sys.stdout)
