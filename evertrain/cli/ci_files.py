"""Owns what ``train`` and ``drift`` leave for a CI system: summary, output lines, JUnit file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.drift_records import DriftOutcome, Failure
from evertrain.errors import EvertrainError
from evertrain.records import TrainOutcome
from evertrain.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


def leave_outcome(outcome: TrainOutcome) -> None:
    """Append a run's summary and output lines to the files that the CI system named, if it did."""
    settings = read_settings()
    if settings.step_summary or settings.step_output:
        from evertrain.summaries import append_for_ci
        from evertrain.tracking import run_link

        append_for_ci(outcome, settings, run_link(settings, outcome.run_id))


def leave_check(outcome: DriftOutcome) -> None:
    """Append a drift check's summary and output lines to the files that the CI system named, if it did."""
    settings = read_settings()
    if settings.step_summary or settings.step_output:
        from evertrain.summaries.checks import append_check_for_ci
        from evertrain.tracking import run_link

        retrained = outcome.train
        append_check_for_ci(outcome, settings, run_link(settings, retrained.run_id) if retrained else None)


def failure_teller(config: str, junit: Path | None = None) -> Callable[[str, str, int], None]:
    """Give what tells a CI system of a command that failed; a file that can't be written is a warning."""

    def tell(kind: str, message: str, code: int) -> None:
        from evertrain.summaries.failures import append_failure_for_ci
        from evertrain.summaries.junit import write_failure

        failure = Failure(type=kind, message=message, exit=code)
        try:
            if junit is not None:
                write_failure(config, failure, junit)
            append_failure_for_ci(config, failure, read_settings())
        except EvertrainError as error:
            _log.warning("%s", error.message)

    return tell
