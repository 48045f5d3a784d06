"""Tests of model versions and aliases, against a real embedded registry and a real bundle."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evertrain.errors import RegistryError
from evertrain.mlflow_client import mlflow_client
from evertrain.records import ModelVersion
from evertrain.registry import Repair, _create_version, _log_model, mirror_aliases, register
from evertrain.tracking import log_run

REGISTER = """
import runpy, sys
from pathlib import Path
from evertrain.registry import register
from evertrain.tracking import log_run
builders = runpy.run_path(sys.argv[1])
settings = builders["settings_of"](Path(sys.argv[2]))
facts = builders["make_facts"](Path(sys.argv[3]))
print(register(settings, facts, log_run(settings, facts)).version)
"""


def start(settings, facts, failpoint=None):
    """Log and register in a process of its own, that kills itself at *failpoint*."""
    environment = {**os.environ, **({"EVERTRAIN_FAILPOINT": failpoint} if failpoint else {})}
    arguments = [str(Path(__file__).with_name("conftest.py")), str(settings.home), str(facts.bundle_folder)]
    return subprocess.Popen(
        [sys.executable, "-c", REGISTER, *arguments], stdout=subprocess.PIPE, env=environment
    )


def read_versions(settings):
    with mlflow_client(settings, "read") as client:
        return {int(v.version): v.tags for v in client.search_model_versions("name = 'flights'")}


def test_version_bears_the_run_s_digests(settings, facts):
    """The version is found by its run key and says what it is made of."""
    run_id = log_run(settings, facts)
    version = register(settings, facts, run_id)

    assert version == ModelVersion(version=1, run_id=run_id, run_key="a" * 64, bundle=facts.bundle.digest)
    assert read_versions(settings) == {1: facts.tags}


def test_a_run_key_has_one_version(settings, facts, other):
    """Registered again, the version is the one that stands there; another key has its own."""
    first = register(settings, facts, log_run(settings, facts))

    assert register(settings, facts, log_run(settings, facts)) == first
    assert register(settings, other, log_run(settings, other)).version == 2
    assert sorted(read_versions(settings)) == [1, 2]


def test_the_run_shows_its_model(settings, facts):
    """In MLflow the run has the logged model as its output, finished and with the signature."""
    run_id = log_run(settings, facts)
    register(settings, facts, run_id)

    with mlflow_client(settings, "look") as client:
        (output,) = client.get_run(run_id).outputs.model_outputs
        model = client.get_logged_model(output.model_id)
    assert (str(model.status), model.source_run_id) == ("READY", run_id)


def test_an_upload_of_another_bundle_is_not_reused(settings, facts):
    """A model that an earlier attempt uploaded is taken only if it is the very bundle."""
    run_id = log_run(settings, facts)
    repacked = facts.bundle.model_copy(update={"digest": "9" * 64})
    with mlflow_client(settings, "upload twice") as client:
        first = _log_model(client, facts, run_id)
        again = _log_model(client, facts, run_id)
        other = _log_model(client, dataclasses.replace(facts, bundle=repacked), run_id)

    assert first.model_id == again.model_id != other.model_id


def test_of_two_versions_that_raced_the_lower_stays(settings, facts):
    """Who created the higher number takes it back and answers with the lower."""
    run_id = log_run(settings, facts)
    with mlflow_client(settings, "race") as client:
        model = _log_model(client, facts, run_id)
        first = _create_version(client, facts, model, False)
        late = dataclasses.replace(facts, run_key="z" * 64)
        second = _create_version(client, facts, _log_model(client, late, run_id), False)

    assert int(first.version) == int(second.version) == 1
    assert list(read_versions(settings)) == [1]


@pytest.mark.fault
def test_two_processes_that_race_make_one_version(settings, facts):
    """Both are told the same version, and there is no other."""
    racers = [start(settings, facts) for _ in range(2)]
    said = [racer.communicate()[0] for racer in racers]

    assert [racer.returncode for racer in racers] == [0, 0]
    assert set(said) == {b"%d\n" % number for number in read_versions(settings)}
    assert len(read_versions(settings)) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    "failpoint", ["tracking-before-finish", "registry-before-finalize", "registry-after-create-version"]
)
def test_killed_anywhere_and_started_again_makes_one_version(settings, facts, failpoint):
    """A kill -9 between any two calls leaves nothing that a second attempt doesn't complete."""
    killed = start(settings, facts, failpoint)
    killed.communicate()
    assert killed.returncode == -9

    version = register(settings, facts, log_run(settings, facts))

    assert list(read_versions(settings)) == [version.version] == [1]
    with mlflow_client(settings, "count") as client:
        experiment = client.get_experiment_by_name("flights").experiment_id
        assert len(client.search_runs([experiment])) == 1
        assert len(client.search_logged_models([experiment])) == 1


def aliases(champion, previous=None, challenger=None):
    return {"champion": champion, "challenger": challenger, "previous": previous}


def test_aliases_follow_the_journal(settings, facts, other):
    """Set, moved and removed, and what differed is reported once; the challenger of a rollout has one too."""
    for run in (facts, other):
        register(settings, run, log_run(settings, run))

    assert mirror_aliases(settings, "flights", aliases(1)) == (Repair("champion", None, 1),)
    assert mirror_aliases(settings, "flights", aliases(1)) == ()
    assert mirror_aliases(settings, "flights", aliases(2, 1)) == (
        Repair("champion", 1, 2),
        Repair("previous", None, 1),
    )
    assert mirror_aliases(settings, "flights", aliases(1)) == (
        Repair("champion", 2, 1),
        Repair("previous", 1, None),
    )
    assert mirror_aliases(settings, "flights", aliases(1, challenger=2)) == (Repair("challenger", None, 2),)


def test_an_alias_moved_by_hand_is_put_back(settings, facts, other):
    """The journal leads; other people's aliases are left alone."""
    for run in (facts, other):
        register(settings, run, log_run(settings, run))
    mirror_aliases(settings, "flights", aliases(1))
    with mlflow_client(settings, "move by hand") as client:
        client.set_registered_model_alias("flights", "champion", "2")
        client.set_registered_model_alias("flights", "mine", "2")

    assert mirror_aliases(settings, "flights", aliases(1)) == (Repair("champion", 2, 1),)
    with mlflow_client(settings, "look") as client:
        assert client.get_registered_model("flights").aliases == {"champion": 1, "mine": 2}


def test_a_model_that_isn_t_there_has_no_aliases(settings):
    """Before the first version there is nothing to mirror."""
    assert mirror_aliases(settings, "flights", aliases(None)) == ()


def test_a_version_that_isn_t_there_is_told(settings, facts):
    """A champion that someone deleted in MLflow is an error that names it."""
    register(settings, facts, log_run(settings, facts))

    with pytest.raises(RegistryError, match=r"Can't set the aliases of model 'flights'.*version=7"):
        mirror_aliases(settings, "flights", aliases(7))
