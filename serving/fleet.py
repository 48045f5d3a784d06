"""Owns which models the service answers with: verified bundles by name, each swapped by one reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evertrain.bundles import Bundle
from evertrain.errors import ModelNotReady
from serving.problems import UNKNOWN_MODEL, Refusal
from serving.status.journal_lines import Noted


@dataclass(frozen=True)
class Served:
    """One model as it answers: its version, the journal's generation, the verified and warm bundle."""

    name: str
    version: int
    generation: int
    bundle: Bundle

    def __str__(self) -> str:
        return f"{self.name} v{self.version} ({self.bundle.runtime})"


@dataclass(frozen=True)
class Reading:
    """The last look at a model's journal that succeeded: the generation it wants, monotonic seconds.

    ``noted`` are its last entries, oldest first.
    """

    generation: int
    at_seconds: float
    noted: tuple[Noted, ...] = ()


class Fleet:
    """The models by name. One thread writes; any number read, each request from one reference."""

    def __init__(self) -> None:
        self._models: Mapping[str, Served | None] = {}
        self._readings: dict[str, Reading] = {}
        self._required: frozenset[str] = frozenset()

    def expect(self, name: str) -> None:
        """Make *name* known: until it is put here, whoever asks for it is told that it isn't ready."""
        self._models = {name: None, **self._models}

    def require(self, names: Iterable[str]) -> None:
        """Name the models without which the service isn't ready."""
        self._required = frozenset(names)

    def put(self, served: Served) -> None:
        """Answer with *served* from the next request on; those under way keep what they took."""
        self._models = {**self._models, served.name: served}

    def note_reading(self, name: str, reading: Reading) -> None:
        """Keep that the store answered for *name*, and what its journal wants."""
        self._readings[name] = reading

    def readings(self) -> dict[str, Reading]:
        """The last reading of each journal that was ever read, by model."""
        return dict(self._readings)

    def find(self, name: str, version: str | None = None) -> Served:
        """The model *name*, and of it *version* where that matters.

        Raises:
            Refusal: No such model here, or another version of it; what there is, is told.
            ModelNotReady: It is known, but no version of it is loaded yet.
        """
        models = self._models
        if name not in models:
            raise Refusal(UNKNOWN_MODEL, f"No model {name!r} here; there {_listing(models)}.", field="name")
        served = models[name]
        if served is None:
            raise ModelNotReady(f"{name} has no verified version loaded yet; ask again shortly.", name=name)
        if version is not None and version != str(served.version):
            raise Refusal(
                UNKNOWN_MODEL,
                f"Version {version[:20]!r} of {name} doesn't answer here; version {served.version} does.",
                field="version",
            )
        return served

    def find_only(self) -> Served:
        """The one model that is served.

        Raises:
            Refusal: Several are served; they are listed.
            ModelNotReady: None is served yet.
        """
        loaded = self.loaded()
        if not loaded:
            raise ModelNotReady("No model has a verified version loaded yet; ask again shortly.")
        if len(loaded) > 1:
            names = {served.name: served for served in loaded}
            raise Refusal(
                UNKNOWN_MODEL,
                f"/invocations is for a service of one model; there {_listing(names)}: "
                "ask /models/<name>/invocations.",
            )
        return loaded[0]

    def known(self) -> dict[str, Served | None]:
        """All models by name, in its order; None where none of its versions is loaded yet."""
        return dict(sorted(self._models.items()))

    def loaded(self) -> list[Served]:
        """The models that answer, by name."""
        return sorted(
            (each for each in self._models.values() if each is not None), key=lambda each: each.name
        )

    def check_ready(self) -> None:
        """Raise ModelNotReady unless a model answers and none of the required ones is missing."""
        loaded = {served.name for served in self.loaded()}
        missing = sorted(self._required - loaded)
        if missing:
            raise ModelNotReady(f"Not loaded yet: {', '.join(missing)}; each will be once it has a champion.")
        if not loaded:
            raise ModelNotReady("No model is loaded yet; one will be once it has a champion.")


def _listing(models: Iterable[str]) -> str:
    names = sorted(models)
    return f"are {', '.join(names)}" if names else "is none yet"
