from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from evertrain.drift_records import Failure
from evertrain.errors import ConfigError, StorageError
from evertrain.records import BundleSummary, ChampionSummary, GateResult, SnapshotSummary, TrainOutcome
from evertrain.settings import read_settings
from evertrain.summaries import append_for_ci, markdown_summary, output_lines
from evertrain.summaries.failures import MEANINGS, append_failure_for_ci, markdown_failure
from evertrain.summaries.junit import check_writable, failure_xml, junit_xml, write_failure, write_junit

GATES = (
    GateResult(type="threshold", metric="roc_auc", verdict="pass", reason="roc_auc is 0.7"),
    GateResult(type="beats_champion", metric="roc_auc", verdict="fail", reason="too | little\n<b>gain</b>"),
    GateResult(type="signature", verdict="not_shown", reason="there is no champion"),
)


def make_outcome(*, gates=GATES, champion=True, cached=False):
    return TrainOutcome(
        pipeline="flights",
        decision="held",
        cached=cached,
        reasons=("beats_champion: too | little\n<b>gain</b>",),
        version=4,
        run_id="run1",
        run_key="key1",
        metrics={"roc_auc": 0.71234567, "log_loss": 0.5},
        champion=ChampionSummary(version=3, metrics={"roc_auc": 0.7}) if champion else None,
        gates=gates,
        snapshot=SnapshotSummary(digest="5" * 64, rows=54_000, unlabelled=12, quarantined=0),
        bundle=BundleSummary(digest="b" * 64, runtime="native"),
        seconds={"train": 1.25, "evaluate": 0.5},
    )


def test_markdown_holds_decision_metrics_and_gates():
    """The summary tells the decision, both models' metrics, each gate's verdict and where the run lies."""
    text = markdown_summary(make_outcome(), "https://mlflow.example/run")
    assert text.startswith("## flights version 4: held\n")
    assert "| metric | version 4 | champion, version 3 |" in text
    assert "| roc\\_auc | 0.71235 | 0.7 |" in text
    assert "| log\\_loss | 0.5 |  |" in text
    assert "| threshold roc\\_auc | ✅ pass | roc\\_auc is 0.7 |" in text
    assert "| signature | ➖ not shown | there is no champion |" in text
    assert "`bbbbbbbbbbbb` (native)" in text
    assert "(https://mlflow.example/run)" in text


def test_markdown_cannot_be_broken_by_a_reason():
    """A reason with a line break, a bar or a tag stays one cell of text."""
    text = markdown_summary(make_outcome())
    assert "too \\| little \\<b\\>gain\\</b\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)


def test_markdown_of_a_first_version_without_gates():
    """Without champion and gates the summary says so, and says when it is an earlier answer."""
    text = markdown_summary(make_outcome(gates=(), champion=False, cached=True))
    assert "| metric | version 4 |\n" in text
    assert "No gates are named." in text
    assert "(nothing changed: the earlier answer)" in text


def test_output_lines_are_three_and_stay_three():
    """The output file gets decision, version and run_url; an address can't bring in a fourth line."""
    assert output_lines(make_outcome()) == "decision=held\nversion=4\nrun_url=\n"
    lines = output_lines(make_outcome(), "https://x.example/\ndecision=promoted").splitlines()
    assert lines == ["decision=held", "version=4", "run_url=https://x.example/ decision=promoted"]


def test_junit_has_a_test_case_for_each_gate():
    """A gate that fails is a failure, one that isn't shown is skipped, one that passes is neither."""
    suite = ET.fromstring(junit_xml(make_outcome())).find("testsuite")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
        "time": "1.750",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {
        "threshold roc_auc": ["system-out"],
        "beats_champion roc_auc": ["failure"],
        "signature": ["skipped"],
    }
    assert suite.find("testcase/failure").text == "too | little\n<b>gain</b>"


def test_junit_stays_xml_whatever_a_reason_holds():
    """Control characters and lone surrogates, which XML has no spelling for, are replaced."""
    gate = GateResult(type="signature", verdict="fail", reason="a\x00b\x1b\ud800 & 'c'")
    failure = ET.fromstring(junit_xml(make_outcome(gates=(gate,))).encode()).find(".//failure")
    assert failure.get("message") == "a�b�� & 'c'"


def test_files_of_the_ci_system_are_appended_to(tmp_path):
    """What earlier steps wrote stays, and each run adds its own."""
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    summary.write_text("before\n")
    settings = read_settings({"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)})
    for _ in range(2):
        append_for_ci(make_outcome(), settings, "https://x.example/")
    assert summary.read_text().startswith("before\n## flights")
    assert summary.read_text().count("## flights") == 2
    assert output.read_text() == "decision=held\nversion=4\nrun_url=https://x.example/\n" * 2


def test_without_a_ci_system_nothing_is_written(tmp_path, monkeypatch):
    """On a developer's machine no file appears."""
    monkeypatch.chdir(tmp_path)
    append_for_ci(make_outcome(), read_settings({}))
    assert list(tmp_path.iterdir()) == []


def test_junit_file_is_written_with_its_folder(tmp_path):
    """The JUnit file replaces an earlier one, in a folder that is made."""
    path = tmp_path / "reports" / "gates.xml"
    for _ in range(2):
        write_junit(make_outcome(), path)
    assert ET.parse(path).getroot().tag == "testsuites"


def test_a_junit_file_that_fails_after_the_run_does_not_hide_the_decision(tmp_path):
    """A disk that fills up meanwhile is the disk's fault; the message says what was decided."""
    with pytest.raises(StorageError, match=rf"flights version 4 is held, but --junit: {tmp_path}"):
        write_junit(make_outcome(), tmp_path)


def test_a_junit_path_is_tried_before_the_run(tmp_path):
    """Its folder is made, an earlier file stays as it was, and no empty file is left behind."""
    path, earlier = tmp_path / "reports" / "gates.xml", tmp_path / "earlier.xml"
    earlier.write_text("<before/>")
    check_writable(path)
    check_writable(earlier)
    assert list(path.parent.iterdir()) == []
    assert earlier.read_text() == "<before/>"


def test_a_junit_path_that_cannot_be_written_is_a_wrong_argument(tmp_path):
    """A folder, and a path below a file, are refused by name with what to do."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "gates.xml"):
        with pytest.raises(ConfigError, match=f"--junit {path}: .* Name a file in a folder you may write to"):
            check_writable(path)


def test_ci_files_that_cannot_be_written_are_a_warning(tmp_path, caplog):
    """What was decided stands: the caller isn't failed for a summary, and reads which variable is wrong."""
    settings = read_settings({"GITHUB_STEP_SUMMARY": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path)})
    append_for_ci(make_outcome(), settings)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "GITHUB_STEP_SUMMARY",
        "GITHUB_OUTPUT",
    ]


FAULTS = Failure(
    type="ConfigError", message="a.yaml: 2 faults\n  x: \x1b[1mno\x1b[0m ``` \x00\n  y: no", exit=2
)


def test_a_failure_is_told_in_markdown_as_it_was_printed(tmp_path):
    """The summary says what the exit code means and keeps the message's lines inside their block."""
    settings = read_settings({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    append_failure_for_ci("configs/a_b.yaml", FAULTS, settings)
    assert (tmp_path / "summary.md").read_text() == (
        "## configs/a\\_b.yaml: failed\n\nExit 2: the configuration or an argument is wrong.\n\n"
        "````text\na.yaml: 2 faults\n  x: no ``` \n  y: no\n````\n\n"
    )


def test_every_exit_code_of_a_failing_train_has_words():
    """No failure is told by its number alone."""
    assert set(MEANINGS) == {1, 2, 3, 4, 5, 10, 11, 12, 130}
    assert all(
        f"Exit {code}: {words}." in markdown_failure("a.yaml", FAULTS.model_copy(update={"exit": code}))
        for code, words in MEANINGS.items()
    )


def test_a_failure_is_one_junit_error(tmp_path):
    """A run that failed is one test case whose error bears type, first line and the whole message."""
    write_failure("configs/a_b.yaml", FAULTS, tmp_path / "gates.xml")
    suite = ET.parse(tmp_path / "gates.xml").find("testsuite")
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    case = suite.find("testcase")
    assert (case.get("classname"), case.get("name")) == ("evertrain.a_b", "train")
    error = case.find("error")
    assert (error.get("type"), error.get("message")) == ("ConfigError", "a.yaml: 2 faults")
    assert error.text.endswith("  y: no")
    assert (
        ET.fromstring(failure_xml("a", FAULTS.model_copy(update={"message": ""}))).find(".//error")
        is not None
    )
