from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from evertrain.drift_records import CheckedRows, ColumnDrift, DriftOutcome, Failure
from evertrain.errors import ConfigError, Conflict, DataRefused, EvertrainError, SourceError, TrainingError
from evertrain.records import (
    BundleSummary,
    ChampionSummary,
    GateResult,
    SliceGain,
    SnapshotSummary,
    TrainOutcome,
)
from evertrain.summaries.notices import (
    Subject,
    tell_check,
    tell_crash,
    tell_failure,
    tell_rollback,
    tell_rollout_end,
    tell_train,
)

SUBJECT = Subject(
    "flights",
    "configs/flights.yaml",
    owner="ops@example.org",
    run_id="abc",
    run_name="flights 2024-01-01",
    run_url="http://127.0.0.1:4200/runs/flow-run/abc",
    report="store/reports/flights/7.html",
)
GAIN = "gain +0.0120 (+0.0040 to +0.0200)"
HELD = ("beats_champion: gain -0.0020 (-0.0080 to +0.0040); its lower end must be over 0", "latency: 30 ms")


def outcome(
    decision: str = "promoted", *, reasons: tuple[str, ...] = (), champion: bool = True
) -> TrainOutcome:
    worst = SliceGain(column="origin", value="EWR", rows=300, verdict="pass")
    gates = (
        GateResult(type="threshold", metric="roc_auc", verdict="pass", reason="0.712 is over 0.55"),
        GateResult(
            type="beats_champion", metric="roc_auc", verdict="pass", gain=0.012, reason=GAIN, slices=(worst,)
        ),
    )
    return TrainOutcome.model_validate(
        {
            "pipeline": "flights",
            "decision": decision,
            "reasons": reasons,
            "version": 7,
            "run_id": "run",
            "run_key": "key",
            "metrics": {"roc_auc": 0.712, "log_loss": 0.5},
            "champion": ChampionSummary(version=6, metrics={"roc_auc": 0.7}) if champion else None,
            "gates": gates if champion else gates[:1],
            "snapshot": SnapshotSummary(digest="d", rows=10, unlabelled=0, quarantined=0),
            "bundle": BundleSummary(digest="b", runtime="onnx"),
        }
    )


def check(**changes: object) -> DriftOutcome:
    return DriftOutcome.model_validate(
        {
            "pipeline": "flights",
            "decision": "drifted",
            "triggers": ("data",),
            "retrain": "started",
            "why": "the share of drifted columns is over what may drift",
            "champion": 6,
            "as_of": datetime(2024, 2, 1, 6, tzinfo=UTC),
            "share": 0.5,
            "max_share": 0.3,
            "columns": (
                ColumnDrift(name="distance", method="ks", score=0.4, threshold=0.1, drifted=True),
                ColumnDrift(name="origin", method="jensenshannon", score=0.0, threshold=0.1, drifted=False),
            ),
            "rows": CheckedRows(reference=100, current=50),
            **changes,
        }
    )


def test_a_promotion_says_why_and_how_to_undo_it() -> None:
    """The first comparison with the champion, the metric beside the champion's, links, the way back."""
    notice = tell_train(outcome(), SUBJECT)

    assert notice.title == "flights: version 7 promoted"
    assert notice.text.splitlines() == [
        f"Why: beats_champion: {GAIN}",
        "roc_auc: 0.712; the champion's, version 6: 0.7",
        "Run: http://127.0.0.1:4200/runs/flow-run/abc",
        "Report: store/reports/flights/7.html",
        "Next: evertrain rollback flights, should it do badly",
    ]


def test_a_held_version_says_which_gate_held_it() -> None:
    """The first failed gate in its own words, how many more there are, and where to look."""
    notice = tell_train(outcome("held", reasons=HELD), SUBJECT)

    assert notice.title == "flights: version 7 held"
    assert notice.text.splitlines()[0] == f"Why: {HELD[0]} (and 1 more)"
    assert notice.text.splitlines()[-1] == "Next: evertrain audit show flights"


@pytest.mark.parametrize(
    ("told", "why", "last"),
    [
        (outcome(champion=False), "it is the first version", "serve flights"),
        (outcome("rollout"), f"beats_champion: {GAIN}", "rollout status flights"),
    ],
)
def test_each_other_decision_says_why(told: TrainOutcome, why: str, last: str) -> None:
    """A first version has no champion to beat or to go back to; a rollout has its gain."""
    lines = tell_train(told, SUBJECT).text.splitlines()

    assert (lines[0], lines[-1]) == (f"Why: {why}", f"Next: evertrain {last}")


def test_programs_get_the_answer_without_its_bulk() -> None:
    """The body is JSON with the event, an id of its own, the run, and what ``--json`` says but slices."""
    first, second = (tell_train(outcome(), SUBJECT).body for _ in range(2))

    body = json.loads(json.dumps(first, allow_nan=False))
    assert body["event"] == "evertrain.train.promoted"
    assert body["id"] != second["id"]
    assert body["run"] == {"id": "abc", "name": "flights 2024-01-01", "url": SUBJECT.run_url}
    assert (body["pipeline"], body["owner"]) == ("flights", "ops@example.org")
    assert body["summary"]["metrics"] == {"roc_auc": 0.712, "log_loss": 0.5}
    assert [gate["type"] for gate in body["summary"]["gates"]] == ["threshold", "beats_champion"]
    assert "slices" not in body["summary"]["gates"][1]


@pytest.mark.parametrize(
    ("told", "title", "last"),
    [
        (check(train=outcome()), "drifted, retrained: version 7 promoted", "evertrain audit show flights"),
        (check(retrain="none"), "drifted, not retrained", "evertrain train configs/flights.yaml"),
        (
            check(retrain="failed", failure=Failure(type="TrainingError", message="no fit", exit=4)),
            "drifted, the retrain failed",
            "evertrain train configs/flights.yaml",
        ),
        (check(decision="steady", retrain="none"), "steady", "evertrain audit show flights"),
        (
            check(decision="too_little_data", retrain="none", share=None),
            "too little new data to tell drift",
            "evertrain audit show flights",
        ),
    ],
)
def test_a_check_says_what_it_found_and_what_came_of_it(told: DriftOutcome, title: str, last: str) -> None:
    """Title, drifted columns, the retrain's outcome or failure, the next command."""
    notice = tell_check(told, SUBJECT)

    assert notice.title == f"flights: {title}"
    assert notice.text.splitlines()[-1] == f"Next: {last}"
    assert notice.body["event"] == f"evertrain.drift.{told.decision}"
    assert ("50% of the columns drifted, 30% may: distance" in notice.text) == (told.share is not None)
    assert ("The retrain failed: no fit" in notice.text) == (told.failure is not None)
    assert notice.body["summary"]["drifted_columns"] == ["distance"]
    assert "columns" not in notice.body["summary"]


@pytest.mark.parametrize(
    ("error", "event", "title", "last"),
    [
        (
            DataRefused("0 rows"),
            "refused",
            "train ended, the data was refused",
            "check configs/flights.yaml --data",
        ),
        (
            SourceError("no file"),
            "refused",
            "train ended, the data was refused",
            "check configs/flights.yaml --data",
        ),
        (ConfigError("no such column"), "failed", "train failed", "check configs/flights.yaml"),
        (TrainingError("no fit"), "failed", "train failed", "train configs/flights.yaml"),
        (Conflict("the champion changed"), "failed", "train failed", "train configs/flights.yaml"),
        (Conflict("another runs", claim=3), "busy", "train busy", "train configs/flights.yaml"),
    ],
)
def test_a_failure_says_why_and_what_to_do(error: EvertrainError, event: str, title: str, last: str) -> None:
    """Our own error's words, and the command that looks into its kind."""
    notice = tell_failure("train", error, SUBJECT)

    assert notice.title == f"flights: {title}"
    assert notice.text.splitlines()[0] == error.message
    assert notice.text.splitlines()[-1] == f"Next: evertrain {last}"
    assert notice.body["event"] == f"evertrain.train.{event}"
    assert notice.body["error"] == {
        "type": type(error).__name__,
        "message": error.message,
        "exit": error.exit_code,
    }


def test_a_strangers_error_is_told_by_its_kind_alone() -> None:
    """What a library says may hold a secret: the run's log has it, not the notice."""
    notice = tell_failure("drift", RuntimeError("https://ann:secret@host"), SUBJECT)

    assert notice.text.splitlines()[0] == "RuntimeError: see the run's log"
    assert "secret" not in json.dumps(notice.body)
    assert notice.body["error"]["exit"] == 1


def test_a_long_reason_is_cut() -> None:
    """A message of thousands of characters and lines becomes one line of 600."""
    line = tell_failure("train", TrainingError("word\n" * 1000), SUBJECT).text.splitlines()[0]

    assert len(line) == 600
    assert line.endswith("…")


def test_a_crash_and_a_rollback_are_told() -> None:
    """What ended without a word, and who serves again and why."""
    crash = tell_crash("train", "Process 42 on host ended.", SUBJECT)
    rollback = tell_rollback(6, 7, "late flights are missed", Subject("flights", "configs/flights.yaml"))

    assert (crash.title, crash.body["event"]) == ("flights: train crashed", "evertrain.train.crashed")
    assert crash.text.splitlines()[0] == "Process 42 on host ended."
    assert crash.text.splitlines()[-1] == "Next: evertrain train configs/flights.yaml"
    assert rollback.title == "flights: rolled back to version 6"
    assert rollback.text.splitlines() == [
        "Version 6 serves again; version 7 did.",
        "Why: late flights are missed",
        "Next: evertrain audit show flights",
    ]
    assert rollback.body["summary"] == {"version": 6, "from": 7, "reason": "late flights are missed"}


def test_the_end_of_a_rollout_is_told() -> None:
    """How it ended, who answers now, and why; a walk that died names the command that takes it up."""
    subject = Subject("flights", "configs/flights.yaml")
    ended = tell_rollout_end(7, "rolled_back", 6, "errors: challenger 9 errors", subject)

    assert ended.title == "flights: version 7 rolled back"
    assert ended.text.splitlines()[:2] == [
        "Version 6 answers all requests.",
        "Why: errors: challenger 9 errors",
    ]
    assert ended.body["event"] == "evertrain.rollout.rolled_back"
    crash = tell_crash("rollout", "Process 42 on host ended.", subject)
    assert crash.text.splitlines()[-1] == "Next: evertrain rollout run flights"
