"""Reading and checking a pipeline's YAML as a whole."""

# ruff: noqa: E501 - the contract's sample stands here as it stands there
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evertrain.config.files import check_trainable, load_config
from evertrain.errors import ConfigError
from evertrain.settings import read_settings

SETTINGS = read_settings({})

SIX_FAULTS = """
name: Flights
data:
  source: {type: files, uri: "data/*.csv"}
  target: late
  features: {numeric: [late]}
training:
  estimator: sklearn.ensemble.RandomForestClasifier
evaluation:
  task: binary_classification
  metrics: [roc_auc, r2]
promotion:
  strategy: {type: canary, steps: [5, 25, 150]}
  aproval: none
"""
SOUND = """
name: flights
data: {source: {type: files, uri: "data/*.csv"}, target: late}
training: {estimator: sklearn.tree.DecisionTreeClassifier}
evaluation: {task: binary_classification}
"""
CONTRACT = """
name: flights                       # [a-z][a-z0-9_-]{0,62}; the MLflow registered model and experiment bear it
description: Will a flight land more than 15 minutes late?
owner: airline-ops@example.org

data:
  source: {type: files, uri: "data/flights/*.parquet"}
      # files: CSV, Parquet, JSON lines; local path, glob, s3://bucket/prefix/*.parquet
      # sql: {type: sql, url_env: WAREHOUSE_URL, query: "SELECT …"}      any SQLAlchemy URL, read-only
      # python: {type: python, entry: "package.module:function"}          returns a frame; off unless EVERTRAIN_ALLOW_PYTHON_SOURCES=1
  query: |                          # optional: one SELECT over the table `source` (DuckDB): filter, join, rename, derive the target
    SELECT *, arr_delay > 15 AS late FROM source
  timestamp: time_hour              # event time; optional
  target: late
  positive: true                    # two classes: default the greater by sort order
  entity: [carrier, flight]         # optional: keeps a caller on one arm; without timestamp, also keeps a row on one side of the split
  features:
    numeric: [sched_dep_time, sched_arr_time, distance, hour]
    categorical: [carrier, origin, dest]
    datetime: []                    # ISO times: year, month, day of week and hour are derived
  weight: null                      # optional column of sample weights
  window: {train: 60d, holdout: 30d}   # the newest `holdout` before --as-of is held out, the `train` before it is learnt from

labels:                             # optional: outcomes that arrive later
  source: {type: files, uri: "data/outcomes/*.parquet"}
  join: prediction_id               # or [carrier, flight, time_hour]: entity and timestamp columns
  column: late
  arrived_at: loaded_at
  delay: 0s                         # without arrived_at: known at the row's timestamp + delay

validation:
  expectations:                     # Great Expectations' own names and arguments
    - {type: expect_column_values_to_be_between, column: distance, min_value: 10, max_value: 6000}
    - {type: expect_column_values_to_be_in_set, column: origin, value_set: [EWR, JFK, LGA]}
    - {type: expect_table_row_count_to_be_between, min_value: 1000}
  on_failure: stop                  # stop | quarantine
  max_quarantine_share: 0.05

training:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {max_iter: 100}
  search: {trials: 20, timeout: 10m, space: {learning_rate: {type: float, low: 0.01, high: 0.3, log: true}}}   # float | int | categorical
  class_weight: none                # none | balanced
  calibration: none                 # none | sigmoid | isotonic; fitted on the newest fifth of the training window, never on held-out rows
  timeout: 1h
  seed: 0

evaluation:
  task: binary_classification       # | multiclass_classification | regression
  metrics: [roc_auc, log_loss]      # the first is primary
  slices: [origin, carrier]
  gates:
    - {type: threshold, metric: roc_auc, min: 0.55}        # min or max
    - {type: beats_champion, metric: roc_auc, min_gain: 0.0, confidence: 0.95}
    - {type: not_worse, metric: log_loss, margin: 0.0, confidence: 0.95}
    - {type: slices, metric: roc_auc, max_regression: 0.03, min_rows: 200}
    - {type: latency, p99_ms: 20}
    - {type: signature}

promotion:
  strategy: {type: canary, steps: [5, 25, 50, 100], bake: 10m}
      # direct | blue_green {keep_warm: 15m} | canary | shadow {duration: 1h, then: direct} | ab {share: 50, duration: 7d, metric: roc_auc}
  guardrails: {max_error_rate: 0.01, max_p99_ratio: 1.5}
  approval: none                    # none | required
  allow_signature_change: false

serving: {log_predictions: true, sample: 1.0}
batch: {schedule: null, input: null, output: null}

drift:
  schedule: "0 * * * *"
  reference: training               # training | rolling
  current: {from: source, window: 7d, min_rows: 500}   # from: source (newest window before --as-of) | predictions (the service's log)
  max_share: 0.3
  performance: {metric: roc_auc, max_drop: 0.03}
  regret: {metric: roc_auc, min_gain: 0.01, confidence: 0.95}
  confirm: {checks: 1, of: 1}
  cooldown: 24h
  retrain_on: [data]                # any of data, performance, regret

schedule: {train: "0 3 * * 1", timezone: UTC}
notify: [{type: webhook, url_env: TEAM_WEBHOOK}]
"""


@pytest.fixture
def write(tmp_path):
    """Write a YAML, give its path."""

    def _write(text: str) -> Path:
        path = tmp_path / "flights.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_the_contracts_sample_is_sound(write):
    """Every key of the contract is read, and each value arrives."""
    config = load_config(write(CONTRACT), SETTINGS)

    assert config.data.query == "SELECT *, arr_delay > 15 AS late FROM source\n"
    assert config.data.features is not None
    assert config.data.features.names[-1] == "dest"
    assert [gate.type for gate in config.evaluation.gates] == [
        *("threshold", "beats_champion", "not_worse", "slices", "latency", "signature")
    ]
    assert config.validation.expectations[1].arguments == {
        "column": "origin",
        "value_set": ["EWR", "JFK", "LGA"],
    }


def test_every_strategy_of_the_contract_trains(write):
    """The contract's own YAML, and the same with an A/B test."""
    for overrides in ((), ("promotion.strategy={type: ab, metric: roc_auc}",)):
        check_trainable(load_config(write(CONTRACT), SETTINGS, overrides), SETTINGS, "flights.yaml")


def test_an_ab_test_without_a_log_is_refused(write):
    """Its verdict rests on the labels of logged predictions: none are kept, or one in a hundred, none decides."""
    for unlogged in ("serving.log_predictions=false", "serving.sample=0"):
        overrides = ("promotion.strategy={type: ab, metric: roc_auc}", unlogged)
        with pytest.raises(ConfigError) as caught:
            load_config(write(CONTRACT), SETTINGS, overrides)
        assert [fault["path"] for fault in caught.value.attributes["faults"]] == ["promotion.strategy.type"]


def test_six_faults_are_told_in_one_go(write):
    """Types, rules and the estimator's own, in the order of the file's sections."""
    path = write(SIX_FAULTS)

    with pytest.raises(ConfigError) as caught:
        load_config(path, SETTINGS)

    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(f"{path}: 6 faults\n")
    faults = {fault["path"]: fault for fault in caught.value.attributes["faults"]}
    assert list(faults) == [
        "name",
        "data.features.numeric[0]",
        "training.estimator",
        "evaluation.metrics[1]",
        "promotion.strategy.steps[2]",
        "promotion.aproval",
    ]
    assert faults["promotion.strategy.steps[2]"]["found"] == "150"
    assert faults["promotion.strategy.steps[2]"]["expected"] == "a whole number from 1 to 100"
    assert "sklearn.ensemble.RandomForestClassifier" in faults["training.estimator"]["expected"]
    assert all(f"\n  {path}: " in caught.value.message for path in faults)


def test_an_override_is_checked_like_the_file(write):
    """Put in before the check, and a wrong one is told by its path."""
    path = write(SOUND)

    assert load_config(path, SETTINGS, ["training.seed=7"]).training.seed == 7
    with pytest.raises(ConfigError) as caught:
        load_config(path, SETTINGS, ["training.sed=7", "evaluation.gates[0].min=1", "name=X"])
    assert [fault["path"] for fault in caught.value.attributes["faults"]] == [
        *("name", "training.sed", "evaluation.gates[0]")
    ]


def test_a_place_has_one_fault(write):
    """What is of the wrong type isn't told twice."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(SOUND), SETTINGS, ["training.estimator=tree"])

    assert [fault["path"] for fault in caught.value.attributes["faults"]] == ["training.estimator"]


def test_a_wrong_query_and_estimator_are_found_with_all_else(write):
    """Vendors are asked too where there is another fault."""
    overrides = ["data.query=SELEC", "training.estimator=os.path", "training.seed=-1"]

    with pytest.raises(ConfigError) as caught:
        load_config(write(SOUND), SETTINGS, overrides, defer_vendors=True)

    paths = [fault["path"] for fault in caught.value.attributes["faults"]]
    assert sorted(paths) == ["data.query", "training.estimator", "training.seed"]


def test_vendors_can_be_asked_later(write):
    """A run that turns out to be done already never asks them."""
    config = load_config(write(SOUND), SETTINGS, ["training.params={max_dept: 3}"], defer_vendors=True)

    with pytest.raises(ConfigError, match=r"training.params.max_dept: .*did you mean max_depth"):
        check_trainable(config, SETTINGS, "flights.yaml")
    check_trainable(load_config(write(SOUND), SETTINGS), SETTINGS, "flights.yaml")


def test_deferred_vendors_are_not_imported(write):
    """Neither scikit-learn nor DuckDB nor pandas: an unchanged run is answered at once."""
    code = (
        "import sys; from pathlib import Path; from evertrain.config.files import load_config\n"
        "from evertrain.settings import read_settings\n"
        f"load_config(Path({str(write(SOUND))!r}), read_settings({{}}), defer_vendors=True)\n"
        "print([name for name in ('sklearn', 'duckdb', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "[]\n"


def test_a_missing_file_is_a_wrong_configuration(tmp_path):
    """Exit 2, naming where it was looked for."""
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml", SETTINGS)
