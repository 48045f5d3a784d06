"""Tests of the drift check, as a command and as a flow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evertrain.config.files import load_config
from evertrain.journal.chain import Entry
from evertrain.liveness import identify_process
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.release import decide_claimed
from evertrain.settings import read_settings
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Run = Callable[..., int]
Check = Callable[..., tuple[int, dict[str, Any]]]

ROWS_A_DAY = 200
CHANGE_DAY = 40
STEADY, CHANGED, LATER = "2024-02-05", "2024-02-15", "2024-02-18"


PIPELINE = """\
name: loans
data:
  source: {type: files, uri: loans.csv}
  timestamp: day
  target: default
  features: {numeric: [income], categorical: [purpose]}
  window: {train: 20d, holdout: 10d}
training: {estimator: sklearn.ensemble.HistGradientBoostingClassifier, params: {max_iter: 20}}
evaluation: {task: binary_classification}
drift:
  current: {from: source, window: 5d, min_rows: 50}
  max_share: 0.3
  cooldown: 10d
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, training: TrainingFlow, empty_registry: Path) -> Path:
    """Sixty days of loans, with a champion as of day 30; from day 40 on incomes are 30 higher."""
    folder = tmp_path_factory.mktemp("loans")
    (folder / "home").mkdir()
    shutil.copy(empty_registry, folder / "home" / "mlflow.db")
    (folder / "loans.yaml").write_text(PIPELINE)
    write_days(folder / "loans.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERTRAIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        training("loans.yaml", as_of="2024-01-31")
    return folder


@pytest.fixture
def loans(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained pipeline and its home, for one test to change."""
    folder = tmp_path / "work"
    shutil.copytree(trained, folder)
    monkeypatch.setenv("EVERTRAIN_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    return folder / "loans.yaml"


@pytest.fixture
def check(evertrain: Run, loans: Path, capfd: pytest.CaptureFixture[str]) -> Check:
    """Run `evertrain drift --json` as of a day, the YAML changed by *replace*; gives exit code and answer."""

    def run(
        as_of: str, *arguments: str, replace: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        if replace:
            text = loans.read_text()
            assert replace[0] in text
            loans.write_text(text.replace(*replace))
        capfd.readouterr()
        code = evertrain("drift", str(loans), "--as-of", as_of, "--json", *arguments)
        return code, json.loads(capfd.readouterr().out)

    return run


def write_days(path: Path) -> None:
    """Write loans whose default depends on income and purpose, and whose incomes jump on day 40."""
    random = np.random.default_rng(5)
    lines = ["day,income,purpose,default"]
    for day in range(60):
        income = random.normal(50, 15, ROWS_A_DAY) + (30 if day >= CHANGE_DAY else 0)
        purpose = random.choice(["car", "home", "trip"], ROWS_A_DAY)
        score = (45 - income) / 10 + (purpose == "trip") * 1.5 + random.normal(0, 1, ROWS_A_DAY)
        score += 4.5 if day >= CHANGE_DAY else 0
        date = np.datetime64("2024-01-01T12:00") + np.timedelta64(day, "D")
        rows = zip(income.round(2), purpose, score, strict=True)
        lines += [f"{date},{amount},{what},{'Yes' if value > 0 else 'No'}" for amount, what, value in rows]
    path.write_text("\n".join(lines) + "\n")


def opened(path: Path) -> Pipeline:
    settings = read_settings()
    return open_pipeline(load_config(path, settings), settings)


def entries(path: Path, *kinds: str) -> list[Entry]:
    return [entry for entry in opened(path).journal.read()[0] if entry.kind in kinds]


def test_without_a_champion_there_is_nothing_to_check(
    tmp_path: Path,
    home: Path,
    write_pipeline: Callable[..., Path],
    evertrain: Run,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Exit 3, and the message says to train first."""
    code = evertrain("drift", str(write_pipeline()), "--json")

    assert code == 3
    assert "has no champion" in json.loads(capfd.readouterr().out)["error"]["message"]


def test_unchanged_data_is_steady(check: Check, loans: Path) -> None:
    """Exit 0, no retrain, and the journal holds the check with its evidence; its page stands in the store."""
    code, said = check(STEADY)

    assert code == 0
    assert (said["decision"], said["retrain"], said["triggers"], said["train"]) == (
        "steady",
        "none",
        [],
        None,
    )
    assert said["rows"] == {"reference": 4000, "current": 1000}
    assert {column["name"] for column in said["columns"]} == {"income", "purpose"}
    assert (said["performance"], said["regret"]) == (None, None)
    (entry,) = entries(loans, "checked")
    assert entry.data["evidence"]["share"] == said["share"]
    page = Path(said["report"])
    assert 2_000 < page.stat().st_size < 1_000_000
    assert page.with_name(f"{page.stem}-evidently.html").stat().st_size > 1_000_000


def test_too_few_rows_are_no_opinion(check: Check) -> None:
    """Under ``min_rows`` nothing is measured: exit 21."""
    code, said = check(STEADY, replace=("min_rows: 50", "min_rows: 1001"))

    assert code == 21
    assert (said["decision"], said["retrain"], said["share"]) == ("too_little_data", "none", None)
    assert (said["columns"], said["report"]) == ([], None)


def test_drift_with_no_retrain_is_told_and_left(check: Check, loans: Path) -> None:
    """A CI job reads exit 20; no version is made."""
    code, said = check(CHANGED, "--no-retrain")

    assert code == 20
    assert (said["decision"], said["triggers"], said["retrain"]) == ("drifted", ["data"], "none")
    assert [column["name"] for column in said["columns"] if column["drifted"]] == ["income"]
    assert len(entries(loans, "registered")) == 1


def test_drift_starts_one_retrain_and_then_the_cooldown_holds(check: Check, loans: Path) -> None:
    """The check that wins the claim answers ``started`` with the run; the next waits for the cooldown."""
    code, said = check(CHANGED)

    assert code == 0
    assert (said["retrain"], said["train"]["version"]) == ("started", 2)
    (start,) = entries(loans, "retrain_started")
    (end,) = entries(loans, "retrain_ended")
    assert (start.data["as_of"][:10], end.data["decision"]) == (CHANGED, said["train"]["decision"])

    code, said = check(LATER, replace=("window: 5d", "window: 2d"))

    assert code == 0
    assert (said["decision"], said["retrain"]) == ("drifted", "cooldown")
    assert len(entries(loans, "retrain_started")) == 1
    assert not opened(loans).journal.read()[1].claims


def test_two_checks_must_agree_where_the_policy_says_so(check: Check) -> None:
    """The first finding is unconfirmed, however often the same moment is looked at; the second starts it."""
    first = check(CHANGED, replace=("cooldown: 10d", "confirm: {checks: 2, of: 3}"))[1]
    page = Path(first["report"]).read_text()
    again = check(CHANGED)[1]
    second = check(LATER)[1]

    assert (first["retrain"], again["retrain"]) == ("unconfirmed", "unconfirmed")
    # Each keeps its page.
    assert Path(first["report"]).read_text() == page
    assert Path(again["report"]).read_text() != page
    assert second["retrain"] == "started"


def test_a_failed_retrain_gives_its_code_and_is_tried_again(check: Check, loans: Path) -> None:
    """Data that the expectations refuse fails the retrain with exit 3; no cooldown keeps the next check."""
    rule = "{type: expect_column_mean_to_be_between, column: income, max_value: 55}"
    code, said = check(CHANGED, replace=("training:", f"validation: {{expectations: [{rule}]}}\ntraining:"))

    assert code == 3
    assert (said["retrain"], said["train"], said["failure"]["type"]) == ("failed", None, "DataRefused")
    code, said = check(LATER)
    assert (code, said["retrain"]) == (3, "failed")
    assert [entry.data["decision"] for entry in entries(loans, "retrain_ended")] == ["failed", "failed"]


def test_a_retrain_that_runs_already_is_left_alone(check: Check, loans: Path) -> None:
    """While a living process holds the retrain, another check answers ``already_running``, exit 0."""
    opened(loans).journal.append(decide_claimed("retrain", identify_process(), 15.0))

    code, said = check(CHANGED)

    assert (code, said["retrain"], said["train"]) == (0, "already_running", None)


def test_new_labels_show_performance_and_regret(check: Check, loans: Path) -> None:
    """The champion's metric falls on new labels, and a probe that saw newer ones beats it: both fire."""
    wanted = (
        "max_share: 0.3",
        "max_share: 1.0\n  performance: {metric: roc_auc, max_drop: 0.5}\n"
        "  regret: {metric: log_loss, min_gain: 0.01, confidence: 0.9}\n  retrain_on: [regret]",
    )
    code, said = check(LATER, "--no-retrain", replace=wanted)

    assert (code, said["triggers"]) == (20, ["regret"])
    performance, regret = said["performance"], said["regret"]
    assert performance["drop"] == pytest.approx(performance["holdout"] - performance["value"])
    assert not performance["fired"]
    assert regret["gain"] == pytest.approx(regret["champion"] - regret["probe"])
    assert 0.01 < regret["low"] < regret["gain"] < regret["high"]
    assert (regret["looks"], regret["learnt_rows"], regret["counted"]) == (146, 4000, False)
    assert regret["level"] == pytest.approx(1 - 0.1 / 146)
    assert len(entries(loans, "registered")) == 1

    # The same rows beside the same champion: nothing is fitted anew.
    models = set(Path("home/store/models").iterdir())
    hurried = ("confidence: 0.9}", "confidence: 0.9, timeout: 1s}")
    assert check(LATER, "--no-retrain", replace=hurried)[1]["regret"] == regret
    # Another estimator is another probe, for which there isn't the time.
    slower = check(LATER, "--no-retrain", replace=("max_iter: 20", "max_iter: 1000000"))[1]
    assert slower["regret"] is None
    late = "the probe wasn't fitted within 1s; raise drift.regret.timeout or training.timeout, or lower"
    assert slower["notes"] == [f"regret: {late} drift.regret.max_rows"]
    assert set(Path("home/store/models").iterdir()) == models


def test_an_old_champion_waits_for_new_labels(check: Check, loans: Path) -> None:
    """Age is a trigger of its own; too little to learn from holds its retrain back, and is counted."""
    wanted = ("max_share: 0.3", "max_share: 1.0\n  max_age: 15d\n  min_new_labels: 3601")
    code, said = check(LATER, replace=wanted)

    assert (code, said["decision"], said["triggers"]) == (0, "drifted", ["age"])
    # Eighteen days of two hundred rows since the champion's own as-of.
    assert (said["retrain"], said["new_labels"]) == ("unconfirmed", 3600)
    (entry,) = entries(loans, "checked")
    assert entry.reason == "did nothing, because 3,600 labelled rows are new, min_new_labels is 3,601"


@pytest.mark.parametrize(("label", "reason"), [("", "no labels to hold out"), (",No", "every class")])
def test_labels_that_judge_nothing_do_not_end_the_check(
    check: Check, loans: Path, label: str, reason: str
) -> None:
    """The columns are still compared; what couldn't be measured is named, with the window that it was."""
    rows = (loans.parent / "loans.csv").read_text().splitlines()
    told = [
        row.rpartition(",")[0] + (label or ",") if "2024-02-08" < row < "2024-02-15" else row for row in rows
    ]
    (loans.parent / "loans.csv").write_text("\n".join(told) + "\n")
    wanted = (
        "cooldown: 10d",
        "performance: {metric: roc_auc, max_drop: 0.1}\n  regret: {metric: roc_auc, min_gain: 0.01}",
    )

    code, said = check("2024-02-14", "--no-retrain", replace=wanted)

    assert code == 20
    assert (said["share"], said["performance"], said["regret"]) == (0.5, None, None)
    (note,) = said["notes"]
    assert note.startswith("performance and regret: ")
    assert reason in note
    assert "iden drift.current.window" in note


def test_the_check_shows_in_prefect(check: Check) -> None:
    """Prefect's API knows the tasks by name and the columns as a table."""
    from prefect.client.orchestration import get_client

    check(STEADY)

    with get_client(sync_client=True) as client:
        tasks = {run.name for run in client.read_task_runs(limit=200)}
        artifacts = client.request("POST", "/artifacts/filter", json={"limit": 200}).json()
    assert {"measure drift", "decide", "report"} <= tasks
    assert "loans-drift" in {artifact["key"] for artifact in artifacts}


def test_a_person_reads_the_finding_in_a_table(
    evertrain: Run, loans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without ``--json`` the verdict, each column beside its threshold, and what to type next are shown."""
    capfd.readouterr()
    assert evertrain("drift", str(loans), "--as-of", CHANGED, "--no-retrain") == 20

    out = capfd.readouterr().out
    share = "50% of the columns drifted, 30% may"
    for words in ("DRIFTED", "income", "wasserstein", share, "audit show loans"):
        assert words in out


def test_a_ci_system_is_told(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's summary and output files get the decision."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))

    check(CHANGED, "--no-retrain")

    assert "drifted" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "output").read_text() == "decision=drifted\nversion=1\nrun_url=\n"
