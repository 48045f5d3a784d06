from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent
Done = subprocess.CompletedProcess[str]


def run(program: str, *arguments: str) -> Done:
    command = [str(BIN / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def lint(*workflows: Path) -> Done:
    """Check workflows as actionlint does and more: types of expressions, injection, what actions take."""
    # Its own search for shellcheck would make the outcome depend on the machine.
    return run("jactionlint", "--no-online", "--strict-exit", "--shellcheck=", *map(str, workflows))


def check_schema(schema: str, *files: Path) -> Done:
    return run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))


@pytest.fixture(scope="module")
def workflows(repository: Path) -> list[Path]:
    return sorted((repository / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def retrain(repository: Path) -> str:
    return (repository / ".github" / "workflows" / "retrain.yml").read_text("utf-8")


def test_workflows_are_sound(workflows: list[Path]) -> None:
    """The linter has nothing to say, and the schema of GitHub's workflows is kept."""
    assert [path.name for path in workflows] == ["ci.yml", "retrain.yml"]
    assert lint(*workflows).stdout == ""
    assert check_schema("github-workflows", *workflows).returncode == 0


@pytest.mark.parametrize(
    ("sound", "fault", "rule"),
    [
        ("${{ inputs.as-of }}", "${{ inputs.as_of }}", "as_of"),
        ('-c "$PREPARE"', '-c "${{ github.event.pull_request.title }}"', "injection"),
        ("needs: train\n", "needs: trian\n", "trian"),
        ("restore-keys:", "restore_keys:", "restore_keys"),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v2", "actions/checkout"),
    ],
)
def test_the_linter_finds_what_is_wrong(
    sound: str, fault: str, rule: str, retrain: str, tmp_path: Path
) -> None:
    """An input that isn't declared, a title run as a script, an unknown job or argument, an old action."""
    (tmp_path / "retrain.yml").write_text(retrain.replace(sound, fault))

    done = lint(tmp_path / "retrain.yml")

    assert sound in retrain
    assert done.returncode == 1
    assert rule in done.stdout


def test_the_schema_of_workflows_finds_a_wrong_key(retrain: str, tmp_path: Path) -> None:
    """The check above can fail."""
    (tmp_path / "retrain.yml").write_text(retrain.replace("timeout-minutes: 10", "timeout_minutes: 10"))

    done = check_schema("github-workflows", tmp_path / "retrain.yml")

    assert done.returncode == 1
    assert "timeout_minutes" in done.stdout


def test_by_hand_a_workflow_takes_nothing_that_a_caller_cannot_give(retrain: str) -> None:
    """What the form offers is an input of the call too: same type and, but for the example, default."""
    # YAML 1.1, which PyYAML reads, takes `on` for a boolean.
    events = yaml.safe_load(retrain)[True]
    form, call = (events[name]["inputs"] for name in ("workflow_dispatch", "workflow_call"))

    assert len(form) <= 10
    assert {name: spec["type"] for name, spec in form.items()}.items() <= {
        name: spec["type"] for name, spec in call.items()
    }.items()
    example = ("config", "prepare")
    assert all(spec["default"] == call[name]["default"] for name, spec in form.items() if name not in example)


def test_scripts_take_their_inputs_from_the_environment(workflows: list[Path]) -> None:
    """No expression is pasted into a script, so nothing that a stranger wrote can become one."""
    steps = [
        step
        for path in workflows
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        for step in job["steps"]
    ]

    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def test_jobs_say_how_long_and_with_which_rights(workflows: list[Path]) -> None:
    """Each job has a limit in time and names its permissions; only the one that comments may write."""
    jobs = {
        name: job
        for path in workflows
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items()
    }

    assert all("timeout-minutes" in job for job in jobs.values())
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "test": {"contents": "read"},
        "train": {"contents": "read", "id-token": "write"},
        "comment": {"contents": "read", "pull-requests": "write"},
    }


# ── GitLab ───────────────────────────────────────────────────────────────────────────────────────────────


def resolved(text: str, **inputs: Any) -> str:
    """Put inputs, else their defaults, into the template, as GitLab does before it reads it."""
    header, template = text.split("\n---\n")
    given = {name: spec.get("default") for name, spec in yaml.safe_load(header)["spec"]["inputs"].items()}

    def spell(found: re.Match[str]) -> str:
        value = (given | inputs)[found[1]]
        return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).strip()

    return re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", spell, template)


@pytest.fixture(scope="module")
def template(repository: Path) -> str:
    return (repository / "deployments" / "gitlab-ci.yml").read_text("utf-8")


def test_the_gitlab_template_is_sound(template: str, tmp_path: Path) -> None:
    """With its inputs in their places it keeps the schema of GitLab's pipelines, and uses every input."""
    (tmp_path / "ci.yml").write_text(resolved(template, name="churn", config="configs/churn.yaml"))
    header, body = template.split("\n---\n")

    done = check_schema("gitlab-ci", tmp_path / "ci.yml")

    assert done.returncode == 0, done.stdout
    declared = set(yaml.safe_load(header)["spec"]["inputs"])
    assert declared == set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", body))


def test_the_schema_of_gitlab_finds_a_wrong_key(template: str, tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = template.replace("exit_codes:", "exit-codes:")
    (tmp_path / "ci.yml").write_text(resolved(wrong, name="churn", config="configs/churn.yaml"))

    assert check_schema("gitlab-ci", tmp_path / "ci.yml").returncode == 1


def test_both_templates_give_the_script_what_it_reads(repository: Path, retrain: str, template: str) -> None:
    """Each variable that retrain.py reads is set by the workflow and by the template."""
    script = (repository / "deployments" / "ci" / "retrain.py").read_text("utf-8")
    read = set(re.findall(r'environ(?:\.get\(|\[)"(RETRAIN_\w+)"', script))

    assert len(read) >= 5
    assert read <= set(re.findall(r"\b(RETRAIN_\w+):", retrain))
    # Secrets are variables of the project there.
    assert read - {"RETRAIN_ENVIRONMENT"} <= set(re.findall(r"\b(RETRAIN_\w+):", template))
