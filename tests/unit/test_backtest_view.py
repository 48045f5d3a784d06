from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evertrain.backtest import Progress
from evertrain.cli.app import main
from evertrain.cli.backtest_view import show_backtest, showing_pieces, spell_progress
from tests.unit.backtest.conftest import BEGIN, write_pipeline
from tests.unit.reports.test_backtest_report import outcome, strategy

SINCE, UNTIL = f"{BEGIN + timedelta(days=30):%Y-%m-%d}", f"{BEGIN + timedelta(days=70):%Y-%m-%d}"


def shown(*more: Any) -> str:
    console = Console(file=StringIO(), width=100)
    show_backtest(outcome(*more).model_copy(update={"report": "/store/page.html"}), console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_terminal_tells_what_the_page_tells() -> None:
    """Every strategy with its means and counts, the policy's periods, where the page lies."""
    text = shown(
        strategy("policy, drift.retrain_on=[]", [0.6, 0.8, None], 1, settings=("drift.x=1",), frontier=True)
    )

    assert "flights: 2013-05-01 to 2013-07-30, 3 periods of 30d" in text
    assert "policy 1: drift.x=1" in text
    assert "0.7000" in text
    assert text.count("★") == 2
    assert text.count("champion 1") == 3
    assert "/store/page.html" in text


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress("training", 0, 20, None), "training: 0 of 20"),
        (Progress("training", 5, 20, 33.3), "training: 5 of 20, about 33 s left"),
        (Progress("training", 5, 20, 400.0), "training: 5 of 20, about 7 min left"),
        (Progress("training", 1, 90, 9000.0), "training: 1 of 90, about 2.5 h left"),
        (Progress("training", 20, 20, 0.0), "training: 20 of 20"),
    ],
)
def test_progress_says_what_is_left(progress: Progress, told: str) -> None:
    """How much is done, and about how long the rest takes."""
    assert spell_progress(progress) == told


def test_where_nobody_looks_progress_is_rare(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal there is a line each ten seconds, on standard error."""
    with showing_pieces() as tell:
        for done in range(100):
            tell(Progress("training", done, 100, 1.0))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def run_command(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["evertrain", "backtest", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    captured = capfd.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_the_command_answers_as_the_contract_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One JSON object on standard output; the page in the store; no journal, no registry, no Prefect."""
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DASK_ADDRESS", raising=False)
    path = write_pipeline(tmp_path)
    arguments = [str(path), "--from", SINCE, "--to", UNTIL, "--every", "20d", "--json"]
    code, out, _ = run_command(capfd, *arguments, "--sweep", "drift.regret.min_gain=0.01,0.3")
    found = json.loads(out)

    assert code == 0
    assert {"pipeline", "from", "to", "every", "metric", "strategies", "report"} <= set(found)
    assert [each["name"] for each in found["strategies"]][-3:] == [
        "policy",
        "policy, drift.regret.min_gain=0.01",
        "policy, drift.regret.min_gain=0.3",
    ]
    first = found["strategies"][0]["periods"][0]
    assert (first["from"], first["to"]) == ("2025-01-31T00:00:00Z", "2025-02-20T00:00:00Z")
    assert list(first["metrics"]) == ["roc_auc", "log_loss", "brier_score_loss"]
    assert Path(found["report"]).read_text().startswith("<!DOCTYPE html>")
    assert {each.name for each in (tmp_path / "home").iterdir()} <= {"store", "spill"}
    assert not (tmp_path / "home" / "store" / "journal").exists()

    code, out, _ = run_command(capfd, *arguments[:-1])
    assert code == 0
    assert "BACKTEST" in out
    assert "0 pieces computed" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", UNTIL, "--to", SINCE], "isn't later than --from"),
        (["--from", "soon", "--to", UNTIL], "--from 'soon' is not a time"),
        (["--from", SINCE, "--to", UNTIL, "--every", "fortnight"], "--every 'fortnight'"),
        (["--from", SINCE, "--to", UNTIL, "--sweep", "drift.max_share=0.1,2"], "drift.max_share: 2"),
        (["--from", SINCE, "--to", UNTIL, "--sweep", "drift.maxshare=0.1"], "drift.maxshare"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    """Exit code 2, in one message that names the option or the key."""
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    code, _, err = run_command(capfd, str(write_pipeline(tmp_path)), *arguments)

    assert code == 2
    assert told in err
    assert not (tmp_path / "home" / "store").exists()
