"""Owns how two models' answers are laid beside one truth: by the spelling of their classes, in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evertrain.columns import encode_target, spell_category
from evertrain.evaluation.scores import Answers, ClassAnswers, IntArray, ValueAnswers

if TYPE_CHECKING:
    from evertrain.bundles import Bundle
    from evertrain.records import Label, Signature


class Truth:
    """What really happened on the held-out rows.

    Args:
        target: Raw labels or numbers, shape [n]; none missing.
        classes: The classes of the data in the model's order; None for regression.
        others: Classes that only another model knows; they get places of their own.

    Attributes:
        names: How the classes are spelled, in the order of the codes; empty for regression.
        codes: Class codes, shape [n]; of regression all 0, so that rows form one stratum.
    """

    def __init__(
        self, target: np.ndarray, classes: Sequence[Label] | None, others: Sequence[Label] = ()
    ) -> None:
        self.target = target
        self.names: tuple[str, ...] = ()
        self.codes: IntArray = np.zeros(len(target), dtype=np.int64)
        if classes is not None:
            self._encode((*classes, *others))

    def _encode(self, labels: Sequence[Label]) -> None:
        known = dict.fromkeys(spell_category(label) for label in labels)
        self.codes = encode_target(self.target, tuple(known))
        never_seen = self.codes < 0
        spelled = [spell_category(label) for label in self.target[never_seen]]
        self.names = (*known, *sorted(set(spelled)))
        if spelled:
            places = {name: place for place, name in enumerate(self.names)}
            self.codes[never_seen] = [places[name] for name in spelled]


def ask(bundle: Bundle, columns: Mapping[str, np.ndarray], truth: Truth) -> Answers:
    """Ask a model the held-out rows, through the code that serves.

    Args:
        bundle: The model; each of its classes is among ``truth.names``.
        columns: Raw columns by name, each of shape [n]; holds the model's features.
        truth: What really happened.

    Returns:
        Answers in the order of ``truth.names``; a class that the model doesn't know has probability 0.

    Raises:
        InvalidInput: A column doesn't hold what the model takes.
        ModelFailed: The model raised, or answered with a number that isn't finite.
    """
    wanted = {feature.name: columns[feature.name] for feature in bundle.signature.features}
    prediction = bundle.predict(wanted)
    if prediction.values is not None:
        return ValueAnswers(truth.target.astype(np.float64), prediction.values.astype(np.float64))
    assert prediction.codes is not None
    places = np.array([truth.names.index(spell_category(label)) for label in bundle.signature.classes or ()])
    probabilities = None
    if prediction.probabilities is not None:
        probabilities = np.zeros((len(truth.codes), len(truth.names)))
        probabilities[:, places] = prediction.probabilities
    return ClassAnswers(truth.codes, places[prediction.codes].astype(np.int64), probabilities)


def why_incomparable(
    signature: Signature, columns: Mapping[str, np.ndarray], task: str, classes: Sequence[Label] | None
) -> str | None:
    """Say in words why a model of *signature* can't be scored on these rows; None if it can.

    Of more than two classes the two models need to share only one: what the other doesn't know it gets wrong.
    """
    if signature.task != task:
        return f"it answers {signature.task}, these rows ask for {task}"
    missing = [feature.name for feature in signature.features if feature.name not in columns]
    if missing:
        return f"it needs {', '.join(map(repr, missing))}, which these rows don't have"
    own, here = ({spell_category(label) for label in labels or ()} for labels in (signature.classes, classes))
    different = own != here if task == "binary_classification" else own.isdisjoint(here)
    if classes is not None and different:
        return f"it answers {_list(own)}, these rows hold {_list(here)}"
    return None


def _list(names: set[str]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
