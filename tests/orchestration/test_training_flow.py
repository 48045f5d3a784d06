from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evertrain.config.files import load_config
from evertrain.errors import Conflict, DataRefused, TrainingError
from evertrain.liveness import identify_process
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.release import decide_claimed
from evertrain.settings import read_settings
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
WEAK = "sklearn.dummy.DummyClassifier"
STRONG = "sklearn.gaussian_process.GaussianProcessClassifier"
SAME = "training.params={max_iter_predict: 101}"
FAILING = [
    "training.estimator=sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "training.params={solver: svd, shrinkage: 0.5}",
]


def opened(path: Path) -> Pipeline:
    settings = read_settings()
    return open_pipeline(load_config(path, settings), settings)


def kinds(path: Path) -> list[str]:
    entries, _ = opened(path).journal.read()
    return [entry.kind for entry in entries]


def test_the_first_version_is_promoted(training: TrainingFlow, home: Path, write_pipeline: Write) -> None:
    """With no champion to beat, the first version is promoted and the journal tells it in order."""
    path = write_pipeline(estimator="sklearn.linear_model.LogisticRegression")

    outcome = training(str(path))

    assert (outcome.decision, outcome.version, outcome.champion) == ("promoted", 1, None)
    assert outcome.bundle.runtime == "onnx"
    assert outcome.metrics["roc_auc"] > 0.75
    assert kinds(path) == ["claimed", "registered", "promoted", "released"]
    assert [gate.verdict for gate in outcome.gates] == ["not_shown", "not_shown", "not_shown"]


def test_an_unchanged_run_gives_the_earlier_answer(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """The same data, configuration and code make no second version."""
    path = write_pipeline()
    first = training(str(path))

    again = training(str(path))

    assert again == first.model_copy(update={"cached": True})
    assert kinds(path).count("registered") == 1


def test_an_equal_challenger_is_held_and_the_champion_stays(training: TrainingFlow, champions: Write) -> None:
    """A model that isn't better keeps its number and its reasons, and doesn't serve."""
    path = champions()

    held = training(str(path), overrides=[SAME])

    assert (held.decision, held.version) == ("held", 2)
    assert held.champion is not None
    assert held.champion.version == 1
    assert held.reasons[0].startswith("beats_champion: gain in roc_auc")
    _, state = opened(path).journal.read()
    assert (state.champion, state.versions[2].status) == (1, "held")


def test_a_better_challenger_takes_the_title(training: TrainingFlow, champions: Write, home: Path) -> None:
    """A champion that learnt nothing loses to one that did, and MLflow's aliases follow."""
    path = champions(WEAK)

    outcome = training(str(path), overrides=[f"training.estimator={STRONG}"])

    assert (outcome.decision, outcome.version) == ("promoted", 2)
    gain = next(gate for gate in outcome.gates if gate.type == "beats_champion")
    assert gain.verdict == "pass"
    assert gain.low is not None
    assert gain.low > 0
    assert aliases(home) == {"champion": 2, "previous": 1}


def test_a_held_run_is_judged_again_once_the_champion_changed(
    training: TrainingFlow, champions: Write
) -> None:
    """The key of a held run is no verdict for ever: it is judged against whoever is champion."""
    path = champions(WEAK, STRONG)
    weak = ["training.estimator=sklearn.neighbors.KNeighborsClassifier", "training.params={n_neighbors: 1}"]
    assert training(str(path), overrides=weak).decision == "held"
    assert training(str(path), overrides=weak).cached
    from evertrain.release import decide_rolled_back

    opened(path).journal.append(decide_rolled_back())

    judged_again = training(str(path), overrides=weak)

    assert not judged_again.cached
    assert judged_again.version == 3
    assert judged_again.champion is not None
    assert judged_again.champion.version == 1


def test_failed_expectations_stop_before_anything_is_registered(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """Refused data leaves no version behind, and the claim is given back."""
    path = write_pipeline(
        extra="""\
        validation:
          expectations:
            - {type: expect_column_values_to_be_between, column: income, min_value: 1000}
        """
    )

    with pytest.raises(DataRefused, match="income"):
        training(str(path))

    assert kinds(path) == ["claimed", "released"]
    assert not aliases(home)


def test_bad_data_is_told_before_what_it_broke(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """Where a step fails on rows that are refused, the refusal is the error: it is the cause."""
    path = write_pipeline(
        extra="""\
        validation:
          expectations:
            - {type: expect_column_values_to_be_between, column: income, min_value: 1000}
        """
    )

    with pytest.raises(DataRefused, match="income"):
        training(str(path), overrides=FAILING)


def test_a_step_that_fails_on_good_data_keeps_its_error(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """A verdict that all is well changes nothing of what went wrong."""
    path = write_pipeline(
        extra="""\
        validation:
          expectations:
            - {type: expect_column_values_to_not_be_null, column: income}
        """
    )

    with pytest.raises(TrainingError, match="shrinkage"):
        training(str(path), overrides=FAILING)


def test_a_second_train_meets_the_living_first(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """While a living process trains the pipeline, another train is a Conflict that names it."""
    path = write_pipeline()
    opened(path).journal.append(decide_claimed("train", identify_process(), 15.0))

    with pytest.raises(Conflict, match="process"):
        training(str(path))


def test_an_alias_that_was_moved_by_hand_is_put_back_and_journalled(
    training: TrainingFlow, champions: Write, home: Path
) -> None:
    """MLflow's alias mirrors the journal and never leads; who moved it can read what to use instead."""
    path = champions(WEAK, STRONG)
    move_alias(home, "champion", 1)

    training(str(path), overrides=[f"training.estimator={STRONG}", SAME])

    assert aliases(home)["champion"] == 2
    entries, _ = opened(path).journal.read()
    repair = next(entry for entry in entries if entry.kind == "alias_repaired")
    assert (repair.data["alias"], repair.data["found"], repair.data["set"]) == ("champion", 1, 2)
    assert "evertrain rollback loans" in repair.reason


def test_a_run_shows_in_prefect_with_its_tasks_and_artifacts(champions: Write) -> None:
    """Prefect's API knows the run's tasks by name, its verdicts as tables and its place in MLflow."""
    from prefect.client.orchestration import get_client

    champions()

    with get_client(sync_client=True) as client:
        tasks = {run.name for run in client.read_task_runs(limit=200)}
        artifacts = client.request("POST", "/artifacts/filter", json={"limit": 200}).json()
    steps = {"ingest", "validate", "train", "package", "evaluate", "register", "promote", "report"}
    assert steps <= tasks
    keys = {artifact["key"] for artifact in artifacts}
    shown = {"loans-validation", "loans-champion-against-challenger", "loans-gates", "loans-mlflow-run"}
    assert shown <= keys


def test_the_page_of_a_run_lies_in_the_store_and_in_mlflow(champions: Write, home: Path) -> None:
    """Each version has one HTML page that tells its decision."""
    _, state = opened(champions()).journal.read()
    run_id = state.versions[1].run_id

    page = (home / "store" / "reports" / "loans" / "1.html").read_text()
    assert "promoted" in page
    assert list((home / "mlartifacts").rglob(f"{run_id}/artifacts/report.html"))


def aliases(home: Path) -> dict[str, int]:
    from evertrain.mlflow_client import mlflow_client

    with mlflow_client(read_settings(), "look") as client:
        models = client.search_registered_models("name = 'loans'")
        return {alias: int(version) for model in models for alias, version in model.aliases.items()}


def move_alias(home: Path, alias: str, version: int) -> None:
    from evertrain.mlflow_client import mlflow_client

    with mlflow_client(read_settings(), "move") as client:
        client.set_registered_model_alias("loans", alias, str(version))
