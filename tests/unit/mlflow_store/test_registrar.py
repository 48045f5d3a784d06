"""Tests of the registrar, in this process and in one beside it: they do the same, killed or not."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from evertrain.config.files import load_config
from evertrain.errors import RegistryError, RegistryUnavailable, ServiceError
from evertrain.mlflow_client import import_mlflow, mlflow_client
from evertrain.records import Search, TrainOutcome, Trial
from evertrain.registrar import RegistrarBeside, RegistrarHere, ReportFacts, start_registrar
from evertrain.registrar.child import answer
from evertrain.registry import Repair
from evertrain.run_facts import dump_facts, load_facts
from evertrain.settings import dump_settings, load_settings, read_settings

ROOT = Path(__file__).parents[3]
OUTCOME = {
    "pipeline": "flights",
    "decision": "promoted",
    "reasons": [],
    "version": 1,
    "run_id": "r",
    "run_key": "a" * 64,
    "metrics": {"roc_auc": 0.7},
    "champion": None,
    "gates": [],
    "snapshot": {"digest": "5" * 64, "rows": 100, "unlabelled": 1, "quarantined": 0},
    "bundle": {"digest": "b" * 64, "runtime": "onnx"},
    "generation": 1,
    "seconds": {},
}
RECORD = """
import runpy, sys
from pathlib import Path
from evertrain.registrar import RegistrarBeside
builders = runpy.run_path(sys.argv[1])
settings = builders["settings_of"](Path(sys.argv[2]))
registrar = RegistrarBeside()
try:
    print(registrar.record(settings, builders["make_facts"](Path(sys.argv[3]))).version.version)
finally:
    registrar.close()
"""


@pytest.fixture(scope="module")
def beside():
    """A registrar in a process of its own, for all tests of this module."""
    with closing(RegistrarBeside()) as registrar:
        yield registrar


@pytest.fixture(params=["here", "beside"])
def registrar(request):
    """A registrar of either kind."""
    return RegistrarHere() if request.param == "here" else request.getfixturevalue("beside")


def report_facts(facts):
    return ReportFacts(
        config=facts.config,
        outcome=TrainOutcome.model_validate(OUTCOME),
        evaluation=facts.evaluation,
        validation=facts.validation,
        warnings=("The column `x` tells all.",),
    )


def test_a_run_is_written_down_alike_by_both(settings, facts, registrar):
    """Run, version, pictures, aliases and page, whoever does it."""
    registrar.open(settings)
    assert registrar.mirror(settings, "flights", {"champion": None}) == ()
    version, url = registrar.record(settings, facts)
    again = registrar.record(settings, facts)
    moved = registrar.mirror(settings, "flights", {"champion": 1})
    registrar.keep_page(settings, version.run_id, "report.html", registrar.draw_report(report_facts(facts)))

    assert (version.version, version.run_key, version.bundle) == (1, facts.run_key, facts.bundle.digest)
    assert (again.version, url) == (version, None)
    assert moved == (Repair("champion", None, 1),)
    (folder,) = settings.home.rglob(f"{version.run_id}/artifacts")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "roc.png").read_bytes() == facts.pictures["roc.png"]
    page = (folder / "report.html").read_text()
    assert "flights version 1: promoted" in page
    assert "The column `x` tells all." in page


def test_a_search_is_drawn_too(settings, facts, beside):
    """The trials have a picture of their own among the run's files."""
    trial = Trial(number=0, state="complete", params={"C": 1.0}, value=0.7, scores=(0.7,), seconds=0.1)
    search = Search(metric="roc_auc", trials=(trial,), best=0, planned=1)
    searched = dataclasses.replace(facts, trained=facts.trained.model_copy(update={"search": search}))

    version, _ = beside.record(settings, searched)

    assert list(settings.home.rglob(f"{version.run_id}/artifacts/search.png"))


def test_what_mlflow_refuses_is_told_alike_by_both(settings, registrar):
    """The error's type and words travel, and the process lives on."""
    with pytest.raises(RegistryError, match="set the aliases of model 'nobody'"):
        registrar.mirror(settings, "nobody", {"champion": 7})

    assert registrar.is_free


def test_an_mlflow_that_does_not_answer_is_told_alike_by_both(tmp_path, registrar):
    """What may pass is marked as such, so that the step is tried again; opening ahead raises nothing."""
    gone = read_settings({"EVERTRAIN_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    registrar.open(gone)

    with pytest.raises(
        RegistryUnavailable, match=r"in MLflow at http://127.0.0.1:9: .*See that the server runs"
    ):
        registrar.mirror(gone, "flights", {"champion": None})


def test_a_database_that_cannot_be_opened_ahead_is_told_when_it_is_needed(tmp_path, beside):
    """The home is a file: the run hears it in the words of the step that needs it."""
    (tmp_path / "home").write_text("")
    broken = read_settings({"EVERTRAIN_HOME": str(tmp_path / "home")})
    beside.open(broken)

    with pytest.raises(RegistryError, match="Can't set the aliases of model 'flights'"):
        beside.mirror(broken, "flights", {"champion": None})


def test_facts_and_settings_travel_unchanged(settings, facts):
    """Through JSON and back: pictures, paths, moments, numbers that JSON has no word for, aliases of YAML."""
    config = load_config(ROOT / "configs" / "flights.yaml", settings)
    trained = facts.trained.model_copy(update={"parameters": {"alpha": float("inf"), "n": 1, "name": "ü"}})
    given = dataclasses.replace(facts, config=config, trained=trained)

    assert load_facts(json.loads(json.dumps(dump_facts(given)))) == given
    assert load_settings(json.loads(json.dumps(dump_settings(settings)))) == settings
    assert load_settings(dump_settings(read_settings())) == read_settings()


def test_the_child_answers_by_the_methods_of_a_registrar(settings):
    """Each question names one; the answer is JSON. Before the first it has imported MLflow."""
    import_mlflow()
    asked = {"settings": dump_settings(settings), "name": "flights", "wanted": {}}

    assert answer({"what": "mirror", "facts": asked}) == []
    assert answer({"what": "open", "facts": {"settings": dump_settings(settings)}}) is None


def test_a_process_is_started_only_where_it_gains(monkeypatch):
    """Not where MLflow is imported, nor on one core."""
    import_mlflow()
    assert not start_registrar().is_beside
    monkeypatch.delitem(sys.modules, "mlflow")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not start_registrar().is_beside
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with closing(start_registrar()) as registrar:
        assert registrar.is_beside
        assert any("evertrain.registrar.child" in child.cmdline() for child in psutil.Process().children())


def test_a_registrar_that_hangs_or_dies_is_told_as_mlflow_s(settings):
    """Neither keeps a run for ever; one that has died is used by no other run."""
    with closing(RegistrarBeside(words=("-c", "import time; time.sleep(60)"), timeout_seconds=1.0)) as hung:
        with pytest.raises(ServiceError, match=r"MLflow gave no answer within 1 s.*See that MLflow's server"):
            hung.mirror(settings, "flights", {"champion": None})
        assert not hung.is_free


@pytest.mark.parametrize(
    "point",
    [
        "registry-after-create-version",
        pytest.param("tracking-before-finish", marks=pytest.mark.slow),
        pytest.param("registry-before-finalize", marks=pytest.mark.slow),
    ],
)
def test_a_kill_beside_a_run_kills_the_run_and_leaves_one_version(settings, facts, point):
    """A failpoint in the registrar's process ends its parent first; what it left is completed."""
    arguments = [str(Path(__file__).with_name("conftest.py")), str(settings.home), str(facts.bundle_folder)]
    command = [sys.executable, "-c", RECORD, *arguments]
    killed = subprocess.run(
        command, env={**os.environ, "EVERTRAIN_FAILPOINT": point}, capture_output=True, check=False
    )
    again = subprocess.run(command, capture_output=True, check=True, text=True)

    assert killed.returncode == -signal.SIGKILL
    assert again.stdout == "1\n"
    with mlflow_client(settings, "look") as client:
        experiments = [each.experiment_id for each in client.search_experiments()]
        assert len(client.search_runs(experiments)) == 1
        assert len(client.search_model_versions("name = 'flights'")) == 1
