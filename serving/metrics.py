"""Owns what the service tells Prometheus: requests as they are answered, models as they stand when asked."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from evertrain.columns import Values
from evertrain.errors import ModelNotReady
from evertrain.predictions import Prediction
from serving.fleet import Fleet, Served
from serving.log_metrics import LogMetrics
from serving.recorder import KeepsNothing, Recorder
from serving.row_counts import RowCounts, RowFamilies
from serving.status.history import History

if TYPE_CHECKING:
    from prometheus_client import Metric

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# From what a small model takes on a quiet core to what a caller gives up on.
BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
UNKNOWN = ""
KEPT_VERSIONS = 8
"""So many versions of a model keep their series; the one that came first goes when one more comes."""
_SHARED = "PROMETHEUS_MULTIPROC_DIR"


def has_siblings() -> bool:
    """Whether other processes answer on this one's port, with whose counts Prometheus' add up."""
    return _SHARED in os.environ


class ServiceMetrics:
    """The metrics of one service; each app has its own, so that two in one process don't add up.

    Args:
        fleet: The models that are told of.
        recorder: Whose log is told of.
    """

    def __init__(self, fleet: Fleet, recorder: Recorder | None = None) -> None:
        self._fleet = fleet
        self._registry = CollectorRegistry()
        # Labels are looked up once: what the hot path does is an addition.
        self._answers: dict[tuple[str, str, str, int], Counter] = {}
        self._seconds: dict[tuple[str, str, str], Histogram] = {}
        self._rows: dict[tuple[str, int, str], RowCounts] = {}
        self._answer_family = Counter(
            "evertrain_requests",
            "Scoring requests answered, by HTTP status; model is empty where none was found.",
            ("model", "version", "arm", "code"),
            registry=self._registry,
        )
        self._refusal_family = Counter(
            "evertrain_refusals",
            "Scoring requests refused, by kind of problem: the end of the answer's type.",
            ("model", "kind"),
            registry=self._registry,
        )
        self._seconds_family = Histogram(
            "evertrain_request_seconds",
            "From a scoring request's headers to its answer.",
            ("model", "version", "arm"),
            buckets=BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._failure_family = Counter(
            "evertrain_arm_failures",
            "Requests on which an arm's model failed; a challenger's are answered by the champion.",
            ("model", "version", "arm"),
            registry=self._registry,
        )
        self._row_families = RowFamilies(self._registry)
        self.history = History(folder=Path(os.environ[_SHARED]) if has_siblings() else None)
        self._log = LogMetrics(recorder or KeepsNothing(), self._registry)
        self._registry.register(_FleetCollector(fleet))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def count(
        self, model: str, code: int, seconds: float, *, version: str = "", arm: str = "", kind: str = ""
    ) -> None:
        """Count one scoring request.

        Args:
            model: What it asked for; UNKNOWN where no such model was found.
            code: The answer's HTTP status.
            seconds: From its headers to its answer.
            version: Which version answered or refused it; "" where none was chosen.
            arm: The same of the arm.
            kind: Which problem it was answered with; "" where it wasn't refused.
        """
        key = (model, version, arm, code)
        counter = self._answers.get(key)
        if counter is None:
            counter = self._answers[key] = self._answer_family.labels(*key)
        counter.inc()
        histogram = self._seconds.get(key[:3])
        if histogram is None:
            histogram = self._seconds[key[:3]] = self._seconds_family.labels(*key[:3])
        histogram.observe(seconds)
        if kind:
            self._refusal_family.labels(model, kind).inc()
        self.history.count(model, arm, code, seconds)
        self._log.look_now_and_then()

    def count_arm_failure(self, model: str, version: str, arm: str) -> None:
        """Count that an arm's model raised, or gave a number that isn't finite."""
        self._failure_family.labels(model, version, arm).inc()

    def observe_rows(
        self, served: Served, arm: str, columns: Mapping[str, Values], prediction: Prediction
    ) -> None:
        """Count the rows of one request that was answered.

        Args:
            served: The model that answered.
            arm: For which arm.
            columns: The features' raw values by name, n each.
            prediction: The answer to the n rows.
        """
        key = (served.name, served.version, arm)
        rows = self._rows.get(key)
        if rows is None or rows.bundle is not served.bundle:
            self._forget_old(served)
            rows = self._rows[key] = RowCounts(self._row_families, served, arm)
        rows.count(columns, prediction)

    def _forget_old(self, served: Served) -> None:
        """Keep the last versions of each model: a service that lives for months sees hundreds."""
        known = list(dict.fromkeys(version for name, version, _ in self._rows if name == served.name))
        if served.version in known or len(known) < KEPT_VERSIONS or has_siblings():
            return
        name, oldest = served.name, known[0]
        told = {"model": name, "version": str(oldest)}
        families = (self._answer_family, self._seconds_family, self._failure_family)
        for family in (*families, self._row_families.answers):
            family.remove_by_labels(told)
        self._rows = {key: rows for key, rows in self._rows.items() if key[:2] != (name, oldest)}
        self._answers = {key: one for key, one in self._answers.items() if key[:2] != (name, str(oldest))}
        self._seconds = {key: one for key, one in self._seconds.items() if key[:2] != (name, str(oldest))}

    def render(self) -> bytes:
        """All metrics in Prometheus' text format; the counts of several workers add up."""
        self._log.look()
        text: bytes = generate_latest(self._registry_of_all() if has_siblings() else self._registry)
        return text

    def _registry_of_all(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(_FleetCollector(self._fleet))
        return registry


class _FleetCollector:
    """Looks at the fleet when Prometheus asks: nothing is kept that could go stale."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        """Readiness, and for each model what is served, what should be, and how fresh that knowledge is."""
        yield GaugeMetricFamily(
            "evertrain_ready", "1 if the service is ready, else 0.", float(_is_ready(self._fleet))
        )
        info = GaugeMetricFamily(
            "evertrain_model_info",
            "1 for each model that answers, with its version and bundle.",
            labels=("model", "version", "bundle", "runtime"),
        )
        served_generation = GaugeMetricFamily(
            "evertrain_model_generation",
            "The generation that answers: how often the champion had changed.",
            labels=("model",),
        )
        for served in self._fleet.loaded():
            bundle = served.bundle
            info.add_metric((served.name, str(served.version), bundle.digest, bundle.runtime), 1.0)
            served_generation.add_metric((served.name,), float(served.generation))
        yield info
        yield served_generation
        yield self._training()
        yield from self._journals()

    def _training(self) -> Metric:
        missing = GaugeMetricFamily(
            "evertrain_training_missing_share",
            "The share of the rows that a model learnt from in which a feature was missing.",
            labels=("model", "feature"),
        )
        for served in self._fleet.loaded():
            for name, facts in served.bundle.statistics.items():
                missing.add_metric((served.name, name), facts.get("missing_share", 0.0))
        return missing

    def _journals(self) -> Iterator[Metric]:
        journal_generation = GaugeMetricFamily(
            "evertrain_journal_generation",
            "The generation that the journal wanted when it was last read; 0 before the first champion.",
            labels=("model",),
        )
        stale = GaugeMetricFamily(
            "evertrain_stale_seconds",
            "How long ago the model's journal was last found in the store.",
            labels=("model",),
        )
        now = time.monotonic()
        for name, reading in sorted(self._fleet.readings().items()):
            journal_generation.add_metric((name,), float(reading.generation))
            stale.add_metric((name,), max(0.0, now - reading.at_seconds))
        yield journal_generation
        yield stale


def _is_ready(fleet: Fleet) -> bool:
    try:
        fleet.check_ready()
    except ModelNotReady:
        return False
    return True
