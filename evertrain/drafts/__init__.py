"""Owns first drafts: a look at data becomes a pipeline's YAML, commented, that trains as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from evertrain.columns import LARGEST
from evertrain.config import NAME_PATTERN, PipelineConfig
from evertrain.datasets import Ingested, ingest
from evertrain.datasets.sql import quote_name
from evertrain.drafts.looking import Look, look_at
from evertrain.drafts.writing import write_text
from evertrain.durations import spell_duration
from evertrain.errors import ConfigError, DataRefused
from evertrain.records import Record, Task
from evertrain.storage import open_store

# So many days at least make two windows; fewer are cut at a fifth of the rows.
DAYS_FOR_WINDOWS = 20
HOLDOUT_DAYS = 30
ESTIMATORS = {
    "binary_classification": "sklearn.ensemble.HistGradientBoostingClassifier",
    "multiclass_classification": "sklearn.ensemble.HistGradientBoostingClassifier",
    "regression": "sklearn.ensemble.HistGradientBoostingRegressor",
}


class Draft(Record):
    """A pipeline's first YAML, and what it says."""

    name: str
    text: str
    task: Task
    target: str
    timestamp: str | None
    estimator: str
    features: dict[str, tuple[str, ...]]
    left_out: dict[str, str]
    notes: tuple[str, ...]


def draft_pipeline(uri: str, target: str, *, name: str | None, now: datetime) -> Draft:
    """Draft the pipeline that learns *target* from the files at *uri*.

    The rows are split and kept as a snapshot once, in a folder that is thrown away: what the draft says has
    been tried.

    Args:
        uri: A path, a glob or an object's address, as ``data.source.uri`` takes it.
        target: The column to predict.
        name: What to call the pipeline; None: after the file or its folder.
        now: This moment.

    Raises:
        ConfigError: *name* can't be a pipeline's.
        SourceError: There is no such file or column, or it can't be read.
        DataRefused: The target can't be learnt, or no column is left to learn from.
    """
    called = _name_after(uri) if name is None else _checked(name)
    look = look_at(uri, target)
    raw, ingested = _try_out(_candidates(called, uri, look), now)
    features = {
        kind: tuple(each.name for each in ingested.plan.features if each.kind == kind)
        for kind in ("numeric", "categorical", "datetime")
    }
    return Draft(
        name=called,
        text=write_text(raw, look, ingested),
        task=look.task,
        target=target,
        timestamp=raw["data"].get("timestamp"),
        estimator=raw["training"]["estimator"],
        features={kind: names for kind, names in features.items() if names},
        left_out={each.name: each.reason for each in ingested.plan.left_out},
        notes=ingested.notes,
    )


def _checked(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f"--name {name!r} can't be a pipeline's name; expected small letters, digits, _ and -, beginning "
            "with a letter, 63 at most."
        )
    return name


def _name_after(uri: str) -> str:
    """A legal name: the file's, or where that is a pattern or a number, the folder's that holds it."""
    for part in reversed(PurePosixPath(uri).parts):
        plain = "" if set(part) & set("*?[") else part.partition(".")[0].lower()
        legal = re.sub(r"[^a-z0-9_-]+", "-", plain).lstrip("-_0123456789")
        # A number that stands apart is a date or a part's; `q3` is a name.
        legal = re.sub(r"[_-][0-9_-]*$", "", legal)
        if legal:
            return legal[:63]
    return "pipeline"


def _candidates(name: str, uri: str, look: Look) -> Iterator[dict[str, Any]]:
    """The pipeline as it might be, the likeliest first."""
    raw: dict[str, Any] = {
        "name": name,
        "data": {"source": {"type": "files", "uri": uri}, "target": look.target},
        "training": {"estimator": ESTIMATORS[look.task]},
        "evaluation": {"task": look.task},
    }
    if look.infinite:
        raw["data"]["query"] = _finite_query(look.infinite)
    timed = {**raw["data"], "timestamp": look.times[0].name} if len(look.times) == 1 else None
    if timed is not None:
        span = look.times[0].span
        if span >= timedelta(days=DAYS_FOR_WINDOWS):
            yield {**raw, "data": {**timed, "window": _windows(span)}}
        yield {**raw, "data": timed}
    yield raw


def _finite_query(names: tuple[str, ...]) -> str:
    columns = [(quote_name(name), f"CASE WHEN abs({quote_name(name)}) <= {LARGEST}") for name in names]
    finite = ", ".join(f"{when} THEN {name} END AS {name}" for name, when in columns)
    # Not an injection: the names are quoted, and it is the user's own draft.
    return f"SELECT * REPLACE ({finite}) FROM source"  # noqa: S608


def _windows(span: timedelta) -> dict[str, str]:
    holdout = min(HOLDOUT_DAYS, span.days // 5)
    train = min(4 * holdout, span.days - holdout)
    return {
        key: spell_duration(timedelta(days=days)) for key, days in (("train", train), ("holdout", holdout))
    }


def _try_out(candidates: Iterator[dict[str, Any]], now: datetime) -> tuple[dict[str, Any], Ingested]:
    """Ingest for the first candidate that the data lets be learnt from and judged on."""
    refusal: DataRefused | None = None
    for raw in candidates:
        with TemporaryDirectory(prefix="evertrain-init-") as folder:
            try:
                config = PipelineConfig.model_validate(raw)
                return raw, ingest(config, open_store(folder), as_of=None, now=now.astimezone(UTC))
            except DataRefused as error:
                refusal = refusal or error
    assert refusal is not None
    raise refusal
