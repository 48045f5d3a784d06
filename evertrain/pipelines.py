"""Owns the opening of a pipeline: its configuration together with the store and the journal it lives in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evertrain.config import PipelineConfig
from evertrain.errors import ConfigError, DataRefused
from evertrain.journal import head_key
from evertrain.release import PipelineState, ReleaseJournal, VersionState, open_journal
from evertrain.settings import Settings
from evertrain.storage import Store, attach_store, open_store


@dataclass(frozen=True, eq=False)
class Pipeline:
    """One pipeline as it stands: what its YAML says, and where its objects and its journal are."""

    config: PipelineConfig
    settings: Settings
    store: Store
    journal: ReleaseJournal

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.config.name


def open_pipeline(config: PipelineConfig, settings: Settings) -> Pipeline:
    """Open the store and the journal of the pipeline that *config* describes.

    Raises:
        StorageError: The store can't be used.
    """
    store = open_store(settings.store)
    return Pipeline(config, settings, store, open_journal(store, config.name, settings.actor))


def find_champion(pipeline: Pipeline) -> tuple[PipelineState, VersionState]:
    """Read the pipeline's state, and the version that serves in it.

    Raises:
        DataRefused: There is no champion yet.
        JournalTampered: The journal's chain doesn't hold.
    """
    _, state = pipeline.journal.read()
    if state.champion is None:
        raise DataRefused(
            f"Pipeline {pipeline.name!r} has no champion, so there is nothing that could have drifted. "
            "Train one first: evertrain train with this pipeline's YAML."
        )
    return state, state.versions[state.champion]


def find_version(pipeline: Pipeline, text: str) -> VersionState:
    """The version that *text* names: its number, or ``champion``.

    Raises:
        ConfigError: There is no such version; names those that there are.
        DataRefused: There is no champion yet.
        JournalTampered: The journal's chain doesn't hold.
    """
    _, state = pipeline.journal.read()
    return pick_version(state, pipeline.name, text)


def pick_version(state: PipelineState, name: str, text: str) -> VersionState:
    """The version of pipeline *name* that *text* names in *state*; raises as ``find_version`` does."""
    if text == "champion":
        if state.champion is None:
            raise DataRefused(
                f"Pipeline {name!r} has no champion. Train one first: evertrain train with its YAML."
            )
        return state.versions[state.champion]
    known = {str(number): version for number, version in state.versions.items()}
    if text not in known:
        there = ", ".join(known) or "none yet"
        raise ConfigError(
            f"--version {text!r} is no version of {name}; expected champion or one of: {there}."
        )
    return known[text]


def open_existing_journal(name: str, settings: Settings) -> ReleaseJournal:
    """Open the journal of a pipeline that has one; makes and tries nothing, so that a copy can be read-only.

    Raises:
        ConfigError: There is no such pipeline in the store; names those that there are.
        StorageError: The store can't be used.
    """
    store = attach_store(settings.store)
    journal = open_journal(store, name, settings.actor)
    if not any(store.list(f"journal/{name}/")) and store.get(head_key(name)) is None:
        known = sorted({key.split("/")[1] for key in store.list("journal/")})
        there = f"there are {', '.join(known)}" if known else "there is none yet: train one first"
        raise ConfigError(f"There is no pipeline {name!r} in the store {settings.store}; {there}.")
    return journal


def parse_as_of(text: str | None) -> datetime | None:
    """Read ``--as-of``: ISO 8601, UTC where no zone is given, a date alone meaning its first moment.

    Raises:
        ConfigError: *text* is not a time.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--as-of {text!r} is not a time; expected ISO 8601, such as 2013-05-01 or 2013-05-01T06:00:00Z."
        ) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def config_path(text: str) -> Path:
    """Find the YAML that *text* names: a path, or a pipeline's name under ``configs/``."""
    path = Path(text)
    named = Path("configs") / f"{text}.yaml"
    return named if not path.suffix and not path.exists() and named.exists() else path
