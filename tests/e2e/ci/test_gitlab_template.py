from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.e2e]

REPOSITORY = Path(__file__).parents[3]
TIMEOUT_SECONDS = 600


def resolve(**inputs: Any) -> dict[str, Any]:
    """Read the template's one job as GitLab does, its inputs in their places."""
    header, template = yaml.safe_load_all((REPOSITORY / "deployments" / "gitlab-ci.yml").read_text("utf-8"))
    given = {name: (spec or {}).get("default") for name, spec in header["spec"]["inputs"].items()} | inputs
    (job,) = fill(template, given).values()
    assert isinstance(job, dict)
    return job


def fill(value: Any, inputs: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {fill(key, inputs): fill(each, inputs) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, inputs) for each in value]
    if isinstance(value, str):
        for name, given in inputs.items():
            mark = f"$[[ inputs.{name} ]]"
            if value == mark:
                return given
            value = value.replace(mark, str(given))
        assert "$[[" not in value
    return value


def plain(job: dict[str, Any]) -> dict[str, str]:
    """The job's variables as its shell sees them."""
    return {
        name: str(each["value"] if isinstance(each, dict) else each)
        for name, each in job["variables"].items()
    }


class Runner:
    """Plays the template's job as GitLab's runner does: one shell for its scripts, one for the rest."""

    def __init__(self, project: Path, forge: Any, environment: dict[str, str]) -> None:
        self.project = project
        self.environment = environment | {
            "CI_API_V4_URL": forge.url,
            "CI_PROJECT_ID": "42",
            "CI_PROJECT_DIR": str(project),
            "CI_MERGE_REQUEST_IID": "7",
            "CI_JOB_URL": "https://gitlab.example/job/1",
            "EVERTRAIN_GITLAB_TOKEN": "made-up-token",
            "GITLAB_USER_LOGIN": "ana",
            "RETRAIN_AWS_TOKEN": "made-up-identity",
        }

    def run(self, job: dict[str, Any]) -> tuple[int, str]:
        """Give the job's exit code and log."""
        variables = plain(job)
        code, log = self.shell([*job["before_script"], *job["script"]], variables)
        after, more = self.shell(job["after_script"], variables)
        assert after == 0, more
        return code, log + more

    def shell(self, lines: list[str], variables: dict[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "\n".join(lines)],
            cwd=self.project,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def runner(project: Path, forge: Any, runner_environment: dict[str, str]) -> Runner:
    return Runner(project, forge, runner_environment)


@pytest.fixture
def source(project: Path, monkeypatch: pytest.MonkeyPatch, runner: Runner) -> str:
    """Where evertrain is to be had; `git clone` gives the tree that is tested."""
    git = Path(runner.environment["PATH"].split(":")[0]) / "git"
    address = "https://example.org/evertrain.git"
    expected = f"clone --quiet --depth 1 --branch main -- {address} .evertrain-source"
    git.write_text(f'#!/bin/sh\ntest "$*" = "{expected}" && ln -s "{REPOSITORY}" .evertrain-source\n')
    git.chmod(0o755)
    return address


def test_a_merge_request_is_told_what_is_wrong(
    runner: Runner, source: str, project: Path, forge: Any
) -> None:
    """A value that is refused ends the job with exit 2, which isn't forgiven, and stands in the one note."""
    job = resolve(name="churn", config="configs/churn.yaml", evertrain=source, set="training.params.C=$HOME")

    codes = [runner.run(job)[0] for _ in range(2)]

    assert codes == [2, 2]
    assert 2 not in job["allow_failure"]["exit_codes"]
    (note,) = forge.ours()
    assert "## configs/churn.yaml: failed" in note["body"]
    assert "$HOME" in note["body"]
    assert [call.split()[0] for call in forge.calls if "notes" in call][-1] == "PUT"
    junit = job["artifacts"]["reports"]["junit"]
    assert "<error" in (project / junit).read_text()


def test_a_job_becomes_its_aws_role_by_a_file_that_only_it_may_read(
    runner: Runner, source: str, project: Path
) -> None:
    """With a role, boto3's own variables name it and the token's file; without one there is no file."""
    show = 'printf "%s %s" "$AWS_ROLE_ARN" "${AWS_WEB_IDENTITY_TOKEN_FILE:-}"'
    role = "arn:aws:iam::123456789012:role/train"
    token = Path(f"{project}.aws-token")
    for given in ("", role):
        job = resolve(name="a", config="a.yaml", evertrain=source, **{"role-to-assume": given})
        code, log = runner.shell([*job["before_script"], show], plain(job))
        assert code == 0
        assert log == (f"{role} {token}" if given else " ")
        assert token.exists() == bool(given)
    assert token.read_text() == "made-up-identity"
    assert token.stat().st_mode & 0o77 == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_held_version_is_a_warning(runner: Runner, source: str, project: Path, forge: Any) -> None:
    """Promoted first; then held with exit 10, which is allowed to fail; outputs, gates and page are kept."""
    inputs = {"name": "churn", "config": "configs/churn.yaml", "evertrain": source}

    first, log = runner.run(resolve(**inputs))
    assert first == 0, log
    out = project / ".evertrain-out"
    assert (out / "outputs").read_text() == "decision=promoted\nversion=1\nrun_url=\n"
    assert "</html>" in (out / "report.html").read_text()

    job = resolve(**inputs, set="training.params={C: 0.999999}")
    code, log = runner.run(job)
    assert code == 10
    assert code in job["allow_failure"]["exit_codes"]
    assert "churn version 2: held" in log
    assert "<failure" in (out / "gates.xml").read_text()
    (note,) = forge.ours()
    assert "## churn version 2: held" in note["body"]
