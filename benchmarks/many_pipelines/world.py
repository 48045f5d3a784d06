"""Owns two tables to learn from: one made up to hold all that is hard, and real flights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evertrain.columns import encode_inputs
from evertrain.records import Feature

FLIGHTS = Path(__file__).parents[2] / "data" / "flights"
LEARNT, ASKED, UNSEEN_SHARE = 3_000, 20_000, 0.02


@dataclass(frozen=True)
class World:
    """A table that went through the column layer.

    Attributes:
        features: Its columns.
        learnt: Inputs to learn from, shape (n,) each; ``target`` and ``number`` are what to learn.
        asked: Inputs to answer; the first half for the parity gate, the rest for the check after it.
        target: Three classes, 0 to 2; of two, whether it is 0.
        number: To regress on.
    """

    features: tuple[Feature, ...]
    learnt: Mapping[str, np.ndarray]
    asked: Mapping[str, np.ndarray]
    target: np.ndarray
    number: np.ndarray


def synth() -> World:
    """Ten doubles with gaps, one a million give or take ten thousand; whole, boolean and text columns."""
    rng = np.random.default_rng(7)
    rows = LEARNT + ASKED
    columns: dict[str, np.ndarray] = {}
    for place in range(10):
        values = rng.normal(size=rows) * (1e4 if place == 9 else 1.0) + (1e6 if place == 9 else 0.0)
        columns[f"x{place}"] = np.where(rng.random(rows) < 0.05, np.nan, values)
    columns["whole"] = rng.integers(0, 50, rows)
    columns["flag"] = rng.random(rows) < 0.3
    columns["color"] = rng.choice(["red", "green", "blue", "grey"], rows).astype(object)
    columns["town"] = rng.choice([f"town {number}" for number in range(30)], rows).astype(object)
    score = np.nan_to_num(columns["x0"]) + 0.5 * np.nan_to_num(columns["x1"]) + 0.05 * columns["whole"]
    score = score + (columns["color"] == "red") - columns["flag"] + rng.normal(size=rows) * 0.5
    unseen = (rng.random(rows) < UNSEEN_SHARE) & (np.arange(rows) >= LEARNT)
    columns["town"][unseen] = "a town never seen"
    kinds = {"whole": "integer", "flag": "boolean"}
    features = [
        Feature(name=name, kind="numeric", type=kinds.get(name, "float"), offset=1e6 if name == "x9" else 0.0)
        for name in columns
        if name not in ("color", "town")
    ]
    features += [Feature(name=name, kind="categorical", type="string") for name in ("color", "town")]
    target = np.digitize(score, [0.8, 2.0])
    return _cut(tuple(features), columns, target, 20 + 5 * score)


def flights() -> World:
    """Flights of January to March to learn from, of April to answer."""
    names = ["sched_dep_time", "sched_arr_time", "distance", "hour", "carrier", "origin", "dest"]
    pages = [pd.read_parquet(path) for path in sorted(FLIGHTS.glob("*.parquet"))]
    table = pd.concat(pages).dropna(subset=["arr_delay"])
    rng = np.random.default_rng(7)
    learnt = table[table["month"] <= 3].sample(LEARNT, random_state=7)
    asked = table[table["month"] == 4].sample(ASKED, random_state=7)
    rows = pd.concat([learnt, asked])
    columns = {name: rows[name].to_numpy() for name in names}
    dest = columns["dest"].astype(object)
    dest[(rng.random(len(rows)) < UNSEEN_SHARE) & (np.arange(len(rows)) >= LEARNT)] = "XXX"
    columns["dest"] = dest
    features = [Feature(name=name, kind="numeric", type="integer") for name in names[:4]]
    features += [Feature(name=name, kind="categorical", type="string") for name in names[4:]]
    delay = rows["arr_delay"].to_numpy()
    return _cut(tuple(features), columns, np.digitize(delay, [-5, 15]), np.clip(delay, -60, 300))


def _cut(
    features: tuple[Feature, ...], columns: Mapping[str, np.ndarray], target: np.ndarray, number: np.ndarray
) -> World:
    inputs = encode_inputs(features, columns)
    return World(
        features=features,
        learnt={name: values[:LEARNT] for name, values in inputs.items()},
        asked={name: values[LEARNT:] for name, values in inputs.items()},
        target=target[:LEARNT].astype(np.int64),
        number=number[:LEARNT].astype(np.float64),
    )
