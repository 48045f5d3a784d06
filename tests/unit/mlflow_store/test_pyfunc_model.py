"""Tests of the registered model as MLflow itself loads it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import warnings

import pandas as pd
import pytest

from evertrain.bundles import load_bundle
from evertrain.errors import InvalidInput
from evertrain.mlflow_client import mlflow_client, tracking_uri
from evertrain.mlflow_model import _model_signature, write_mlflow_model
from evertrain.pyfunc_model import PyfuncModel, _load_pyfunc
from evertrain.registry import mirror_aliases, register
from evertrain.storage import attach_store
from evertrain.tracking import log_run

ROWS = pd.DataFrame({"dep time": [1, 4], "origin": ["EWR", "JFK"], "ignored": [0, 0]})


@pytest.fixture
def champion(settings, facts):
    """The settings of an MLflow whose champion is the real bundle."""
    version = register(settings, facts, log_run(settings, facts)).version
    mirror_aliases(settings, "flights", {"champion": version})
    return settings


@pytest.fixture
def model(facts):
    """The bundle as MLflow loads it, without MLflow."""
    return _load_pyfunc(str(facts.bundle_folder.parents[1]))


def load(settings):
    import mlflow.pyfunc

    with mlflow_client(settings, "load"):
        mlflow.set_tracking_uri(tracking_uri(settings))
        return mlflow.pyfunc.load_model("models:/flights@champion")


def test_mlflow_s_model_answers_as_the_bundle_does(champion, facts):
    """`models:/flights@champion` gives the labels that the bundle, and so the service, gives."""
    bundle = load_bundle(attach_store(str(facts.bundle_folder.parents[1])), facts.bundle.digest)
    expected = bundle.predict({"dep time": [1, 4], "origin": ["EWR", "JFK"]})

    loaded = load(champion)
    answers = loaded.predict(ROWS)
    frame = loaded.predict(ROWS, params={"probabilities": True})

    assert answers.tolist() == expected.labels(bundle.signature) == ["No", "Yes"]
    assert frame["probability_Yes"].tolist() == expected.probabilities[:, 1].tolist()


def test_missing_values_and_other_number_types_are_taken(champion):
    """Through MLflow too, null is a missing value and 1 is 1.0."""
    frame = pd.DataFrame({"dep time": [1.0, None], "origin": [None, "LGA"]})

    assert len(load(champion).predict(frame)) == 2


def test_a_missing_column_is_refused_by_name(champion, model):
    """Neither MLflow nor the bundle answers rows that lack a feature."""
    with pytest.raises(Exception, match="dep time"):
        load(champion).predict(ROWS[["origin"]])
    with pytest.raises(InvalidInput, match="dep time"):
        model.predict(ROWS[["origin"]])


def test_loading_in_a_fresh_process_is_quiet(champion):
    """A user's own script loads and asks the champion with nothing on standard error."""
    code = (
        "import mlflow, pandas as pd; m = mlflow.pyfunc.load_model('models:/flights@champion');"
        "print(m.predict(pd.DataFrame({'dep time': [1], 'origin': ['EWR']})).tolist())"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(champion)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)

    assert (done.stdout, done.stderr) == (b"['No']\n", b"")


def test_the_folder_is_what_mlflow_s_own_call_writes(facts, tmp_path):
    """`save_model`, given the same, writes the same flavour, signature, requirements and files."""
    import yaml

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own type hints displease it when it is first imported
        import mlflow.pyfunc
        from mlflow.models import Model

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    write_mlflow_model(ours, facts, "m-1")
    requirements = (ours / "requirements.txt").read_text().splitlines()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would have an example of the input: a user's rows
        mlflow.pyfunc.save_model(
            path=str(theirs),
            loader_module="evertrain.pyfunc_model",
            data_path=str(ours / "data" / "store"),
            mlflow_model=Model(model_id="m-1"),
            signature=_model_signature(facts.trained.signature),
            pip_requirements=requirements,
            metadata={"evertrain.bundle": facts.bundle.digest},
        )

    apart = ("model_uuid", "utc_time_created")
    described = [yaml.safe_load((folder / "MLmodel").read_text()) for folder in (ours, theirs)]
    flavours = [each["flavors"].pop("python_function") for each in described]
    assert len({str({**each, **dict.fromkeys(apart)}) for each in described}) == 1
    assert flavours[0] == {name: value for name, value in flavours[1].items() if name != "code"}
    assert (theirs / "requirements.txt").read_text().splitlines() == requirements
    for name in ("conda.yaml", "python_env.yaml"):
        assert sorted(read_words(ours / name)) == sorted(read_words(theirs / name))
    files = [{str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (ours, theirs)]
    assert files[0] == files[1]


def read_words(path):
    """What a YAML file says, without the versions of the tools that build an environment."""
    return [line.split("==")[0].split("<=")[0] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1, None], dtype="object"),
        pd.Series([1.0, None]),
        pd.Series([1, 2], dtype="category"),
    ],
)
def test_pandas_own_types_are_taken(model, column):
    """Nullable, object and categorical columns hold what they hold."""
    answers = model.predict(
        pd.DataFrame({"dep time": column, "origin": pd.array(["EWR", None], dtype="string")})
    )

    assert len(answers) == 2


def test_zoned_times_become_utc(model):
    """A zoned time column reaches the column layer as UTC."""
    seen = {}

    class Bundle:
        signature = model.bundle.signature.model_copy(
            update={"features": model.bundle.signature.features[:1]}
        )

        def predict(self, columns):
            seen.update(columns)
            return model.bundle.predict({"dep time": [1], "origin": ["EWR"]})

    times = pd.to_datetime(["2020-01-01T01:00:00+01:00"]).to_series(index=[0], name="dep time")
    PyfuncModel(Bundle()).predict(times.to_frame())

    assert str(seen["dep time"][0]) == "2020-01-01T00:00:00.000000000"


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ((False, True), "boolean"),
        ((1, 2), "long"),
        ((1.5, 2.5), "double"),
        (("a", "b"), "string"),
        (None, "double"),
    ],
)
def test_signature_answers_in_the_labels_own_type(facts, classes, kind):
    """The signature in MLflow says what type the answers have."""
    signature = facts.trained.signature.model_copy(update={"classes": classes})

    assert [column.type.name for column in _model_signature(signature).outputs] == [kind]


def test_regression_answers_numbers(model):
    """Without classes there are numbers, and no probabilities to ask for."""
    prediction = model.bundle.predict({"dep time": [1, 4], "origin": ["EWR", "JFK"]})
    numbers = dataclasses.replace(
        prediction, codes=None, values=prediction.probabilities[:, 0], probabilities=None
    )

    class Bundle:
        signature = model.bundle.signature.model_copy(update={"classes": None})

        def predict(self, columns):
            return numbers

    answers = PyfuncModel(Bundle()).predict(ROWS, {"probabilities": True})

    assert list(answers.columns) == ["prediction"]
    assert answers["prediction"].tolist() == numbers.values.tolist()
