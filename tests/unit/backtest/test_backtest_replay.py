from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evertrain.backtest import Makers, Workshop, replay, wanted_scores
from evertrain.backtest.making import make, recall
from evertrain.backtest.periods import Period, cut_periods
from evertrain.backtest.pieces import (
    CheckMade,
    FitMade,
    RowsMade,
    Score,
    ScoreMade,
    VerdictMade,
    WindowMade,
    key_of,
    plan_check,
    plan_fit,
    plan_probe,
    plan_rows,
    plan_verdict,
    plan_window,
)
from evertrain.backtest.place import Place
from evertrain.backtest.processes import Processes
from evertrain.backtest.running import Request, plan_backtest
from evertrain.backtest_records import StrategyResult
from evertrain.errors import ConfigError, DataRefused, SourceError
from evertrain.settings import read_settings
from evertrain.storage import Store, open_store
from tests.unit.backtest.conftest import BEGIN, Here, load, tell_nobody, write_pipeline, write_rows

SINCE, UNTIL = BEGIN + timedelta(days=30), BEGIN + timedelta(days=130)
PERIODS = cut_periods(SINCE, UNTIL, timedelta(days=20))


@pytest.fixture
def results(turning: Path, workshop: Workshop) -> dict[str, StrategyResult]:
    found = replay(load(turning), (), PERIODS, workshop)
    return {each.name: each for each in found}


def test_a_policy_of_regret_does_as_well_as_always_for_less(results: dict[str, StrategyResult]) -> None:
    """A rule that turns half-way ruins who never retrains; the policy retrains, and not each time."""
    never, always, policy = (results[name] for name in ("never", "always", "policy"))

    assert never.metrics["roc_auc"] < 0.7 < always.metrics["roc_auc"]
    assert policy.metrics["roc_auc"] > always.metrics["roc_auc"] - 0.005
    assert 1 <= policy.promotions < len(PERIODS) - 1 == always.retrains
    assert policy.frontier is False
    first = [each.periods[0].model_dump(exclude={"reason"}) for each in results.values()]
    assert all(each == first[0] for each in first)


def test_each_period_is_scored_on_its_own_rows(results: dict[str, StrategyResult]) -> None:
    """All labelled rows of a period count, once; Brier's score stands beside the pipeline's metrics."""
    for each in results.values():
        assert [turn.rows for turn in each.periods] == [600] * 4 + [599]
        assert {name for turn in each.periods for name in turn.metrics} == {
            "roc_auc",
            "log_loss",
            "brier_score_loss",
        }


def test_nothing_but_pieces_is_written(
    turning: Path, kept: Store, results: dict[str, StrategyResult]
) -> None:
    """No journal, no run, no replica: what a backtest leaves is named by its content."""
    folders = {key.split("/")[0] for key in kept.list("")}
    assert folders == {"backtest", "bundles", "holdouts", "models", "snapshots"}


def test_what_was_worked_out_is_recalled(turning: Path, kept: Store, results: object) -> None:
    """A second backtest computes nothing; one with other thresholds fits nothing."""
    maker = Here(kept)
    again = Workshop(kept, maker, tell_nobody)
    replay(load(turning), (), PERIODS, again)
    assert (again.computed, maker.made) == (0, [])

    swept = tuple(
        ((f"drift.regret.min_gain={gain}",), load(turning, f"drift.regret.min_gain={gain}"))
        for gain in (0.0, 0.05, 0.4)
    )
    found = replay(load(turning), swept, PERIODS, again)
    assert not [piece for piece in maker.made if piece.kind in ("rows", "fit", "window", "verdict")]
    assert [each.retrains for each in found[-3:]] == sorted(
        [each.retrains for each in found[-3:]], reverse=True
    )


def test_a_backtest_that_is_cut_off_goes_on(turning: Path, tmp_path: Path) -> None:
    """What was finished before the interrupt isn't worked out again."""
    store = open_store(str(tmp_path / "store"))
    cut_off = Here(store, most=7)
    with pytest.raises(KeyboardInterrupt):
        replay(load(turning), (), PERIODS[:2], Workshop(store, cut_off, tell_nobody))
    after = Here(store)
    workshop = Workshop(store, after, tell_nobody)
    replay(load(turning), (), PERIODS[:2], workshop)

    assert workshop.recalled >= 7
    assert not {key_of(piece) for piece in after.made} & {key_of(piece) for piece in cut_off.made}


def test_nothing_later_is_seen(turning: Path, kept: Store, tmp_path: Path) -> None:
    """What is learnt, checked and probed as of a moment is the same, whatever comes after that moment."""
    folder = tmp_path / "other"
    folder.mkdir()
    changed = write_pipeline(folder)
    write_rows(folder / "rows.csv", turned_labels_after=80)
    moment = BEGIN + timedelta(days=80)
    here, there = load(turning), load(changed)
    place = Place(kept, read_settings({}))

    def look(config: Any) -> list[Any]:
        first = plan_fit(config, SINCE, "source")
        pieces = [
            plan_rows(config, moment, "source"),
            plan_fit(config, moment, "source"),
            plan_probe(config, moment, "source"),
            plan_check(config, first, moment, "source", None),
        ]
        return [make(piece, place).model_dump(exclude={"seconds"}) for piece in pieces]

    assert look(here) == look(there)
    later = plan_window(here, moment, moment + timedelta(days=5), "source")
    changed_later = plan_window(there, moment, moment + timedelta(days=5), "source")
    windows = [make(each, place) for each in (later, changed_later)]
    assert isinstance(windows[0], WindowMade)
    assert isinstance(windows[1], WindowMade)
    assert windows[0].snapshot.digest != windows[1].snapshot.digest


def test_labels_that_come_later_are_not_seen_before(turning: Path, kept: Store, tmp_path: Path) -> None:
    """With labels of their own: as of a moment those that had arrived; a period is scored on all of them."""
    rows = (turning.parent / "rows.csv").read_text().splitlines()
    labels = ["first,when,late,arrived"]
    for row in rows[1:]:
        when, first, _, late = row.split(",")
        arrived = datetime.fromisoformat(when) + timedelta(days=12)
        labels.append(f"{first},{when},{late},{arrived.isoformat()}")
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    source = {"type": "files", "uri": str(tmp_path / "labels.csv")}
    wanted = {"source": source, "join": ["first", "when"], "column": "late", "arrived_at": "arrived"}
    config = load(turning, "data.entity=[first]", "data.window.holdout=20d", f"labels={json.dumps(wanted)}")
    place = Place(kept, read_settings({}))

    as_of = make(plan_rows(config, SINCE + timedelta(days=20), "labels"), place)
    assert isinstance(as_of, RowsMade)
    assert as_of.ingested is not None
    # Of the newest twenty days the first eight had their labels.
    assert (as_of.ingested.snapshot.holdout_rows, as_of.ingested.snapshot.unlabelled) == (240, 360)
    period = make(plan_window(config, SINCE, SINCE + timedelta(days=20), "labels"), place)
    assert isinstance(period, WindowMade)
    assert (period.snapshot.holdout_rows, period.snapshot.rows) == (600, 600)


def test_a_check_s_measure_serves_every_threshold(turning: Path) -> None:
    """Limits, confirmation and cooldown are no part of a check; windows and metrics are."""
    base = load(turning)

    def key(*overrides: str) -> str:
        config = load(turning, *overrides)
        return key_of(plan_check(config, plan_fit(base, SINCE, "source"), UNTIL, "source", None))

    free = ["drift.max_share=0.9", "drift.regret.min_gain=0.2", "drift.cooldown=90d", "description=else"]
    assert {key(each) for each in free} == {key()}
    bound = [
        "drift.current.window=20d",
        "drift.regret.confidence=0.9",
        "training.seed=7",
        "drift.reference=rolling",
    ]
    assert len({key(), *(key(each) for each in bound)}) == 5


def test_a_source_that_grew_is_not_learnt_from_again(turning: Path, kept: Store, results: object) -> None:
    """Another digest of the source, the same rows as of then: the model that they made is taken."""
    place = Place(kept, read_settings({}))
    before = make(plan_fit(load(turning), PERIODS[1].since, "grown"), place)
    assert isinstance(before, FitMade)
    assert before.bundle is not None
    piece = plan_fit(load(turning), PERIODS[1].since, "grown more")
    models = set(kept.list("models/"))

    assert make(piece, place) == before
    assert recall(kept, piece) == before
    assert set(kept.list("models/")) == models


def test_new_labels_are_counted_for_a_policy_that_asks(turning: Path, kept: Store) -> None:
    """Labelled rows that are newer than what the champion knew, of both sides of the check's rows."""
    config = load(turning, "drift.min_new_labels=1")
    place = Place(kept, read_settings({}))
    moment = SINCE + timedelta(days=20)
    found = make(plan_check(config, plan_fit(config, SINCE, "source"), moment, "source", SINCE), place)
    assert isinstance(found, CheckMade)
    assert found.new_labels == 600


def test_a_window_too_poor_measures_nothing(turning: Path, kept: Store) -> None:
    """Too few rows: no share; rows without two classes or none at all: a score that says why."""
    place = Place(kept, read_settings({}))
    config = load(turning, "drift.current.min_rows=5000")
    found = make(plan_check(config, plan_fit(config, SINCE, "source"), UNTIL, "source", None), place)
    assert isinstance(found, CheckMade)
    assert (found.share, found.regret, found.rows) == (None, None, 299)

    beyond = plan_window(config, UNTIL, UNTIL + timedelta(days=3), "source")

    score = make(
        Score(champion=plan_fit(config, SINCE, "source"), window=beyond, metrics=("roc_auc",)), place
    )
    assert score == ScoreMade(reason="no rows")


def test_what_is_refused_or_fails_is_a_value(turning: Path, kept: Store) -> None:
    """No rows to learn from, and an estimator that can't: both are told, neither ends the backtest."""
    place = Place(kept, read_settings({}))
    rows = make(plan_rows(load(turning), BEGIN - timedelta(days=1), "source"), place)
    assert isinstance(rows, RowsMade)
    assert rows.refused is not None
    failing = load(
        turning,
        "training.estimator=sklearn.linear_model.LogisticRegression",
        "training.params={penalty: l1, solver: lbfgs}",
    )
    fitted = make(plan_fit(failing, SINCE, "source"), place)
    assert isinstance(fitted, FitMade)
    assert (fitted.bundle, fitted.refused) == (None, None)
    assert fitted.failed is not None


def test_great_expectations_is_asked(turning: Path, kept: Store) -> None:
    """A verdict is Great Expectations' own, on the rows as of then; without expectations nobody is asked."""
    place = Place(kept, read_settings({}))
    assert plan_verdict(load(turning), SINCE, "source") is None
    expected = "validation.expectations=[{type: expect_table_row_count_to_be_between, min_value: %d}]"
    found = []
    for least in (100, 10_000):
        piece = plan_verdict(load(turning, expected % least), SINCE, "source")
        assert piece is not None
        made = make(piece, place)
        assert isinstance(made, VerdictMade)
        found.append(made.refused)
    assert found[0] is None
    assert found[1] is not None
    assert "expect_table_row_count_to_be_between" in found[1]


def test_no_champion_in_all_that_time_is_refused(turning: Path, workshop: Workshop) -> None:
    """A replay from before the data begins says what stood in the way, and what to do."""
    long_ago = [Period(BEGIN - timedelta(days=9), BEGIN - timedelta(days=5))]
    with pytest.raises(DataRefused, match=r"No champion could be had in 1 tries.*was refused: data"):
        replay(load(turning), (), long_ago, workshop)


def test_a_source_that_is_not_there_ends_it(turning: Path, workshop: Workshop, tmp_path: Path) -> None:
    """What no period could be replayed with is an error, not ten periods without data."""
    gone = load(turning, f"data.source.uri={tmp_path / 'nothing.csv'}")
    with pytest.raises(SourceError):
        replay(gone, (), PERIODS, workshop)


def test_a_regression_is_scored_by_its_own_metrics(turning: Path) -> None:
    """Brier's score is for classes."""
    config = load(turning)
    numbers = config.model_copy(
        update={
            "evaluation": config.evaluation.model_copy(
                update={"task": "regression", "metrics": ("mean_absolute_error", "r2")}
            )
        }
    )
    assert wanted_scores(numbers) == ("mean_absolute_error", "r2")
    assert wanted_scores(config) == ("roc_auc", "log_loss", "brier_score_loss")


def test_time_is_needed(turning: Path, tmp_path: Path) -> None:
    """A pipeline without a timestamp has no history to replay."""
    path = tmp_path / "timeless.yaml"
    kept_lines = [
        line
        for line in turning.read_text().splitlines()
        if not line.strip().startswith(("timestamp", "window", "current", "regret:"))
    ]
    path.write_text("\n".join(kept_lines).replace("retrain_on: [regret]", "retrain_on: []"))
    with pytest.raises(ConfigError, match="a backtest replays history"):
        plan_backtest(Request(path, SINCE, UNTIL, "20d"), read_settings({}))


def test_processes_work_side_by_side_and_end(turning: Path, tmp_path: Path) -> None:
    """Two real processes work the pieces out, each answer at its place; none of them outlives the block."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    store = open_store(settings.store)
    pieces = [plan_rows(load(turning), period.since, "source") for period in PERIODS[:3]]
    with Processes(store, settings, 2, 60.0) as makers:
        checked: Makers = makers
        made = dict(checked.make_all(pieces))
        pids = [each.pid for each in makers._all]

    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [recall(store, piece) for piece in pieces] == [made[place] for place in range(3)]


def test_a_model_that_kills_its_process_has_failed(turning: Path, tmp_path: Path) -> None:
    """A fit whose process is ended is told as failed, and the next piece gets a process of its own."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    store = open_store(settings.store)
    piece = plan_fit(load(turning), SINCE, "source")
    with Processes(store, settings, 1, 60.0) as makers:
        found = makers.make_all([piece])
        killed = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import os, sys, time, psutil\n"
                "parent = psutil.Process(int(sys.argv[1]))\n"
                "name = 'evertrain.backtest.child'\n"
                "while not (found := [p for p in parent.children() if name in p.cmdline()]):\n"
                "    time.sleep(0.05)\n"
                "found[0].send_signal(9)\n",
                str(os.getpid()),
            ]
        )
        ((_, made),) = found
        assert killed.wait(30) == 0
        assert isinstance(made, FitMade)
        assert made.failed is not None
        assert f"signal {signal.SIGKILL.value}" in made.failed
        assert recall(store, piece) is None
        ((_, again),) = makers.make_all([piece.rows])
    assert isinstance(again, RowsMade)
