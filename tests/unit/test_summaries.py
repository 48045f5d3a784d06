from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from evertrain.errors import StorageError
from evertrain.records import BundleSummary, ChampionSummary, GateResult, SnapshotSummary, TrainOutcome
from evertrain.settings import read_settings
from evertrain.summaries import append_for_ci, junit_xml, markdown_summary, output_lines, write_junit

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


def test_file_that_cannot_be_written_is_named(tmp_path):
    """A path that is a folder is refused as the disk's fault, by its name."""
    with pytest.raises(StorageError, match=str(tmp_path)):
        write_junit(make_outcome(), tmp_path)
