from __future__ import annotations

import hashlib
import importlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = (
    "backtest",
    "batch",
    "bulk",
    "conversion",
    "deploy",
    "drift",
    "false_alarms",
    "snapshots",
    "training",
    "validation",
)
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a benchmark as its own folder would, and forget it afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.split(".")[0] in (*SCRIPTS, "claims", "many_pipelines", "measuring", "peers", "serving"):
            del sys.modules[name]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_readme_tells_what_the_result_file_holds(name: str, load: Load) -> None:
    """No figure is written by hand: each script's part of the README is its result file, spelt out."""
    figures = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())

    assert load(name).spell_section(figures) in (BENCHMARKS / "README.md").read_text()


def test_the_first_page_s_table_is_a_result_file_too(load: Load) -> None:
    """What the project's README says of the policy was written by the command that measured it."""
    figures = json.loads((BENCHMARKS / "results" / "backtest.json").read_text())

    assert load("backtest").spell_months(figures) in (BENCHMARKS.parent / "README.md").read_text()


def test_the_readme_tells_every_claim_that_was_proved(load: Load) -> None:
    """The table of claims is what the proofs' own files say, and each proof has one or none."""
    claims = load("claims")

    assert claims.spell_section(claims.read_claims()) in (BENCHMARKS / "README.md").read_text()
    assert {path.stem for path in (BENCHMARKS / "results").glob("[A-Z]*.json")} <= {
        path.stem for path in (BENCHMARKS / "full").glob("[A-Z]*.py")
    }


def test_a_section_is_replaced_and_the_rest_of_the_page_stays(load: Load, tmp_path: Path) -> None:
    """Writing twice leaves the second text between the marks, whatever backslashes it holds."""
    page = tmp_path / "README.md"
    page.write_text("above\n<!-- x: written by its script -->\nold\n<!-- end of x -->\nbelow\n")
    write = load("measuring.tables").write_section

    write("x", "first", page)
    write("x", r"second \1", page)

    assert page.read_text() == (
        "above\n<!-- x: written by its script -->\nsecond \\1\n<!-- end of x -->\nbelow\n"
    )


def test_a_page_without_the_marks_is_refused(load: Load, tmp_path: Path) -> None:
    """A table that has no place isn't lost in silence."""
    page = tmp_path / "README.md"
    page.write_text("nothing here\n")

    with pytest.raises(ValueError, match="0 places for x"):
        load("measuring.tables").write_section("x", "text", page)


def test_a_failing_command_is_told_with_its_words(load: Load) -> None:
    """A side that breaks can't pass for a quick one."""
    processes = load("measuring.processes")
    command = processes.Command((sys.executable, "-c", "raise SystemExit('out of luck')"))

    with pytest.raises(processes.CommandFailed, match=r"ended with 1(.|\n)*out of luck"):
        processes.run(command)


def test_a_command_meets_none_of_the_callers_settings(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller's Prefect or MLflow lies changes nothing, and nobody reports home."""
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    processes = load("measuring.processes")
    names = ("PREFECT_API_URL", "DO_NOT_TRACK", "MINE")
    script = f"import os; print([os.environ.get(name) for name in {names}])"

    ran = processes.run(processes.Command((sys.executable, "-c", script), {"MINE": "1"}))

    assert ran.output.strip() == "[None, 'true', '1']"


def test_an_environment_is_kept_until_its_requirements_change(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made once; other requirements make it anew, and what can't be installed says why."""
    environments = load("peers.environments")
    wanted, kept = tmp_path / "peer.txt", tmp_path / "kept"
    wanted.write_text("one==1\n")
    (kept / "peer").mkdir(parents=True)
    (kept / "peer" / "installed.sha256").write_text(hashlib.sha256(wanted.read_bytes()).hexdigest())
    found = environments.python_of("peer", kept, tmp_path)
    wanted.write_text("two==2\n")
    monkeypatch.setattr(sys, "executable", str(failing_python(tmp_path)))

    with pytest.raises(environments.NotInstalled, match="peer can't be installed here: ERROR: no such thing"):
        environments.python_of("peer", kept, tmp_path)

    assert found == kept / "peer" / "bin" / "python"


def failing_python(folder: Path) -> Path:
    """An interpreter that can do nothing but complain."""
    script = folder / "python"
    script.write_text("#!/bin/sh\necho 'ERROR: no such thing' >&2\nexit 1\n")
    script.chmod(0o755)
    return script


def test_the_work_of_a_side_is_read_from_its_mlflow(load: Load, tmp_path: Path) -> None:
    """Registered versions and areas under the curve are counted where they must have been written."""
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("create table model_versions (name text)")
        database.execute("create table metrics (key text, value real)")
        database.execute("insert into model_versions values ('flights')")
        database.execute("insert into metrics values ('roc_auc', 0.65), ('log_loss', 0.5)")
    database.close()

    assert load("peers.contestants").read_work(tmp_path) == (1, [0.65])


def test_ratios_are_told_only_of_sides_that_ran(load: Load) -> None:
    """A peer that was left out takes its ratio with it."""
    training = load("training")
    straight, served, zenml = (
        training.who.STRAIGHT.name,
        training.who.SERVED.name,
        training.who.ZENML.name,
    )

    alone = training.tell_ratios({straight: 8.0, served: 10.0})
    beside = training.tell_ratios({straight: 8.0, served: 10.0, zenml: 20.0})

    assert [(ratio["beside"], ratio["ratio"]) for ratio in alone] == [(straight, 1.25)]
    assert [(ratio["beside"], ratio["ratio"]) for ratio in beside] == [(straight, 1.25), (zenml, 0.5)]


def test_sides_that_found_different_things_have_no_figures(load: Load) -> None:
    """A validation that counts otherwise isn't compared."""
    compare = load("validation").compare
    agreed = [{"success": False, "unexpected": 3}, {"success": False, "unexpected": 3, "set_aside": 2}]
    compare(agreed)

    with pytest.raises(SystemExit, match="don't agree on unexpected"):
        compare([*agreed, {"success": False, "unexpected": 4, "set_aside": 2}])
