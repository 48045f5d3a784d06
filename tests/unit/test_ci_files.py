from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evertrain.cli.app import app

WRONG = "name: Loans\nextra: 1\n"


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A YAML that is refused, in a folder with nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    path = tmp_path / "loans.yaml"
    path.write_text(WRONG)
    return path


def test_a_train_that_fails_leaves_its_error_for_ci(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JUnit file and the summary hold what standard error said; no output line claims a decision."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("GITHUB_OUTPUT", "output")

    done = CliRunner().invoke(app, ["train", "loans.yaml", "--junit", "gates.xml"])

    assert done.exit_code == 2
    error = ET.parse("gates.xml").find(".//error")
    assert error is not None
    assert error.get("type") == "ConfigError"
    assert "data.source" in str(error.text)
    assert "## loans.yaml: failed\n\nExit 2: " in Path("summary.md").read_text()
    assert not Path("output").exists()


def test_a_drift_check_that_fails_leaves_its_error_for_ci(
    wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a train does."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")

    assert CliRunner().invoke(app, ["drift", "loans.yaml"]).exit_code == 2
    assert "## loans.yaml: failed" in Path("summary.md").read_text()


def test_a_junit_path_is_refused_before_any_work(wrong: Path, tmp_path: Path) -> None:
    """A folder in the place of the file: exit 2 names it, and the YAML hasn't been looked at."""
    (tmp_path / "gates").mkdir()

    done = CliRunner().invoke(app, ["train", "loans.yaml", "--junit", "gates"])

    assert done.exit_code == 2
    assert "--junit gates: that is a folder" in done.output
    assert "loans" not in done.output
    assert not (tmp_path / "home").exists()


def test_a_failure_keeps_its_exit_code_where_ci_cannot_be_told(
    wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A summary that can't be written is a warning beside the failure."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))

    assert CliRunner().invoke(app, ["train", "loans.yaml"]).exit_code == 2
    assert "GITHUB_STEP_SUMMARY: " in caplog.text
