"""Owns the registrar, who writes a run down: in a process beside it, or here where MLflow is imported."""

from __future__ import annotations

import dataclasses
import os
import sys
from threading import Lock
from typing import Any, NamedTuple, Protocol

from evertrain.child_process import ChildProcess, Trade
from evertrain.config import PipelineConfig
from evertrain.records import Evaluation, ModelVersion, Record, TrainOutcome, ValidationReport
from evertrain.registry import Aliases, Repair, mirror_aliases, register
from evertrain.reports import run_report
from evertrain.reports.plots import curve_png, search_png
from evertrain.run_facts import RunFacts, dump_facts
from evertrain.settings import Settings, dump_settings
from evertrain.tracking import log_page, log_run, run_url

TIMEOUT_SECONDS = 1800.0
_TRADE = Trade(
    module="evertrain.registrar.child",
    runs="MLflow",
    gives="answer",
    advice="See that MLflow's server answers, or that the disk isn't overloaded.",
)


class Recorded(NamedTuple):
    """A run that is written down: its model version, and its page in MLflow where that is a server."""

    version: ModelVersion
    url: str | None


class ReportFacts(Record):
    """What the report of a run is drawn from; see ``evertrain.reports.run_report``."""

    config: PipelineConfig
    outcome: TrainOutcome
    evaluation: Evaluation
    validation: ValidationReport
    warnings: tuple[str, ...] = ()


class Registrar(Protocol):
    """Writes a run down, in MLflow and as a page: all that needs MLflow or Matplotlib."""

    @property
    def is_beside(self) -> bool:
        """Whether it works while its caller does something else."""

    @property
    def is_free(self) -> bool:
        """Whether a run may use it."""

    def open(self, settings: Settings) -> None:
        """Get ready to work with the MLflow of *settings*; what fails here is told by what is asked next."""

    def mirror(self, settings: Settings, name: str, wanted: Aliases) -> tuple[Repair, ...]:
        """Put the aliases where the journal has them; see ``evertrain.registry.mirror_aliases``."""

    def record(self, settings: Settings, facts: RunFacts) -> Recorded:
        """Draw the run's pictures, log it and register its bundle; see ``log_run`` and ``register``.

        Raises:
            RegistryError: MLflow can't be reached, or refuses.
        """

    def draw_report(self, facts: ReportFacts) -> str:
        """Write the run's page; see ``evertrain.reports.run_report``."""

    def keep_page(self, settings: Settings, run_id: str, name: str, page: str) -> None:
        """Keep a page with the run; see ``evertrain.tracking.log_page``."""

    def close(self) -> None:
        """End whatever works beside its caller."""


def start_registrar() -> Registrar:
    """Start the process that imports MLflow; where it would gain nothing, the work is done here.

    Raises:
        ServiceError: The process can't be started.
    """
    has_second_core = len(os.sched_getaffinity(0)) > 1
    return RegistrarBeside() if has_second_core and "mlflow" not in sys.modules else RegistrarHere()


class RegistrarHere:
    """Works in this process."""

    is_beside = False
    is_free = True

    def open(self, settings: Settings) -> None:
        """See Registrar: nothing is gained by doing ahead what is done here."""

    def mirror(self, settings: Settings, name: str, wanted: Aliases) -> tuple[Repair, ...]:
        """See Registrar."""
        return mirror_aliases(settings, name, wanted)

    def record(self, settings: Settings, facts: RunFacts) -> Recorded:
        """See Registrar."""
        pictures = {"curve.png": curve_png(facts.evaluation.curves)}
        if facts.trained.search is not None:
            pictures["search.png"] = search_png(facts.trained.search)
        drawn = dataclasses.replace(facts, pictures={**facts.pictures, **pictures})
        version = register(settings, drawn, log_run(settings, drawn))
        return Recorded(version, run_url(settings, version.run_id))

    def draw_report(self, facts: ReportFacts) -> str:
        """See Registrar."""
        return run_report(facts.config, facts.outcome, facts.evaluation, facts.validation, {}, facts.warnings)

    def keep_page(self, settings: Settings, run_id: str, name: str, page: str) -> None:
        """See Registrar."""
        log_page(settings, run_id, name, page)

    def close(self) -> None:
        """See Registrar: there is nothing to end."""


class RegistrarBeside:
    """Works in a process that imports MLflow at once.

    Args:
        timeout_seconds: How long an answer may take from when it was asked for, the import included.
        words: What the interpreter runs; it is given this process's id.
        is_forked: Whether it is forked off this process, and has what this one imported.

    Raises:
        ServiceError: The process can't be started.
    """

    is_beside = True

    def __init__(
        self,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        words: tuple[str, ...] = (),
        is_forked: bool = False,
    ) -> None:
        self._process = ChildProcess(
            _TRADE, timeout_seconds=timeout_seconds, words=words, is_killable=True, is_forked=is_forked
        )
        self._turn = Lock()

    @property
    def is_free(self) -> bool:
        """See Registrar."""
        return self._process.is_running

    def open(self, settings: Settings) -> None:
        """See Registrar."""
        self._ask("open", settings=dump_settings(settings))

    def mirror(self, settings: Settings, name: str, wanted: Aliases) -> tuple[Repair, ...]:
        """See Registrar."""
        moved = self._get("mirror", settings=dump_settings(settings), name=name, wanted=dict(wanted))
        return tuple(Repair(**each) for each in moved)

    def record(self, settings: Settings, facts: RunFacts) -> Recorded:
        """See Registrar."""
        found = self._get("record", settings=dump_settings(settings), facts=dump_facts(facts))
        return Recorded(ModelVersion.model_validate(found["version"]), found["url"])

    def draw_report(self, facts: ReportFacts) -> str:
        """See Registrar."""
        return str(self._get("draw_report", facts=facts.model_dump(mode="json", by_alias=True)))

    def keep_page(self, settings: Settings, run_id: str, name: str, page: str) -> None:
        """See Registrar."""
        self._get("keep_page", settings=dump_settings(settings), run_id=run_id, name=name, page=page)

    def close(self) -> None:
        """See Registrar."""
        self._process.close()

    def _ask(self, what: str, **facts: Any) -> int:
        return self._process.ask({"what": what, "facts": facts})

    def _get(self, what: str, **facts: Any) -> Any:
        # Two steps may go on at once.
        with self._turn:
            return self._process.wait(self._ask(what, **facts)).value
