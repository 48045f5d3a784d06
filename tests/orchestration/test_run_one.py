"""Tests of how the process of one flow run finds its flow and the folder to work in."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evertrain.forked_process import ForkedProcess
from flows.deployments import ENTRYPOINTS, WORKING_FOLDER
from flows.runner.run_one import load_deployed_flow, sole_folder
from flows.runner.zygote import workers_beside
from flows.training import training_flow

CLONE = {"prefect.deployments.steps.git_clone": {"repository": "https://example.org/a.git"}}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{WORKING_FOLDER: {"directory": "/srv"}}], "/srv"),
        ([{WORKING_FOLDER: {"directory": "/srv", "requires": "a"}}], None),
        ([{WORKING_FOLDER: {"directory": "/srv"}}, CLONE], None),
        ([{WORKING_FOLDER: {"directory": "{{ prefect.variables.home }}/a"}}], None),
        ([CLONE], None),
        ([], None),
        (None, None),
    ],
    ids=["a folder", "and more", "and another step", "a variable", "another step", "no step", "none"],
)
def test_a_folder_is_taken_where_it_is_all_there_is_to_prepare(
    steps: list[dict[str, Any]] | None, expected: str | None
) -> None:
    """Whatever else is to be done is Prefect's to do."""
    assert sole_folder(steps) == expected


def test_one_of_our_flows_is_loaded_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very flow that is imported already, with the folder as the current one."""
    monkeypatch.chdir("/")
    deployment = SimpleNamespace(
        entrypoint=ENTRYPOINTS["training"], pull_steps=[{WORKING_FOLDER: {"directory": str(tmp_path)}}]
    )
    client: Any = SimpleNamespace(read_deployment=lambda _: deployment)
    run: Any = SimpleNamespace(deployment_id="1")

    assert load_deployed_flow(client, run) is training_flow
    assert Path.cwd() == tmp_path


def test_a_run_begins_without_workers_where_none_can_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory for two more processes: the run does their work itself."""
    refused: list[str] = []

    def refuse(*_: object) -> None:
        refused.append("fork")
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(ForkedProcess, "__init__", refuse)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    begun = False

    with workers_beside():
        begun = True

    assert begun
    assert refused == ["fork"]
