"""Owns the demo's story: a year of flights, scored by HTTP month by month, and a check after each month."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
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
    from evertrain.drift_records import DriftOutcome
    from flows.launch import TrainingFlow

CONFIG = Path("configs/flights.yaml")
DATA = Path("data/flights")
FIRST_AS_OF = datetime(2013, 4, 1, tzinfo=UTC)
MONTHS = tuple(f"2013-{month:02}" for month in range(4, 13))
# A check looks at the month just ended, and retrains where a probe that saw newer labels beats the champion.
MONTHLY = ("drift.current.window=30d", "drift.cooldown=20d", "drift.retrain_on=[regret]")


@dataclass(frozen=True)
class Month:
    """One month of flights, scored by the service while it flew, and the check at its end.

    ``champion_auc`` is of the answers that the service gave, ``first_auc`` of version 1, never replaced;
    ``gain`` is what a probe that had learnt from newer months gained over the champion.
    """

    month: str
    rows: int
    late_share: float
    version: int
    champion_auc: float
    first_auc: float
    drifted_share: float | None = None
    gain: float | None = None
    decision: str = ""


@dataclass(frozen=True)
class Story:
    """What the demo came to, and where to look further."""

    home: Path
    report: Path
    months: tuple[Month, ...]
    first: TrainOutcome
    checks: tuple[DriftOutcome, ...]

    def as_json(self) -> dict[str, Any]:
        """Spell the story for ``--json``."""
        return {
            "home": str(self.home),
            "report": str(self.report),
            "months": [asdict(month) for month in self.months],
            "first": self.first.model_dump(mode="json"),
            "checks": [check.model_dump(mode="json") for check in self.checks],
        }


def run_demo(console: Console) -> Story:
    """Live through the story in a fresh home; end everything that it started.

    Raises:
        ConfigError: This isn't the root of a clone.
        EvertrainError: What a step raised.
    """
    from evertrain.config.files import load_config
    from flows.launch import training_ready
    from flows.registrars import registrar_ahead
    from flows.validators import validator_ahead

    cut_data()
    with fresh_home() as settings:
        config = load_config(CONFIG, settings)
        # One of each for all trainings: they share its imports.
        with (
            validator_ahead(config.validation),
            registrar_ahead(),
            training_ready(settings, stays=False) as train,
        ):
            return live_through(settings, config, train, console)


def live_through(settings: Settings, config: PipelineConfig, train: TrainingFlow, console: Console) -> Story:
    """Train in spring, then live month by month: requests, labels, a check, a retrain where it pays."""
    from evertrain.cli.demo_service import serving
    from flows.drift_check import drift_check_flow

    first = train(str(CONFIG), as_of=FIRST_AS_OF)
    months: list[Month] = []
    checks: list[DriftOutcome] = []
    with serving(config.name, settings) as service:
        for month in MONTHS:
            scored = score_month(month, service, config, first, console)
            check = drift_check_flow(str(CONFIG), as_of=end_of(month), overrides=list(MONTHLY))
            follow(service, check)
            months.append(told(scored, check))
            checks.append(check)
    story = Story(settings.home, settings.home / "report.html", tuple(months), first, tuple(checks))
    write_report(story)
    return story


def end_of(month: str) -> datetime:
    """Give the first moment after *month*: when its labels have all arrived."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def follow(service: DemoService, check: DriftOutcome) -> None:
    """Wait until the service answers from a champion that the check's retrain made."""
    if check.train and check.train.decision == "promoted":
        with step("swap", {}) as note:
            service.wait_for(check.train.version)
            note.text = f"the service answers from version {check.train.version}"


def told(month: Month, check: DriftOutcome) -> Month:
    """Add to *month* what the check at its end found, and what came of it."""
    retrained = check.train and f"v{check.train.version} {check.train.decision}"
    return replace(
        month,
        drifted_share=check.share,
        gain=check.regret.gain if check.regret else None,
        decision=retrained or (check.decision if check.retrain == "none" else check.retrain),
    )


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
    month: str, service: DemoService, config: PipelineConfig, first: TrainOutcome, console: Console
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
        )
        note.text = f"{result.rows:,} flights scored by HTTP, AUC {result.champion_auc:.4f}"
    return result


def write_report(story: Story) -> None:
    """Write the HTML report."""
    from evertrain.reports import demo_report

    page = demo_report([asdict(month) for month in story.months], "A year of flights from New York, 2013")
    story.report.write_text(page, encoding="utf-8")
