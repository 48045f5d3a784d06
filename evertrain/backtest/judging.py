"""Owns the pieces that look at models: gates on held-out rows, a drift check, a champion's later score."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from evertrain.backtest.pieces import (
    Check,
    CheckMade,
    Fit,
    FitMade,
    Judge,
    JudgeMade,
    RegretMade,
    RowsMade,
    Score,
    ScoreMade,
    WindowMade,
    read_config,
)
from evertrain.backtest.place import Place
from evertrain.bundles import Bundle, load_bundle
from evertrain.config import DataConfig, PipelineConfig
from evertrain.datasets import Ingested, read_manifest, read_side, to_columns
from evertrain.datasets.current import open_current, reference_rows
from evertrain.datasets.snapshots import SIDES
from evertrain.datasets.times import to_naive
from evertrain.drift import measure_drift, plan_drift
from evertrain.errors import DataRefused, InvalidInput, ModelFailed, TrainingError
from evertrain.evaluation import judge
from evertrain.evaluation.held_out import gather_evidence, read_held_out
from evertrain.evaluation.newest import judge_by, score_newest
from evertrain.evaluation.points import score_points
from evertrain.gates import BeatsChampion
from evertrain.records import Evaluation, Snapshot

UNANSWERED = (TrainingError, InvalidInput, ModelFailed)
VERSION = 1
"""Stands for the champion's version where only its presence counts."""


def make_judge(piece: Judge, place: Place) -> JudgeMade:
    """Ask the gates of a candidate beside the champion, both on the candidate's held-out rows."""
    config = read_config(piece.config)
    rows = place.make(piece.candidate.rows, RowsMade)
    assert rows.ingested is not None
    candidate = _load(piece.candidate, place)
    champion = (VERSION, _load(piece.champion, place)) if piece.champion else None
    bundles = [candidate, champion[1] if champion else None]
    snapshot, target = rows.ingested.snapshot, config.data.target
    held_out = read_held_out(place.store, snapshot, target, bundles, config.evaluation.slices)
    try:
        evidence = gather_evidence(
            config, candidate, champion, held_out, rows.ingested.classes, look=piece.look
        )
    except (DataRefused, *UNANSWERED) as failed:
        return JudgeMade(failed=failed.message)
    return JudgeMade(
        metrics={name: each.value for name, each in evidence.evaluation.metrics.items()},
        held=tuple(
            f"{gate.type}: {gate.reason}" for gate in judge(config, evidence) if gate.verdict == "fail"
        ),
    )


def make_check(piece: Check, place: Place) -> CheckMade:
    """Measure what a drift check would have measured then: columns, performance, regret."""
    config = read_config(piece.config)
    champion = place.make(piece.champion, FitMade)
    assert champion.bundle is not None
    assert champion.snapshot is not None
    bundle = load_bundle(place.store, champion.bundle)
    with open_current(config, as_of=piece.as_of, now=piece.as_of) as current:
        learnt = reference_rows(place.store, read_manifest(place.store, champion.snapshot))
        reference = current.before if config.drift.reference == "rolling" else learnt
        if current.rows < config.drift.current.min_rows or not reference.rows:
            return CheckMade(rows=current.rows)
        plan = bundle.drift or plan_drift(bundle.signature.features)
        drift = measure_drift(plan, reference, current, max_share=config.drift.max_share)
        found = CheckMade(rows=current.rows, share=drift.share)
    if config.drift.performance is None and config.drift.regret is None and piece.known_until is None:
        return found
    newest = place.make(piece.newest, RowsMade)
    if newest.ingested is None:
        return found.model_copy(update={"new_labels": None if piece.known_until is None else 0})
    return found.model_copy(update=_look_at_labels(piece, config, place, newest.ingested, bundle))


def make_score(piece: Score, place: Place) -> ScoreMade:
    """Measure a champion on what happened while it served."""
    snapshot = place.make(piece.window, WindowMade).snapshot
    if not snapshot.holdout_rows:
        there = f"{snapshot.rows:,} rows, none labelled" if snapshot.rows else "no rows"
        return ScoreMade(reason=there)
    target = read_config(piece.window.config).data.target
    bundle = _load(piece.champion, place)
    rows = read_held_out(place.store, snapshot, target, [bundle])
    try:
        metrics = score_points(bundle, rows.columns, rows.target, piece.metrics)
    except (InvalidInput, ModelFailed) as failed:
        return ScoreMade(rows=snapshot.holdout_rows, reason=failed.message)
    reason = None if metrics else "no metric can be told of these rows"
    return ScoreMade(rows=snapshot.holdout_rows, metrics=metrics, reason=reason)


def _look_at_labels(
    piece: Check, config: PipelineConfig, place: Place, newest: Ingested, champion: Bundle
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if piece.known_until is not None:
        found["new_labels"] = _count_newer(place, newest.snapshot, config.data, piece.known_until)
    performance, regret = config.drift.performance, config.drift.regret
    if performance is not None:
        scored = _score_newest(judge_by(config, performance.metric), place, newest, champion, None)
        found["value"] = scored and scored.metrics[performance.metric].value
    if regret is None or piece.probe is None:
        return found
    probe = place.make(piece.probe, FitMade)
    if probe.bundle is None:
        return found
    gate = BeatsChampion(
        type="beats_champion", metric=regret.metric, min_gain=0.0, confidence=regret.confidence
    )
    judged_by = judge_by(config, regret.metric, gate)
    scored = _score_newest(judged_by, place, newest, load_bundle(place.store, probe.bundle), champion)
    if scored is not None and scored.gains:
        (gain,) = scored.gains
        found["regret"] = RegretMade(gain=gain.gain, low=gain.low, high=gain.high, rows=scored.rows)
    return found


def _score_newest(
    config: PipelineConfig, place: Place, newest: Ingested, candidate: Bundle, champion: Bundle | None
) -> Evaluation | None:
    """Measure one or both on the newest labelled rows; None where these rows can't tell."""
    rival = (VERSION, champion) if champion else None
    try:
        return score_newest(place.store, config, newest, candidate, rival)
    except (DataRefused, *UNANSWERED):
        return None


def _count_newer(place: Place, snapshot: Snapshot, data: DataConfig, moment: datetime) -> int:
    """Count the labelled rows, of both sides, that are newer than *moment*."""
    assert data.timestamp is not None
    after = np.datetime64(to_naive(moment), "us")
    tables = [
        read_side(place.store, snapshot, side, target=data.target, columns=[data.timestamp]) for side in SIDES
    ]
    return sum(int((to_columns(each, [data.timestamp])[data.timestamp] > after).sum()) for each in tables)


def _load(fit: Fit, place: Place) -> Bundle:
    made = place.make(fit, FitMade)
    assert made.bundle is not None
    return load_bundle(place.store, made.bundle)
