"""Owns the frozen values of a judgement: what was measured of two models, and what each gate said."""

from __future__ import annotations

from typing import Literal

from evertrain.frozen import Record

Verdict = Literal["pass", "fail", "not_shown"]


class MetricEstimate(Record):
    """A metric with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Gain(Record):
    """Challenger minus champion in the metric's good direction, paired, two-sided at ``confidence``."""

    metric: str
    confidence: float
    gain: float
    low: float
    high: float


class SliceGain(Record):
    """What a slice of the held-out rows gains: those where ``column`` is ``value``.

    Figures only where it is shown; else ``missing`` says why not. ``confidence`` is the one that Holm's
    correction left it.
    """

    column: str
    value: str
    rows: int
    verdict: Verdict
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    missing: str | None = None


class SliceGains(Record):
    """What one gate sees of slices: the worst first, then those not shown, the largest first.

    Attributes:
        shown: How many slices were compared.
        total: How many there are.
        slices: The first two hundred of them.
    """

    metric: str
    max_regression: float
    min_rows: int
    shown: int
    total: int
    slices: tuple[SliceGain, ...]


class Latency(Record):
    """How long one row took through the bundle.

    Measured anew it differs: whoever replays a verdict takes it as given.

    Attributes:
        calls: How many calls were timed, after warm-up.
        tries: How often that was done; this is the quickest.
    """

    calls: int
    tries: int = 1
    p50_ms: float
    p99_ms: float


class ChampionScore(Record):
    """The champion's metrics on the very rows the challenger was judged on."""

    version: int
    metrics: dict[str, MetricEstimate]


class Curve(Record):
    """Points of the diagnostic plot: a ROC curve a class, or predicted against residual."""

    kind: Literal["roc", "residuals"]
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Evaluation(Record):
    """Challenger and champion on the same held-out rows, both scored through the code that serves.

    ``resamples`` is how many times those rows were drawn again for the intervals; rows count alike, whatever
    their ``data.weight``. ``look`` is which challenger on (mostly) these rows this is, counted from 1.
    """

    rows: int
    resamples: int = 0
    metrics: dict[str, MetricEstimate]
    champion: ChampionScore | None = None
    champion_missing: str | None = None
    gains: tuple[Gain, ...] = ()
    curves: tuple[Curve, ...] = ()
    look: int | None = None
    slices: tuple[SliceGains, ...] = ()


class GateResult(Record):
    """One gate's verdict; ``gain``, ``low`` and ``high`` only where two models were compared.

    The gate ``slices`` gives those of the worst slice, and ``slices`` beside them.
    """

    type: str
    metric: str | None = None
    verdict: Verdict
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str
    slices: tuple[SliceGain, ...] = ()
