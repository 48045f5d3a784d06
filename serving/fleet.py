"""Owns which models the service answers with: verified bundles by name, each swapped by one reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evertrain.errors import ModelNotReady
from serving.arms import Challenge, Lineup, Shadowing
from serving.problems import UNKNOWN_MODEL, Refusal
from serving.served import Served
from serving.status.journal_lines import Noted

__all__ = ["Fleet", "Reading", "Served"]


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
        self._models: Mapping[str, Lineup | None] = {}
        self._readings: dict[str, Reading] = {}
        self._required: frozenset[str] = frozenset()

    def expect(self, name: str) -> None:
        """Make *name* known: until it is put here, whoever asks for it is told that it isn't ready."""
        self._models = {name: None, **self._models}

    def require(self, names: Iterable[str]) -> None:
        """Name the models without which the service isn't ready."""
        self._required = frozenset(names)

    def put(
        self, served: Served, challenge: Challenge | None = None, shadowing: Shadowing | None = None
    ) -> None:
        """Answer with *served* from the next request on, and hold against it who challenges it.

        Requests under way keep what they took.
        """
        self._models = {**self._models, served.name: Lineup(served, challenge, shadowing)}

    def note_reading(self, name: str, reading: Reading) -> None:
        """Keep that the store answered for *name*, and what its journal wants."""
        self._readings[name] = reading

    def readings(self) -> dict[str, Reading]:
        """The last reading of each journal that was ever read, by model."""
        return dict(self._readings)

    def lineup(self, name: str, version: str | None = None) -> Lineup:
        """Who answers as *name*; with *version* that champion alone.

        Raises:
            Refusal: No such model here, or another version of it; what there is, is told.
            ModelNotReady: It is known, but no version of it is loaded yet.
        """
        models = self._models
        if name not in models:
            raise Refusal(UNKNOWN_MODEL, f"No model {name!r} here; there {_listing(models)}.", field="name")
        found = models[name]
        if found is None:
            raise ModelNotReady(f"{name} has no verified version loaded yet; ask again shortly.", name=name)
        if version is None:
            return found
        if version != str(found.stable.version):
            other = f"version {found.stable.version} does"
            told = f"Version {version[:20]!r} of {name} doesn't answer here; {other}."
            raise Refusal(UNKNOWN_MODEL, told, field="version")
        return Lineup(found.stable)

    def only_lineup(self) -> Lineup:
        """Who answers where one model is served.

        Raises:
            Refusal: Several are served; they are listed.
            ModelNotReady: None is served yet.
        """
        loaded = self.lineups()
        if not loaded:
            raise ModelNotReady("No model has a verified version loaded yet; ask again shortly.")
        if len(loaded) > 1:
            raise Refusal(
                UNKNOWN_MODEL,
                f"/invocations is for a service of one model; there "
                f"{_listing(each.stable.name for each in loaded)}: ask /models/<name>/invocations.",
            )
        return loaded[0]

    def find(self, name: str, version: str | None = None) -> Served:
        """The champion that answers as *name*; raises as ``lineup`` does."""
        return self.lineup(name, version).stable

    def known(self) -> dict[str, Lineup | None]:
        """All models by name, in its order; None where none of its versions is loaded yet."""
        return dict(sorted(self._models.items()))

    def lineups(self) -> list[Lineup]:
        """The models that answer, by name."""
        return sorted(
            (each for each in self._models.values() if each is not None), key=lambda each: each.stable.name
        )

    def loaded(self) -> list[Served]:
        """The champions that answer, by name."""
        return [each.stable for each in self.lineups()]

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
