"""Owns the demo's story: two trainings two months apart, and four months of flights scored by HTTP."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evertrain.errors import ConfigError
from evertrain.progress import step
from evertrain.records import TrainOutcome
from evertrain.settings import Settings, read_settings

if TYPE_CHECKING:
    from rich.console import Console

    from evertrain.cli.demo_service import DemoService
    from evertrain.config import PipelineConfig
    from flows.launch import TrainingFlow

CONFIG = Path("configs/flights.yaml")
DATA = Path("data/flights")
FIRST_AS_OF, SECOND_AS_OF = "2013-04-01", "2013-06-01"
BEFORE, AFTER = ("2013-04", "2013-05"), ("2013-06", "2013-07")


@dataclass(frozen=True)
class Month:
    """One month of flights, scored by the service while it flew.

    ``champion_auc`` is of the answers that the service gave, ``first_auc`` of version 1, never replaced.
    """

    month: str
    rows: int
    late_share: float
    version: int
    champion_auc: float
    first_auc: float
    decision: str


@dataclass(frozen=True)
class Story:
    """What the demo came to, and where to look further."""

    home: Path
    report: Path
    months: tuple[Month, ...]
    outcomes: tuple[TrainOutcome, ...]

    def as_json(self) -> dict[str, Any]:
        """Spell the story for ``--json``."""
        return {
            "home": str(self.home),
            "report": str(self.report),
            "months": [asdict(month) for month in self.months],
            "trains": [outcome.model_dump(mode="json") for outcome in self.outcomes],
        }


def run_demo(console: Console) -> Story:
    """Live through the story in a fresh home; end everything that it started.

    Raises:
        ConfigError: This isn't the root of a clone.
        EvertrainError: What a step raised.
    """
    from flows.launch import training_ready

    cut_data()
    with fresh_home() as settings, training_ready(settings) as train:
        return live_through(settings, train, console)


def live_through(settings: Settings, train: TrainingFlow, console: Console) -> Story:
    """Train, serve, score two months, train again, score two more."""
    from evertrain.cli.demo_service import serving
    from evertrain.config.files import load_config

    config = load_config(CONFIG, settings)
    first = train(str(CONFIG), as_of=FIRST_AS_OF)
    with serving(config.name, settings) as service:
        months = [score_month(month, service, config, first, "", console) for month in BEFORE]
        second = train(str(CONFIG), as_of=SECOND_AS_OF)
        champion = second if second.decision == "promoted" else first
        with step("swap", {}) as note:
            service.wait_for(champion.version)
            note.text = f"the service answers from version {champion.version}"
        after = [
            score_month(month, service, config, first, second.decision if month == AFTER[0] else "", console)
            for month in AFTER
        ]
    story = Story(settings.home, settings.home / "report.html", (*months, *after), (first, second))
    write_report(story)
    return story


def cut_data() -> None:
    """Cut the flights into months, unless ``make data`` has.

    Raises:
        ConfigError: This isn't the root of a clone.
    """
    if not CONFIG.exists():
        raise ConfigError(f"There is no {CONFIG} here; run the demo at the root of a clone of evertrain.")
    if not any(DATA.glob("*.parquet")):
        from evertrain.flights import cut_examples

        with step("data", {}) as note:
            cut_examples(DATA.parent)
            note.text = f"a year of flights in {DATA}"


@contextmanager
def fresh_home() -> Iterator[Settings]:
    """Give the demo a home of its own, emptied first, and all embedded services."""
    home = read_settings().home / "demo"
    shutil.rmtree(home, ignore_errors=True)
    hidden = {name: os.environ.pop(name, None) for name in ("EVERTRAIN_STORE", "MLFLOW_TRACKING_URI")}
    kept = {**hidden, "EVERTRAIN_HOME": os.environ.get("EVERTRAIN_HOME")}
    os.environ["EVERTRAIN_HOME"] = str(home)
    try:
        yield read_settings()
    finally:
        restore(kept)


def restore(variables: Mapping[str, str | None]) -> None:
    """Put environment variables back."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def score_month(
    month: str,
    service: DemoService,
    config: PipelineConfig,
    first: TrainOutcome,
    decision: str,
    console: Console,
) -> Month:
    """Send a month of flights to the service, then see which were late."""
    from sklearn.metrics import roc_auc_score

    from evertrain.bundles import load_bundle
    from evertrain.cli.demo_service import read_month
    from evertrain.storage import open_store

    flown = read_month(DATA / f"{month}.parquet", config)
    with step(month, {}) as note:
        answers = service.score(flown.features, console)
        bundle = load_bundle(open_store(read_settings().store), first.bundle.digest)
        stale = bundle.predict(flown.features).probabilities
        if stale is None:
            raise ConfigError(f"{CONFIG} names an estimator without probabilities; the demo needs them.")
        known = flown.known
        result = Month(
            month=month,
            rows=len(known),
            late_share=float(flown.late[known].mean()),
            version=answers.version,
            champion_auc=float(roc_auc_score(flown.late[known], answers.probabilities[known])),
            first_auc=float(roc_auc_score(flown.late[known], stale[:, -1][known])),
            decision=decision,
        )
        note.text = f"{result.rows:,} flights scored by HTTP, AUC {result.champion_auc:.4f}"
    return result


def write_report(story: Story) -> None:
    """Write the HTML report."""
    from evertrain.reports import demo_report

    page = demo_report(
        [asdict(month) for month in story.months], "Four months of flights from New York, 2013"
    )
    story.report.write_text(page, encoding="utf-8")
