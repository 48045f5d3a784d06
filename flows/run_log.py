"""Owns how a run's log reads in Prefect's pages: what the steps say, and our errors in their own words."""

from __future__ import annotations

import logging

from prefect.logging.handlers import APILogHandler

from evertrain.errors import EvertrainError

FLOW_RUNS, TASK_RUNS = "prefect.flow_runs", "prefect.task_runs"
HOOKS = ("Running hook ", "Hook ")


def tell_in_words() -> None:
    """Have this process's runs log each step's result, and no traceback for an error that explains itself."""
    ours = logging.getLogger("evertrain")
    if ours.level == logging.NOTSET:
        ours.setLevel(logging.INFO)
    for handler in ours.handlers:
        if isinstance(handler, APILogHandler):
            handler.addFilter(leave_out_beginnings)
    for name in (FLOW_RUNS, TASK_RUNS):
        logging.getLogger(name).addFilter(put_plainly)


def leave_out_beginnings(record: logging.LogRecord) -> bool:
    """Keep out that a step begins: it says what it came to when it ends, with its seconds."""
    return getattr(record, "phase", None) != "started"


def put_plainly(record: logging.LogRecord) -> bool:
    """Turn the traceback of one of our errors into its message; keep out what the page shows elsewhere.

    A task's end stands among the tasks, and of hooks only what goes wrong is of interest.
    """
    if record.levelno <= logging.INFO:
        return record.name != TASK_RUNS and not str(record.msg).startswith(HOOKS)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, EvertrainError):
        record.msg, record.args = error.message, ()
        record.exc_info, record.exc_text = None, None
    return True
