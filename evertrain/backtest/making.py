"""Owns how a piece of a backtest is come by: recalled from the store, or worked out and kept there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from evertrain.backtest.judging import make_check, make_judge, make_score
from evertrain.backtest.pieces import (
    MADE,
    Fit,
    FitMade,
    Made,
    Piece,
    Rows,
    RowsMade,
    Verdict,
    VerdictMade,
    Window,
    WindowMade,
    key_of,
    read_config,
)
from evertrain.backtest.place import Place
from evertrain.canonical import canonical_json, digest_of
from evertrain.datasets import ingest, read_side, to_columns
from evertrain.datasets.periods import read_period
from evertrain.errors import BundleRefused, DataRefused, InvalidInput, ModelFailed, TrainingError
from evertrain.holdouts import fingerprint_rows, identity_columns, keep_fingerprints
from evertrain.packaging import package
from evertrain.runs import code_digest
from evertrain.storage import Store
from evertrain.training import train
from evertrain.validation import refusal
from evertrain.validation.snapshots import validate_snapshot

NO_MODEL = (TrainingError, BundleRefused, InvalidInput, ModelFailed)
"""What says of these rows and this estimator that no model comes of them; anything else ends a backtest."""


def recall(store: Store, piece: Piece) -> Made | None:
    """Find what *piece* came to before; None where it didn't, or isn't of today's shape.

    Raises:
        StorageError: The store can't be read.
    """
    body = store.get(key_of(piece))
    try:
        return None if body is None else MADE[piece.kind].model_validate_json(body)
    except ValueError:
        return None


def keep(store: Store, piece: Piece, made: Made) -> None:
    """Keep what *piece* came to.

    Raises:
        StorageError: The store can't be written.
    """
    store.put(key_of(piece), canonical_json(made.model_dump(mode="json")))


def make(piece: Piece, place: Place) -> Made:
    """Recall what *piece* came to, or work it out and keep it.

    Raises:
        EvertrainError: What neither the rows nor the estimator is to blame for; see ``evertrain.errors``.
    """
    found = recall(place.store, piece)
    if found is None:
        began = time.perf_counter()
        found = WORKS[piece.kind](piece, place.with_make(make))
        # What took no time of its own was worked out before, and says what that took.
        if not getattr(found, "seconds", 1.0):
            found = found.model_copy(update={"seconds": round(time.perf_counter() - began, 3)})
        keep(place.store, piece, found)
    return found


def make_rows(piece: Rows, place: Place) -> RowsMade:
    """Ingest what a training as of then would have read; labels and rows that came later don't exist."""
    config = read_config(piece.config)
    try:
        ingested = ingest(config, place.store, as_of=piece.as_of, now=piece.as_of)
    except DataRefused as refused:
        return RowsMade(refused=refused.message)
    names = identity_columns([each.name for each in ingested.snapshot.columns], config.data)
    held_out = read_side(place.store, ingested.snapshot, "holdout", target=config.data.target, columns=names)
    prints = fingerprint_rows(to_columns(held_out, names))
    return RowsMade(ingested=ingested, holdout=keep_fingerprints(place.store, prints))


def make_window(piece: Window, place: Place) -> WindowMade:
    """Keep a period's rows as parts in the store."""
    snapshot = read_period(read_config(piece.config), place.store, piece.since, piece.until)
    return WindowMade(snapshot=snapshot)


def make_fit(piece: Fit, place: Place) -> FitMade:
    """Fit and package a model as a training would."""
    rows = place.make(piece.rows, RowsMade)
    if rows.ingested is None:
        return FitMade(refused=rows.refused)
    config = read_config(piece.config)
    snapshot = rows.ingested.snapshot.digest
    # The same rows of a source that has grown since, or that can't be told by its files.
    same = f"backtest/fits/{digest_of([piece.config, piece.most_rows, snapshot, code_digest()])}.json"
    known = place.store.get(same)
    if known is not None:
        return FitMade.model_validate_json(known)
    began = time.perf_counter()
    try:
        trained = train(config, rows.ingested, place.store, place.settings, most_rows=piece.most_rows)
        made_from = {"pipeline": config.name, "is": "backtest", "snapshot": snapshot}
        bundle = package(config, rows.ingested, trained, place.store, made_from)
    except NO_MODEL as failed:
        return FitMade(failed=failed.message)
    except DataRefused as refused:
        return FitMade(refused=refused.message)
    made = FitMade(
        bundle=bundle.digest,
        snapshot=snapshot,
        holdout=rows.holdout,
        seconds=round(time.perf_counter() - began, 3),
    )
    place.store.put(same, canonical_json(made.model_dump(mode="json")))
    return made


def make_verdict(piece: Verdict, place: Place) -> VerdictMade:
    """Have Great Expectations judge a training's rows."""
    rows = place.make(piece.rows, RowsMade)
    if rows.ingested is None:
        return VerdictMade(refused=rows.refused)
    try:
        report = validate_snapshot(read_config(piece.config).validation, rows.ingested, place.store)
    except DataRefused as refused:
        return VerdictMade(refused=refused.message)
    return VerdictMade(refused=None if report.success else refusal(report).message)


WORKS: dict[str, Callable[[Any, Place], Made]] = {
    "rows": make_rows,
    "window": make_window,
    "fit": make_fit,
    "verdict": make_verdict,
    "judge": make_judge,
    "check": make_check,
    "score": make_score,
}
