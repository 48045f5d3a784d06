"""Tests of how a run's log reads in Prefect's pages."""

from __future__ import annotations

import logging
import sys

import pytest

from evertrain.errors import ConfigError
from evertrain.progress import step
from flows.run_log import FLOW_RUNS, TASK_RUNS, leave_out_beginnings, put_plainly


def record(name: str, level: int, message: str, error: BaseException | None = None) -> logging.LogRecord:
    """What Prefect's engine would log where *error* is in hand."""
    info = None
    if error is not None:
        try:
            raise error
        except BaseException:
            info = sys.exc_info()
    return logging.LogRecord(name, level, __file__, 1, message, (error,) if error else (), info)


def test_an_error_of_ours_is_its_message() -> None:
    """It says what failed and what to do; where in the code it was raised is no help to who reads it."""
    told = record(FLOW_RUNS, logging.ERROR, "Encountered exception: %r", ConfigError("a: 1; expected b"))

    assert put_plainly(told)
    assert told.getMessage() == "a: 1; expected b"
    assert logging.Formatter().format(told) == "a: 1; expected b"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    """What nobody foresaw is to be reported, and then it is the traceback that helps."""
    told = record(FLOW_RUNS, logging.ERROR, "Encountered exception: %r", ZeroDivisionError("x"))

    assert put_plainly(told)
    assert "Traceback" in logging.Formatter().format(told)


@pytest.mark.parametrize(
    ("name", "level", "message", "kept"),
    [
        (TASK_RUNS, logging.INFO, "Finished in state Completed()", False),
        (FLOW_RUNS, logging.INFO, "Running hook 'tell_end' in response to …", False),
        (FLOW_RUNS, logging.INFO, "Hook 'tell_end' finished running successfully", False),
        (FLOW_RUNS, logging.INFO, "Beginning flow run", True),
        (TASK_RUNS, logging.WARNING, "Retrying", True),
    ],
)
def test_what_the_page_shows_elsewhere_is_left_out(name: str, level: int, message: str, kept: bool) -> None:
    """The ends of tasks and the hooks that went well; warnings of either stay."""
    assert put_plainly(record(name, level, message)) is kept


def test_a_step_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its end says what it came to, so that it began needn't be said."""
    with caplog.at_level(logging.INFO, "evertrain.steps"), step("ingest", {}) as note:
        note.text = "720 rows"

    told = [each.getMessage() for each in caplog.records if leave_out_beginnings(each)]
    assert len(told) == 1
    assert told[0].startswith("ingest: 720 rows (")
