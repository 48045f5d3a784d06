"""Owns what the control plane reads of the service's processes: who answers, how a rollout fares there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.rollout.reports import (
    HEARD_SECONDS,
    PREFIX,
    ModelReport,
    ReplicaReport,
    RolloutReport,
    ShadowTotals,
    parse_report,
    report_key,
)
from evertrain.storage import GONE, Store

LIST_SECONDS = 1.0
FORGET_SECONDS = 30 * 86_400.0
"""No rollout lasts as long: the report of a process that is gone since is removed."""
ACKNOWLEDGE_SECONDS = 10.0
LOOK_SECONDS = 0.1


@dataclass
class _Known:
    report: ReplicaReport | None
    tag: str
    heard_seconds: float


class Replicas:
    """The processes that report to a store, read again at each look.

    Args:
        store: Where they report.
        pipeline: Whose reports matter.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, pipeline: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._pipeline = pipeline
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._list_at_seconds = clock()

    def look(self) -> None:
        """Read what is new.

        Raises:
            StorageError: The store can't be read.
        """
        if self._clock() >= self._list_at_seconds:
            self._list_at_seconds = self._clock() + LIST_SECONDS
            for key in self._store.list(PREFIX):
                if key not in self._known:
                    self._meet(key)
        for key, known in self._known.items():
            found = self._store.get_if_changed(key, known.tag)
            if found is not None and found[1] != GONE:
                self._known[key] = _Known(parse_report(found[0]), found[1], self._clock())

    def answering(self) -> dict[str, ModelReport]:
        """What the processes serve that were heard from lately, by their names in the store."""
        since = self._clock() - HEARD_SECONDS
        return {
            report.id: model
            for known in self._known.values()
            if known.heard_seconds >= since and (report := known.report) is not None
            if (model := report.models.get(self._pipeline)) is not None
        }

    def where(self, replica: str) -> str:
        """Where a process runs, for people."""
        known = self._known.get(report_key(replica))
        report = known.report if known else None
        return f"process {report.pid} on {report.host}" if report else replica

    def steps(self, rollout: int) -> dict[int, StepCounts]:
        """What the arms of *rollout* did, by step, in all processes, those that are gone too."""
        total: dict[int, StepCounts] = {}
        for report in self._of(rollout):
            for step, counts in report.steps.items():
                total[step] = _add(total[step], counts) if step in total else counts
        return total

    def tripped(self, rollout: int) -> str | None:
        """The guardrail of *rollout* that a process found crossed by its own counts; None if none did."""
        return next((report.tripped for report in self._of(rollout) if report.tripped is not None), None)

    def shadow(self, rollout: int) -> ShadowTotals:
        """What the shadow's rows of *rollout* came to in all processes, those that are gone too."""
        totals = [asdict(report.shadow) for report in self._of(rollout) if report.shadow is not None]
        return ShadowTotals(**{name: sum(each[name] for each in totals) for name in asdict(ShadowTotals())})

    def _of(self, rollout: int) -> Iterator[RolloutReport]:
        for known in self._known.values():
            model = known.report.models.get(self._pipeline) if known.report else None
            if model is not None and model.rollout is not None and model.rollout.rollout == rollout:
                yield model.rollout

    def unready(self, rollout: int) -> list[str]:
        """Why processes that answer haven't loaded the challenger of *rollout*, each reason once."""
        told = []
        for model in self.answering().values():
            report = model.rollout
            if report is None or report.rollout != rollout:
                told.append("the challenger is not yet known to every process")
            elif not report.loaded:
                told.append(report.why or "the challenger is not loaded yet")
        return list(dict.fromkeys(told))

    def _meet(self, key: str) -> None:
        found = self._store.get_if_changed(key, None)
        if found is None:
            return
        age_seconds = self._store.age_seconds(key)
        if age_seconds is None:
            return
        if age_seconds > FORGET_SECONDS:
            self._store.delete(key)
            return
        self._known[key] = _Known(parse_report(found[0]), found[1], self._clock() - age_seconds)


def await_acknowledged(
    store: Store,
    pipeline: str,
    generation: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, Sequence[str]]:
    """Wait until every process of the service that was heard from lately serves *generation*, or a later one.

    Returns:
        How many do, and, after ten seconds, the names of those that don't.

    Raises:
        StorageError: The store can't be read.
    """
    replicas = Replicas(store, pipeline, clock)
    deadline = clock() + ACKNOWLEDGE_SECONDS
    while True:
        replicas.look()
        found: Mapping[str, ModelReport] = replicas.answering()
        late = [replicas.where(each) for each, model in found.items() if model.generation < generation]
        if not late or clock() >= deadline:
            return len(found) - len(late), late
        sleep(LOOK_SECONDS)


def _add(one: StepCounts, other: StepCounts) -> StepCounts:
    return replace(
        one,
        stable=_add_arms(one.stable, other.stable),
        challenger=_add_arms(one.challenger, other.challenger),
    )


def _add_arms(one: ArmCounts, other: ArmCounts) -> ArmCounts:
    return ArmCounts(one.requests + other.requests, one.errors + other.errors, one.slow + other.slow)
