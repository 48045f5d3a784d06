"""Owns who judges a run's snapshot: Great Expectations in a process beside the run, or here."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from evertrain.child_process import ChildProcess, Trade
from evertrain.config import ValidationConfig
from evertrain.datasets import Ingested
from evertrain.records import ValidationReport
from evertrain.storage import Store
from evertrain.validation.snapshots import validate_snapshot

TIMEOUT_SECONDS = 1800.0
_TRADE = Trade(
    module="evertrain.validation.child",
    runs="Great Expectations",
    gives="verdict",
    advice="Check fewer rows or fewer expectations.",
)


class Validator(Protocol):
    """Judges snapshots, one at a time."""

    seconds: float
    """What the last verdict took, the import and the waiting aside."""

    @property
    def is_asked(self) -> bool:
        """Whether a snapshot was submitted and its verdict not awaited yet."""

    @property
    def is_free(self) -> bool:
        """Whether a snapshot may be submitted."""

    def submit(self, config: ValidationConfig, ingested: Ingested, store: Store) -> None:
        """Ask for the verdict on a snapshot; returns at once."""

    def wait(self) -> ValidationReport:
        """Give the verdict that was asked for.

        Raises:
            ConfigError: Great Expectations refuses an argument.
            DataRefused: Great Expectations and the quarantine don't agree.
            StorageError: The rows can't be read.
            ServiceError: The process that judges ended, or took too long.
        """

    def close(self) -> None:
        """End whatever works beside its caller."""


def start_validator() -> Validator:
    """Start the process that judges; where Great Expectations is imported already, it is done here.

    Raises:
        ServiceError: The process can't be started.
    """
    return ValidatorHere() if "great_expectations" in sys.modules else ValidatorBeside()


class ValidatorHere:
    """Judges in this process, when the verdict is awaited."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._asked: tuple[ValidationConfig, Ingested, Store] | None = None

    @property
    def is_asked(self) -> bool:
        """See Validator."""
        return self._asked is not None

    @property
    def is_free(self) -> bool:
        """See Validator."""
        return not self.is_asked

    def submit(self, config: ValidationConfig, ingested: Ingested, store: Store) -> None:
        """See Validator."""
        self._asked = (config, ingested, store)

    def wait(self) -> ValidationReport:
        """See Validator."""
        assert self._asked is not None
        asked, self._asked = self._asked, None
        began = time.perf_counter()
        report = validate_snapshot(*asked)
        self.seconds = round(time.perf_counter() - began, 3)
        return report

    def close(self) -> None:
        """See Validator: there is nothing to end."""


class ValidatorBeside:
    """A process that imports Great Expectations at once, and then judges.

    Args:
        timeout_seconds: How long a verdict may take from when it was asked for, the import included.
        words: What the interpreter runs; it is given this process's id.
        is_forked: Whether it is forked off this process, and has what this one imported.

    Raises:
        ServiceError: The process can't be started.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        words: tuple[str, ...] = (),
        is_forked: bool = False,
    ) -> None:
        self.seconds = 0.0
        self._asked: int | None = None
        self._process = ChildProcess(
            _TRADE, timeout_seconds=timeout_seconds, words=words, is_forked=is_forked
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_asked(self) -> bool:
        """See Validator."""
        return self._asked is not None

    @property
    def is_free(self) -> bool:
        """See Validator."""
        return not self.is_asked and self._process.is_running

    def submit(self, config: ValidationConfig, ingested: Ingested, store: Store) -> None:
        """See Validator."""
        self._asked = self._process.ask(
            {
                "config": config.model_dump(mode="json"),
                "ingested": ingested.model_dump(mode="json"),
                "store": store.where,
            }
        )

    def wait(self) -> ValidationReport:
        """See Validator."""
        assert self._asked is not None
        number, self._asked = self._asked, None
        found = self._process.wait(number)
        self.seconds = found.seconds
        return ValidationReport.model_validate(found.value)

    def close(self) -> None:
        """See Validator."""
        self._process.close()
