from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.flow
LOAD = """
from evertrain.mlflow_client import import_mlflow
import_mlflow()
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


def test_mlflow_reports_nothing(tmp_path: Path) -> None:
    """MLflow is loaded without its telemetry, and leaves no id in the user's home."""
    # Under pytest, in CI or where these are set it would report nothing anyway.
    anyway = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTEST_CURRENT_TEST", "CI")
    environment = {name: value for name, value in os.environ.items() if name not in anyway}
    environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "None"
    assert not list(tmp_path.rglob("mlflow/*"))


def test_what_a_run_needs_is_imported_without_mlflow_and_great_expectations(tmp_path: Path) -> None:
    """Both are imported in processes beside the run; here they would keep it for seconds."""
    code = """
import sys
from flows.launch import load_training_flow
load_training_flow(None)
print(sorted({"mlflow", "great_expectations", "matplotlib", "sklearn", "prefect"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "['prefect', 'sklearn']"
