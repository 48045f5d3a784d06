"""G5 to G8 at the size of a pull request; each limit is one that chance breaks in under 1 of 10,000 runs."""

from __future__ import annotations

import json

import pytest


def test_equal_challengers_seldom_win_and_better_ones_do(proof, count):
    """G5: one in forty equal challengers is expected to win; one that is two points better wins."""
    totals = count(proof("G5").trial, 40)
    better = totals.pop("better_promoted")
    assert better >= 36
    assert len(totals) == 4
    assert max(totals.values()) <= 7


def test_intervals_hold_the_truth(proof, count):
    """G6: of 250 tables the 95 % intervals hold the true AUC and MAE in 89 %, and not in all."""
    totals = count(proof("G6").trial, 250)
    assert len(totals) == 2
    assert all(223 <= held <= 249 for held in totals.values())


@pytest.mark.slow
def test_a_reused_hold_out_promotes_none_by_chance(proof, count):
    """G7: of 60 families of twenty equal challengers few promote one; without the ledger many do."""
    totals = count(proof("G7").trial, 60)
    assert totals["wrongly_promoted"] <= 8
    assert totals["wrongly_promoted_without_ledger"] > 8


def test_a_slice_that_is_ruined_holds_the_challenger(proof, count):
    """G8: five points lost on a tenth of the rows hold it though the whole gains; equal models pass."""
    totals = count(proof("G8").trial, 50)
    assert totals["harmful_blocked"] >= 46
    assert totals["harmless_blocked"] <= 7
    assert totals["small_not_shown"] == 50


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("G5", {"equal_promoted_roc_auc": 2, "better_promoted": 99}, {"equal_promoted_roc_auc": 6}),
        ("G7", {"wrongly_promoted": 5}, {"wrongly_promoted": 6}),
        (
            "G8",
            {"harmful_blocked": 99, "harmless_blocked": 2, "small_not_shown": 100},
            {"small_not_shown": 99},
        ),
        (
            "G9",
            {"missed": 0, "false_alarms": 0, "over_a_second": 0, "milliseconds": 9},
            {"missed": 1},
        ),
    ],
)
def test_a_proof_can_fail(proof, name, good, bad):
    """The judges of the full proofs count a broken claim as a failure."""
    judge = proof(name).judge
    assert judge(good, 100)[0] == 0
    assert judge({**good, **bad}, 100)[0] == 1


def test_a_proof_goes_on_where_it_was_killed(proof, tmp_path, monkeypatch):
    """Trials that are done aren't made again, and the result names commit, date, n and failures."""
    resumable = proof("resumable")
    monkeypatch.setattr(resumable, "RESULTS", tmp_path)
    monkeypatch.setattr(resumable, "SAVE_EVERY_SECONDS", 0.0)
    made: list[int] = []

    def trial(number):
        if number == 3 and made.count(3) == 0:
            made.append(3)
            raise KeyboardInterrupt
        made.append(number)
        return {"odd": number % 2}

    monkeypatch.setattr(resumable, "_ask_git", lambda *_: "abc")
    arguments = ("G0", "claim", trial, lambda totals, n: (totals["odd"], {"share": totals["odd"] / n}))
    with pytest.raises(KeyboardInterrupt):
        resumable.prove(*arguments, n=5)
    with pytest.raises(SystemExit, match="1"):
        resumable.prove(*arguments, n=5)
    assert made == [0, 1, 2, 3, 3, 4]
    result = json.loads((tmp_path / "G0.json").read_text())
    assert (result["n"], result["failures"], result["figures"]) == (5, 2, {"share": 0.4})
    assert {"commit", "date"} <= set(result)
    assert [path.name for path in tmp_path.iterdir()] == ["G0.json"]
