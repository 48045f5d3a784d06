"""First drafts: each is a sound pipeline that trains on its data at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from evertrain.cli.app import main
from evertrain.config.files import load_config
from evertrain.datasets import ingest, read_snapshot
from evertrain.drafts import draft_pipeline
from evertrain.drafts.writing import quote
from evertrain.errors import ConfigError, DataRefused, SourceError
from evertrain.settings import read_settings
from evertrain.storage import LocalStore
from evertrain.validation import validate

DATA = Path(__file__).parents[3] / "data"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = datetime(2024, 3, 1)
SETTINGS = read_settings({})


def table(rows=300, **columns):
    """A small table; columns given replace or join its own."""
    numbers = range(rows)
    return pd.DataFrame(
        {
            "at": [START + timedelta(hours=8 * number) for number in numbers],
            "size": [number * 7 % 83 / 4 for number in numbers],
            "shop": [["a", "b", "c"][number % 3] for number in numbers],
            "sold": [number % 5 < 2 for number in numbers],
            **columns,
        }
    )


def write(folder, frame, name="sales.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def draft(path, target="sold", name=None):
    return draft_pipeline(str(path), target, name=name, now=NOW)


def try_out(found, folder, fit=False):
    """Check the draft as a file, ingest and validate by it, and learn from it where that is asked."""
    (folder / "draft.yaml").write_text(found.text, encoding="utf-8")
    config = load_config(folder / "draft.yaml", SETTINGS)
    store = LocalStore(folder / "store")
    ingested = ingest(config, store, as_of=None, now=NOW)
    report = validate(config.validation, read_snapshot(store, ingested.snapshot))
    assert report.success, report
    if fit:
        from evertrain.training import train

        assert train(config, ingested, store, SETTINGS).train_rows > 0
    return config


def test_a_draft_says_what_was_found(tmp_path):
    """The task, the time that splits, the windows, the features, and expectations that hold."""
    frame = table(note=[f"remark {number}" for number in range(300)], region="north")

    found = draft(write(tmp_path, frame))
    config = try_out(found, tmp_path, fit=True)

    assert (found.name, found.task, found.timestamp) == ("sales", "binary_classification", "at")
    assert found.features == {"numeric": ("size",), "categorical": ("shop",)}
    assert set(found.left_out) == {"note", "region"}
    assert config.data.window is not None
    assert (config.data.window.holdout, config.data.positive) == (timedelta(days=19), True)
    assert {each.type for each in config.validation.expectations} == {
        "expect_table_row_count_to_be_between",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_in_set",
    }
    assert "# left out: region: constant" in found.text
    assert (
        "# - {type: expect_column_values_to_be_between, column: size, min_value: 0.0, max_value: 20.5}"
        in found.text
    )


def test_a_draft_retrains_where_that_pays(tmp_path):
    """Newer rows are probed in half the window that judges a retrain; rows without times aren't checked."""
    config = try_out(draft(write(tmp_path, table())), tmp_path)

    assert config.data.window is not None
    assert config.drift.regret is not None
    assert config.drift.current.window == timedelta(days=config.data.window.holdout.days // 2)
    assert config.drift.current.min_rows == 50
    assert (config.drift.regret.metric, config.drift.retrain_on) == ("roc_auc", ("data", "regret"))

    timeless = try_out(draft(write(tmp_path, table().drop(columns="at"))), tmp_path)
    assert timeless.drift.regret is None


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([number % 2 for number in range(300)], "binary_classification"),
        ([["yes", "no"][number % 2] for number in range(300)], "binary_classification"),
        ([float(number % 2) if number % 7 else None for number in range(300)], "binary_classification"),
        ([number % 4 for number in range(300)], "multiclass_classification"),
        ([["x", "y", "z"][number % 3] for number in range(300)], "multiclass_classification"),
        ([number % 90 for number in range(300)], "regression"),
        ([min(number, 9) for number in range(300)], "regression"),
        ([number % 2 + 0.5 for number in range(300)], "regression"),
    ],
)
def test_the_task_follows_the_targets_values(tmp_path, values, task):
    """Two values are two classes, texts and few numbers of many rows are classes, others a regression."""
    found = draft(write(tmp_path, table(sold=values)))

    assert found.task == task
    assert try_out(found, tmp_path).evaluation.task == task


def test_infinite_numbers_become_missing_ones(tmp_path):
    """The draft derives columns that can be learnt from, whatever they are called."""
    values = [float("inf") if number % 9 == 0 else number / 3 for number in range(300)]
    path = write(tmp_path, table(**{'ra"tio\n': values, "big": [1e300, *values[1:]]}), "sales.parquet")

    config = try_out(draft(path), tmp_path)

    assert config.data.query is not None
    assert config.data.features.numeric == ("size", 'ra"tio\n', "big")


def test_several_times_are_a_choice_that_is_left_to_the_reader(tmp_path):
    """None is used as the timestamp, and each stands there to be uncommented."""
    found = draft(write(tmp_path, table(paid=[START + timedelta(days=number) for number in range(300)])))

    assert found.timestamp is None
    assert "  # timestamp: at\n  # timestamp: paid\n" in found.text
    assert try_out(found, tmp_path).data.features.datetime == ("at", "paid")


def test_a_short_time_is_cut_at_a_fifth(tmp_path):
    """Windows of days would be too narrow."""
    frame = table(at=[START + timedelta(minutes=number) for number in range(300)])

    config = try_out(draft(write(tmp_path, frame)), tmp_path)

    assert (config.data.timestamp, config.data.window) == ("at", None)


def test_a_time_that_leaves_a_side_without_a_class_is_not_used(tmp_path):
    """The rows are then split by what they hold."""
    found = draft(write(tmp_path, table(sold=[number < 150 for number in range(300)])))

    assert found.timestamp is None
    assert "  # timestamp: at\n" in found.text
    try_out(found, tmp_path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_any_names_and_values_can_be_written(tmp_path, suffix):
    """Spaces, quotes, colons, line ends, other scripts, and words that YAML takes for something else."""
    names = [
        "a b",
        'say "x": {y}',
        "größe (cm)",
        "yes",
        "- 1",
        "# no",
        "10",
        "null",
        "back\\slash",
        "смайл 🙂",
    ]
    frame = table(
        **{name: [(number * 13 + place) % 50 for number in range(300)] for place, name in enumerate(names)}
    )
    frame["line\nend"] = [["on: off", "true", "' \" #", "🙂"][number % 4] for number in range(300)]

    found = draft(
        write(tmp_path, frame.rename(columns={"sold": "is: sold?"}), f"2024{suffix}"), "is: sold?", "odd"
    )
    config = try_out(found, tmp_path)

    assert config.data.target == "is: sold?"
    assert set(config.data.features.names) >= {*names, "line\nend", "shop"}


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("plain_1", "plain_1"),
        ("No", '"No"'),
        ("a\nb\x00", '"a\\U0000000Ab\\U00000000"'),
        ("\U000e0001", '"\\U000E0001"'),
        ("", '""'),
    ],
)
def test_texts_are_quoted_where_they_must_be(text, spelled):
    """On one line, whatever they hold."""
    assert quote(text) == spelled


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("sales.csv", "sales"),
        ("Sales & Returns 2024.csv", "sales-returns"),
        ("odd2.parquet", "odd2"),
        ("sales_2024-01.csv", "sales"),
        ("shop/2024-01.parquet", "shop"),
        ("shop/*.csv", "shop"),
        ("x" * 90 + ".csv", "x" * 63),
    ],
)
def test_a_pipeline_is_called_after_its_data(tmp_path, monkeypatch, place, name):
    """By the file, or the folder that holds it, in letters that a name may have."""
    monkeypatch.chdir(tmp_path)
    write(Path(), table(), place.replace("*", "1"))

    found = draft(place)

    assert found.name == name
    assert try_out(found, tmp_path).data.source.uri == place


def test_data_without_a_usable_name_gives_a_plain_one(tmp_path, monkeypatch):
    """Where neither file nor folder has a letter."""
    monkeypatch.chdir(tmp_path)
    write(Path(), table(), "2024.csv")

    assert draft("2024.csv").name == "pipeline"


@pytest.mark.parametrize(
    ("columns", "target", "error", "words"),
    [
        ({}, "solt", SourceError, "did you mean 'sold'"),
        ({}, "at", DataRefused, "holds timestamps; expected text, booleans or numbers"),
        ({"sold": 1}, "sold", DataRefused, "the same value in every row"),
        ({"sold": None}, "sold", DataRefused, "no value in any row"),
        (
            {"sold": [f"n{number}" for number in range(300)]},
            "sold",
            DataRefused,
            "300 different texts in 300 rows: names, not classes",
        ),
    ],
)
def test_a_target_that_can_not_be_learnt_is_refused(tmp_path, columns, target, error, words):
    """With what was found, and where it is a name, with what was meant."""
    with pytest.raises(error, match=words):
        draft(write(tmp_path, table(**columns)), target)


def test_a_class_too_rare_for_both_sides_is_refused(tmp_path):
    """By the words that a run would use."""
    frame = table(sold=["once", *(["x", "y"][number % 2] for number in range(299))]).drop(columns="at")

    with pytest.raises(DataRefused, match="every class of column 'sold' must occur"):
        draft(write(tmp_path, frame))


def test_a_name_that_no_pipeline_can_have_is_refused(tmp_path):
    """Before the data is looked at."""
    with pytest.raises(ConfigError, match="small letters"):
        draft(tmp_path / "none.csv", name="Sales 1")


@pytest.mark.parametrize(
    ("uri", "target"), [("weather/*.parquet", "temp"), ("flights/2013-01.parquet", "origin")]
)
def test_the_examples_data_gives_sound_drafts(tmp_path, uri, target):
    """A year of weather and a month of flights, as they come."""
    if not (DATA / "weather").is_dir():
        pytest.skip("the examples' data aren't there: `make data` makes them")

    config = try_out(draft(DATA / uri, target), tmp_path)

    assert config.data.timestamp == "time_hour"


def run(monkeypatch, *words) -> int:
    monkeypatch.setattr("sys.argv", ["evertrain", "init", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_writes_a_file_and_never_overwrites_one(tmp_path, monkeypatch, capfd):
    """Exit 0, then 2; a column that isn't there is 3; JSON says the same."""
    monkeypatch.chdir(tmp_path)
    data = write(tmp_path, table(region="north"))

    assert run(monkeypatch, data, "--target", "sold") == 0
    shown = capfd.readouterr().out
    assert "configs/sales.yaml" in shown
    assert "left out: region: constant" in shown
    text = Path("configs/sales.yaml").read_text(encoding="utf-8")

    assert run(monkeypatch, data, "--target", "sold") == 2
    assert "never written over" in capfd.readouterr().err
    assert Path("configs/sales.yaml").read_text(encoding="utf-8") == text

    assert run(monkeypatch, data, "--target", "solt", "--json") == 3
    assert json.loads(capfd.readouterr().out)["error"]["exit"] == 3

    assert run(monkeypatch, data, "--target", "sold", "--output", "a/b.yaml", "--json") == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["path"], said["task"], said["timestamp"]) == ("a/b.yaml", "binary_classification", "at")
    assert Path("a/b.yaml").read_text(encoding="utf-8") == text
    assert run(monkeypatch, "none.csv", "--target", "sold", "--output", "a/b.yaml") == 2


def test_a_place_that_can_not_be_written_is_told(tmp_path, monkeypatch, capfd):
    """As a wrong option: exit 2."""
    monkeypatch.chdir(tmp_path)
    data = write(tmp_path, table())

    assert run(monkeypatch, data, "--target", "sold", "--output", data / "x.yaml") == 2
    assert "Can't write" in capfd.readouterr().err


def test_what_a_run_would_remark_is_shown(tmp_path, monkeypatch, capfd):
    """A class that only the held-out rows have is told at once."""
    monkeypatch.chdir(tmp_path)
    data = write(
        tmp_path, table(sold=[["x", "y"][number % 2] if number < 290 else "z" for number in range(300)])
    )

    assert run(monkeypatch, data, "--target", "sold") == 0
    assert "held-out rows of classes that no learnt row has" in capfd.readouterr().out
