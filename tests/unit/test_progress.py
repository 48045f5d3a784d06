from __future__ import annotations

import logging

import pytest

from evertrain.progress import step


def test_a_step_is_announced_timed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Who listens sees it start, and then what it came to and took."""
    seconds: dict[str, float] = {}

    with caplog.at_level(logging.INFO, "evertrain.steps"), step("train", seconds) as note:
        note.text = "a model"

    started, done = caplog.records
    assert (started.__dict__["step"], started.__dict__["phase"]) == ("train", "started")
    assert (done.__dict__["phase"], done.__dict__["note"]) == ("done", "a model")
    assert done.getMessage() == f"train: a model ({seconds['train']:.1f} s)"


def test_a_step_without_a_word_of_its_own_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """The name and the time are enough."""
    seconds: dict[str, float] = {}

    with caplog.at_level(logging.INFO, "evertrain.steps"), step("swap", seconds):
        seconds["other"] = 1.0

    assert caplog.records[-1].getMessage() == f"swap ({seconds['swap']:.1f} s)"


def test_a_step_that_fails_says_so_and_is_not_timed(caplog: pytest.LogCaptureFixture) -> None:
    """The error goes on its way; nothing is recorded as done."""
    seconds: dict[str, float] = {}

    with (
        caplog.at_level(logging.INFO, "evertrain.steps"),
        pytest.raises(ValueError, match="planted"),
        step("train", seconds),
    ):
        raise ValueError("planted")

    assert caplog.records[-1].__dict__["phase"] == "failed"
    assert seconds == {}
