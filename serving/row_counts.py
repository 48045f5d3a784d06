"""Owns what is counted of answered rows: answers, missing values, unseen categories, broken rules."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from evertrain.bundles import Bundle
from evertrain.columns import MISSING, Values, is_missing
from evertrain.predictions import Prediction
from evertrain.spelling import spell_categories, spell_category
from serving.served import Served
from serving.value_rules import ValueRule, count_broken, read_rules

MOST_ANSWERS = 50
"""Of a model with more classes the rest is counted as one: each class is a series in Prometheus."""
REST = "(others)"
BANDS = (0.25, 0.5, 0.75)
"""Where a regression's golden answers are cut: its answers are counted by the quarter they fall in."""

_log = logging.getLogger(__name__)


class RowFamilies:
    """The counters of rows, one series for each of their labels' values.

    Args:
        registry: Tells them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "evertrain_predictions",
            "Rows answered, by class; of a regression by the quarter of its golden answers.",
            ("model", "version", "arm", "answer"),
            registry=registry,
        )
        self.missing = Counter(
            "evertrain_missing_values",
            "Values of a feature that were null in answered rows.",
            ("model", "feature"),
            registry=registry,
        )
        self.unseen = Counter(
            "evertrain_unseen_categories",
            "Values of a categorical feature that the model's training rows didn't have.",
            ("model", "feature"),
            registry=registry,
        )
        self.broken = Counter(
            "evertrain_expectation_violations",
            "Values in answered rows that break an expectation of the pipeline; none is refused for it.",
            ("model", "feature", "expectation"),
            registry=registry,
        )


class RowCounts:
    """Counts the rows that one version answers under one arm; its series are there from the start, at 0.

    Args:
        families: Where to count.
        served: The version.
        arm: The arm.
    """

    def __init__(self, families: RowFamilies, served: Served, arm: str) -> None:
        self.bundle = served.bundle
        name, signature = served.name, served.bundle.signature
        self._answers, self._place = _answer_counters(families, served, arm)
        self._plain: list[tuple[str, Counter]] = []
        self._categorical: list[tuple[str, Counter, frozenset[str] | None, Counter | None]] = []
        for feature in signature.features:
            missing = families.missing.labels(name, feature.name)
            if feature.kind != "categorical":
                self._plain.append((feature.name, missing))
                continue
            seen = seen_categories(served.bundle, feature.name)
            unseen = None if seen is None else families.unseen.labels(name, feature.name)
            self._categorical.append((feature.name, missing, seen, unseen))
        self._rules: list[tuple[ValueRule, Counter]] = [
            (rule, families.broken.labels(name, rule.column, rule.expectation))
            for rule in _rules_of(served.bundle)
        ]

    def count(self, columns: Mapping[str, Values], prediction: Prediction) -> None:
        """Count the rows *columns* and what was answered; a row costs some microseconds."""
        self._count_answers(prediction)
        for name, missing in self._plain:
            values = columns[name]
            absent = values.count(None) if type(values) is list else _count_missing(values)
            if absent:
                missing.inc(absent)
        for name, missing, seen, unseen in self._categorical:
            values = columns[name]
            # Nearly always all are texts that training had; None is none of them.
            if seen is None or type(values) is not list or not seen.issuperset(values):
                _count_texts(values, missing, seen, unseen)
        for rule, broken in self._rules:
            found = count_broken(rule, _plain(columns[rule.column]))
            if found:
                broken.inc(found)

    def _count_answers(self, prediction: Prediction) -> None:
        answers = prediction.values if prediction.codes is None else prediction.codes
        if answers is None:
            return
        if len(answers) == 1:
            self._answers[self._place(answers)[0]].inc()
            return
        for place, rows in enumerate(np.bincount(self._place(answers)).tolist()):
            if rows:
                self._answers[place].inc(rows)


def seen_categories(bundle: Bundle, feature: str) -> frozenset[str] | None:
    """The categories that *feature* had in training, spelled; None where the bundle doesn't list all."""
    facts = bundle.statistics.get(feature, {})
    listed = facts.get("categories")
    # Bundles that were made before there was a list have the most frequent ones: often that is all of them.
    if listed is None and len(facts.get("top", ())) == facts.get("distinct"):
        listed = facts["top"]
    return None if listed is None else frozenset(listed)


def _rules_of(bundle: Bundle) -> list[ValueRule]:
    try:
        return read_rules(bundle.serving.expectations, bundle.signature.features)
    except (
        Exception
    ) as error:  # arguments may be anything: what can't be counted mustn't keep a model from answering
        _log.warning("The expectations of bundle %s aren't counted: %s", bundle.digest[:12], error)
        return []


def _answer_counters(
    families: RowFamilies, served: Served, arm: str
) -> tuple[list[Counter], Callable[[np.ndarray], np.ndarray]]:
    def counter(answer: str) -> Counter:
        return families.answers.labels(served.name, str(served.version), arm, answer)

    classes = served.bundle.signature.classes
    if classes is None:
        cuts = _cuts(served.bundle)
        return [counter(band) for band in _bands(cuts)], lambda values: np.searchsorted(cuts, values)
    named = [counter(spell_category(label)) for label in classes[:MOST_ANSWERS]]
    rest = [counter(REST)] * (len(classes) - MOST_ANSWERS) if len(classes) > MOST_ANSWERS else []
    return named + rest, lambda codes: codes


def _cuts(bundle: Bundle) -> np.ndarray:
    golden = bundle.golden.values
    return np.unique(np.quantile(golden, BANDS)) if golden else np.array([])


def _bands(cuts: np.ndarray) -> list[str]:
    if not cuts.size:
        return ["any"]
    spelled = [f"{cut:.6g}" for cut in cuts]
    between = [f"{low} to {high}" for low, high in pairwise(spelled)]
    return [f"up to {spelled[0]}", *between, f"over {spelled[-1]}"]


def _count_texts(
    values: Values, missing: Counter, seen: frozenset[str] | None, unseen: Counter | None
) -> None:
    texts: list[str] = spell_categories(values).tolist()
    absent = texts.count(MISSING)
    if absent:
        missing.inc(absent)
    if seen is None or unseen is None:
        return
    unknown = len(texts) - sum(map(seen.__contains__, texts)) - absent
    if unknown:
        unseen.inc(unknown)


def _count_missing(values: Values) -> int:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
    return sum(map(is_missing, values))


def _plain(values: Values) -> Sequence[Any]:
    """Python values, None where one is missing."""
    if type(values) is list:
        return values
    if not isinstance(values, np.ndarray):
        return [None if is_missing(value) else value for value in values]
    listed: list[Any] = values.tolist()
    # Of numbers in an array only a float can be missing.
    if values.dtype.kind in "biu" or (values.dtype.kind == "f" and not np.isnan(values).any()):
        return listed
    return [None if is_missing(value) else value for value in listed]
