from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
Run = Callable[..., int]
Answer = Callable[[], dict[str, Any]]


def test_train_prints_one_json_object_and_again_what_its_records_hold(
    training: TrainingFlow, home: Path, write_pipeline: Write, evertrain: Run, answer: Answer
) -> None:
    """`train --json` gives at least what the contract names; unchanged, the same marked as cached."""
    path = str(write_pipeline(estimator="sklearn.linear_model.LogisticRegression"))

    code = evertrain("train", path, "--json")

    said = answer()
    assert code == 0
    assert (said["pipeline"], said["decision"], said["cached"], said["version"]) == (
        "loans",
        "promoted",
        False,
        1,
    )
    assert said["champion"] is None
    assert set(said["gates"][0]) >= {"type", "metric", "verdict", "gain", "low", "high"}
    assert set(said["snapshot"]) == {"digest", "rows", "unlabelled", "quarantined"}
    assert said["snapshot"]["rows"] == 600
    assert said["bundle"]["runtime"] == "onnx"
    assert {"ingest", "train", "register"} <= set(said["seconds"])
    assert evertrain("train", path, "--json") == 0
    assert answer() == {**said, "cached": True}


def test_a_held_train_exits_with_10_and_says_why(
    champions: Write, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """A person reads the decision, the gates and the reason."""
    path = str(champions())
    capfd.readouterr()

    code = evertrain("train", path, "--set", "training.params={max_iter_predict: 101}")

    said = capfd.readouterr()
    assert code == 10
    assert "HELD" in said.out
    assert "beats_champion" in said.out
    assert "Traceback" not in said.err


def test_gates_are_written_as_junit_and_for_github(
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CI gets each gate as a test case, a summary and its output lines."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output.txt"))

    evertrain("train", str(write_pipeline()), "--junit", str(tmp_path / "gates.xml"), "--trigger", "ci")

    assert (tmp_path / "gates.xml").read_text().count("<testcase") == 3
    assert "loans version 1: promoted" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "output.txt").read_text().startswith("decision=promoted\nversion=1\nrun_url=")


def test_a_tampered_journal_is_found(
    champions: Write, home: Path, evertrain: Run, capfd: pytest.CaptureFixture[str], answer: Answer
) -> None:
    """`audit verify` passes on an honest journal; with one byte changed it and `train` exit with 12."""
    path = str(champions())
    assert evertrain("audit", "verify", "loans") == 0
    entry = home / "store" / "journal" / "loans" / "000000000002.json"
    entry.write_text(entry.read_text().replace('"version":1', '"version":7'))
    capfd.readouterr()

    assert evertrain("audit", "verify", "loans", "--json") == 12
    assert answer()["error"]["type"] == "JournalTampered"
    assert evertrain("train", path) == 12


def test_check_prints_the_plan_without_reading_data(
    home: Path, write_pipeline: Write, evertrain: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The plan needs no data; with `--data` a missing file is exit 3."""
    path = str(write_pipeline())
    (tmp_path / "loans.csv").rename(tmp_path / "elsewhere.csv")

    assert evertrain("check", path) == 0
    said = capfd.readouterr().out
    assert "sklearn.gaussian_process.GaussianProcessClassifier" in said
    assert evertrain("check", path, "--data") == 3
    assert "loans.csv" in capfd.readouterr().err


def test_check_with_data_says_what_the_default_plan_comes_to(
    home: Path, write_pipeline: Write, evertrain: Run, answer: Answer
) -> None:
    """`--data` names features, rows and what was left out, and leaves nothing behind."""
    code = evertrain("check", str(write_pipeline()), "--data", "--json")

    said = answer()
    assert code == 0
    assert [feature["name"] for feature in said["data"]["plan"]["features"]] == [
        "loan id",
        "income",
        "purpose",
    ]
    assert said["data"]["snapshot"]["rows"] == 600
    assert not (home / "store").exists()


def test_check_with_data_shows_the_features_to_a_person(
    home: Path, write_pipeline: Write, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """The terminal lists the features with their kinds."""
    assert evertrain("check", str(write_pipeline()), "--data") == 0

    said = capfd.readouterr().out
    assert "purpose" in said
    assert "categorical" in said


def test_check_with_data_warns_of_a_column_that_tells_the_target(
    home: Path, write_pipeline: Write, evertrain: Run, capfd: pytest.CaptureFixture[str], answer: Answer
) -> None:
    """Leakage is told before a model is trained on it, to a person and to a program."""
    path = write_pipeline()
    head, *rows = path.with_name("loans.csv").read_text().splitlines()
    told = [f"{head},written off", *(f"{row},{9 if row.endswith('Yes') else 1}.5" for row in rows)]
    path.with_name("loans.csv").write_text("\n".join(told) + "\n")

    assert evertrain("check", str(path), "--data") == 0
    assert "! leakage? column 'written off' alone tells class 'Yes'" in capfd.readouterr().out
    assert evertrain("check", str(path), "--data", "--json") == 0
    (leakage,) = answer()["data"]["leakage"]
    assert "'written off'" in leakage


def test_a_wrong_option_is_told_as_json_too(home: Path, evertrain: Run, answer: Answer) -> None:
    """A program that asked for JSON gets JSON even where its own call was wrong."""
    code = evertrain("train", "--json", "--nonsense")

    assert code == 2
    assert answer()["error"]["type"] == "UsageError"


def test_a_wrong_option_is_told_to_a_person(
    home: Path, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without `--json` the usage is shown on standard error."""
    code = evertrain("train", "--nonsense")

    said = capfd.readouterr()
    assert code == 2
    assert "--nonsense" in said.err
    assert said.out == ""


def test_a_wrong_time_is_told(
    home: Path, write_pipeline: Write, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--as-of` that is no time is exit 2 and says what a time looks like."""
    assert evertrain("train", str(write_pipeline()), "--as-of", "yesterday") == 2
    assert "2013-05-01" in capfd.readouterr().err


def test_a_fault_of_our_own_leaves_a_log_and_no_traceback(
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What nobody foresaw is exit 1 in one line; the traceback lies in a file that the line names."""

    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("evertrain.config.files.load_config", explode)

    code = evertrain("check", str(write_pipeline()))

    said = capfd.readouterr().err
    assert code == 1
    assert "ZeroDivisionError: planted" in said
    assert "Traceback" not in said
    (log,) = (home / "logs").iterdir()
    assert "Traceback" in log.read_text()


def test_a_full_disk_is_exit_5(
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The disk's own words come through, with what to do."""

    def explode(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("evertrain.config.files.load_config", explode)

    assert evertrain("check", str(write_pipeline())) == 5
    assert "No space left on device" in capfd.readouterr().err


def test_version_and_help_answer(home: Path, evertrain: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """`--version` prints a number; every command's help shows an example."""
    assert evertrain("--version") == 0
    assert capfd.readouterr().out.strip().count(".") == 2
    for command in ("check", "train", "serve", "rollback", "demo"):
        assert evertrain(command, "--help") == 0
        assert f"evertrain {command}" in capfd.readouterr().out


def test_a_terminal_without_unicode_is_no_reason_to_fail(
    home: Path, write_pipeline: Write, evertrain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its encoding lacks shows as a question mark, and the exit code stays the command's."""
    path = write_pipeline()
    path.write_text(path.read_text().replace("target: default", "target: größe"))
    shown = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(shown, encoding="ascii", write_through=True))

    code = evertrain("check", str(path))

    assert code == 0
    assert b"gr??e" in shown.getvalue()


def test_an_answer_that_cannot_be_written_is_told(
    home: Path, write_pipeline: Write, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """A full disk under standard output is exit 5, in one line on standard error."""
    path = str(write_pipeline())
    kept = os.dup(1)
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), 1)
    try:
        code = evertrain("check", path, "--json")
    finally:
        os.dup2(kept, 1)
        os.close(kept)

    said = capfd.readouterr().err
    assert code == 5
    assert "No space left on device: standard output" in said
    assert "Traceback" not in said
