from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e]

REPOSITORY = Path(__file__).parents[3]
SECRET = "sqlite:///a-secret%20place.db"


class Hub:
    """GitHub around the workflow: caches and artifacts that outlive a run, and the pull request."""

    def __init__(
        self, player: Any, workflow: dict[str, Any], forge: Any, project: Path, environment: Any
    ) -> None:
        self.player, self.workflow, self.forge, self.project = player, workflow, forge, project
        self.environment = environment | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": forge.url,
            "GITHUB_REPOSITORY": "acme/models",
        }
        self.kept = project.parent / "kept"
        self.caches: list[str] = []
        self.runs = 0

    def run(self, **inputs: Any) -> tuple[Any, dict[str, str], Path]:
        """Play both jobs of a new run; gives the first's player, its outputs and its artifact."""
        self.runs += 1
        declared = self.workflow[True]["workflow_call"]["inputs"]
        given = {name: spec.get("default") for name, spec in declared.items()} | inputs
        table = {f"inputs.{name}": value for name, value in given.items()}
        table |= {
            "github.actor": "ana",
            "github.token": "made-up-token",
            "github.run_id": self.runs,
            "github.run_attempt": 1,
            "github.server_url": "https://github.example",
            "github.repository": "acme/models",
            "github.event.pull_request.number": 7,
            "github.event_name": "pull_request",
            "secrets.EVERTRAIN_ENVIRONMENT": f"\nWAREHOUSE_URL={SECRET}\n",
            "secrets.EVERTRAIN_REPOSITORY_TOKEN": "",
        }
        # A run that fails early leaves the outputs of its steps empty.
        table |= {f"steps.train.outputs.{name}": "" for name in ("decision", "version", "run_url")}
        jobs = self.workflow["jobs"]
        first = self.job(table)
        outputs = first.play(jobs["train"], self.environment)
        second = self.job(table | {f"needs.train.outputs.{name}": value for name, value in outputs.items()})
        assert second.wanted(jobs["comment"]["if"])
        second.play(jobs["comment"], self.environment)
        assert not second.failed, second.log
        first.log += second.log
        return first, outputs, self.kept / outputs["artifact"]

    def job(self, table: dict[str, Any]) -> Any:
        """A fresh machine, at the same place as the one before."""
        actions = {
            "actions/checkout": self.check_out,
            "actions/setup-python": lambda *_: None,
            "actions/cache/restore": self.restore,
            "actions/cache/save": self.save,
            "actions/upload-artifact": self.upload,
            "actions/download-artifact": self.download,
        }
        root = self.project.parent
        return self.player(root / "workspace", root / "temp", table, actions)

    def check_out(self, player: Any, given: dict[str, str]) -> None:
        assert given["persist-credentials"] == "false"
        if given.get("repository") == "acme/evertrain" and "path" in given:
            (player.workspace / given["path"]).symlink_to(REPOSITORY)
        elif "sparse-checkout" in given:
            assert given["repository"] == "acme/evertrain"
            place = given["sparse-checkout"]
            shutil.copytree(REPOSITORY / place, player.workspace / place)
        else:
            shutil.copytree(self.project, player.workspace, dirs_exist_ok=True)

    def restore(self, player: Any, given: dict[str, str]) -> None:
        matching = [key for key in self.caches if key.startswith(given["restore-keys"])]
        if matching:
            shutil.copytree(self.kept / matching[-1], player.workspace / given["path"])

    def save(self, player: Any, given: dict[str, str]) -> None:
        if (player.workspace / given["path"]).exists():
            shutil.copytree(player.workspace / given["path"], self.kept / given["key"])
            self.caches.append(given["key"])

    def upload(self, player: Any, given: dict[str, str]) -> None:
        target = self.kept / given["name"]
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(given["path"], target)
        assert list(target.iterdir())

    def download(self, player: Any, given: dict[str, str]) -> None:
        shutil.copytree(self.kept / given["name"], given["path"])


@pytest.fixture
def hub(
    player: Callable[..., Any], workflow: dict[str, Any], forge: Any, project: Path, runner_environment: Any
) -> Hub:
    return Hub(player, workflow, forge, project, runner_environment)


def retrain(hub: Hub, **inputs: Any) -> tuple[Any, dict[str, str], Path]:
    return hub.run(config="configs/churn.yaml", evertrain="acme/evertrain", **inputs)


def check_promoted(hub: Hub) -> None:
    played, outputs, artifact = retrain(hub, prepare="test -e customers.csv && echo brought")

    assert not played.failed, played.log
    assert (outputs["decision"], outputs["version"], outputs["run_url"]) == ("promoted", "1", "")
    assert outputs["artifact"] == "evertrain-churn"
    assert "brought" in played.log
    assert "::notice title=churn version 1%3A promoted::" in played.log
    assert "## churn version 1: promoted" in played.summary
    assert {path.name for path in artifact.iterdir()} >= {
        "train.json",
        "gates.xml",
        "summary.md",
        "report.html",
    }
    assert "</html>" in (artifact / "report.html").read_text()
    # The secret reached the run, and the log hides it before anything could show it.
    assert played.log.count("a-secret") == 1
    assert f"::add-mask::{SECRET.replace('%', '%25')}" in played.log
    (comment,) = hub.forge.ours()
    assert comment["body"].startswith("<!-- evertrain retrain configs%2Fchurn.yaml -->\n## churn version 1")
    assert "(https://github.example/acme/models/actions/runs/1)" in comment["body"]


@pytest.mark.timeout(900)
def test_a_pull_request_gets_its_model_report_and_comment_and_later_the_failure(hub: Hub) -> None:
    """A first run promotes, with outputs, report and comment; a wrong value later fails and says so there."""
    check_promoted(hub)

    played, outputs, artifact = retrain(hub, set="training.params.C=-1\n\ndata.tagret=churned")

    assert played.failed
    assert outputs["decision"] == ""
    assert "::error title=Exit 2%3A the configuration or an argument is wrong::" in played.log
    assert "data.tagret" in played.log
    assert ET.parse(artifact / "gates.xml").find(".//error") is not None
    assert json.loads((artifact / "train.json").read_text())["error"]["exit"] == 2
    (comment,) = hub.forge.ours()
    assert "## configs/churn.yaml: failed" in comment["body"]
    assert "training.params.C" in comment["body"]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_held_version_is_a_notice_or_a_failure_as_the_caller_wants(hub: Hub) -> None:
    """The cached champion defends its title on a new machine: green with a notice, or red by fail-on-held."""
    check_promoted(hub)

    held, outputs, artifact = retrain(hub, set="training.params={C: 0.999999}")
    again, *_ = retrain(hub, set="training.params={C: 0.999999}", **{"fail-on-held": True})

    assert (outputs["decision"], outputs["version"]) == ("held", "2")
    assert not held.failed
    assert "::notice title=churn version 2%3A held::beats_champion" in held.log
    assert ET.parse(artifact / "gates.xml").find(".//failure") is not None
    assert again.failed
    assert "::error title=churn version 2%3A held::" in again.log
    (comment,) = hub.forge.ours()
    assert "## churn version 2: held (nothing changed: the earlier answer)" in comment["body"]
    assert [call.split()[0] for call in hub.forge.calls].count("POST") == 1


def test_a_job_whose_secret_is_no_list_of_variables_says_which_line(
    hub: Hub, workflow: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before anything runs, and the line isn't shown; the comment says why."""
    monkeypatch.setattr(f"{__name__}.SECRET", "x\nhunter2 is no variable")

    played, *_ = retrain(hub)

    assert played.failed
    assert "::Line 3 of the secret EVERTRAIN_ENVIRONMENT is not NAME=value." in played.log
    assert "hunter2" not in played.log
    assert "Line 3 of the secret" in hub.forge.ours()[0]["body"]
