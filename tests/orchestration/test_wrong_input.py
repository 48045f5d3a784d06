from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
Run = Callable[..., int]

DATED = "data.source.uri=dated.csv"


def write_dated(folder: Path) -> None:
    """A hundred rows in January 2024."""
    rows = [f"2024-01-{day % 28 + 1:02d},{day},{'Yes' if day % 3 else 'No'}" for day in range(100)]
    (folder / "dated.csv").write_text("\n".join(["day,x,default", *rows]) + "\n")


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        (["data.source.uri=nowhere/*.csv"], 3, ["nowhere/*.csv"]),
        (["data.source.uri=empty.csv"], 3, ["empty.csv"]),
        (["data.source.uri=header.csv"], 3, ["header.csv", "no rows"]),
        (["data.source.uri=broken.parquet"], 3, ["broken.parquet"]),
        (["data.target=defaulted"], 3, ["defaulted", "default"]),
        (["data.target=constant", "data.source.uri=constant.csv"], 3, ["constant"]),
        (["data.features={numeric: [incom]}"], 3, ["incom", "income"]),
        (["data.timestamp=day", "data.window={train: 60d, holdout: 30d}", DATED], 3, ["data.window.train"]),
        (["data.query=SELECT nothing FROM source"], 3, ["nothing"]),
        (["data.query=DROP TABLE source"], 2, ["data.query"]),
        (["training.estimator=sklearn.linear_model.LogisticRegresion"], 2, ["LogisticRegression"]),
        (["training.estimator=os.path.join"], 2, ["training.estimator", "sklearn"]),
        (["training.params={c: 1}"], 2, ["training.params.c"]),
        (["training.params={C: -1}"], 2, ["training.params.C"]),
        (["training.estimator=sklearn.svm.SVC"], 2, ["roc_auc"]),
        (["promotion.strategy={type: canary, steps: [5, 25, 150]}"], 2, ["promotion.strategy.steps[2]"]),
    ],
)
def test_wrong_input_is_refused_by_name(
    overrides: list[str],
    code: int,
    words: list[str],
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each names the thing and what was expected, with the contract's exit code, and registers nothing."""
    path = write_pipeline()
    write_dated(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("income,default\n")
    (tmp_path / "broken.parquet").write_text("PAR1 this is no parquet")
    (tmp_path / "constant.csv").write_text("x,constant\n" + "".join(f"{x},Yes\n" for x in range(99)))
    options = [word for override in overrides for word in ("--set", override)]

    found = evertrain("train", str(path), *options, "--json", "--as-of", "2024-06-01")

    said = capfd.readouterr()
    error = json.loads(said.out)["error"]
    assert (found, error["exit"]) == (code, code)
    for word in words:
        assert word in error["message"]
    assert "Traceback" not in said.err
    assert not list((home / "store").glob("bundles/*"))


def test_six_faults_are_told_in_one_go(
    home: Path, tmp_path: Path, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """One look at the error mends the whole file."""
    (tmp_path / "wrong.yaml").write_text(
        "name: Loans\n"
        "data: {source: {type: files, url: x.csv}, target: y}\n"
        "training: {estimator: sklearn.linear_model.LogisticRegresion, timeout: soon}\n"
        "evaluation: {task: regression, metrics: [roc_auc]}\n"
        "promotion: {strategy: {type: cannary}}\n"
    )

    code = evertrain("train", "wrong.yaml", "--json")

    message = json.loads(capfd.readouterr().out)["error"]["message"]
    assert code == 2
    for path in (
        "name",
        "data.source.url",
        "training.estimator",
        "training.timeout",
        "evaluation.metrics[0]",
        "promotion.strategy.type",
    ):
        assert f"\n  {path}: " in message


def test_a_missing_yaml_is_told(home: Path, evertrain: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """The file that isn't there is named."""
    assert evertrain("train", "nowhere.yaml") == 2
    assert "nowhere.yaml" in capfd.readouterr().err


def test_a_home_that_cannot_be_written_is_exit_5(
    write_pipeline: Write,
    evertrain: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A file stands where the home should be: named, with what to do; root is refused as anyone is."""
    path = write_pipeline()
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "taken" / "home"))
    monkeypatch.chdir(tmp_path)

    code = evertrain("train", str(path), "--json")

    error = json.loads(capfd.readouterr().out)["error"]
    assert code == 5
    assert str(tmp_path / "taken") in error["message"]


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_a_wrong_option(
    port: str, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """`serve` names the option, exit 2, and starts nothing."""
    assert evertrain("serve", "--port", port) == 2
    assert "--port" in capfd.readouterr().err
