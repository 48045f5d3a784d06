"""Owns the flow ``batch_scoring``: the rows that the YAML's ``batch`` names, scored by the champion."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run

from evertrain.batch import BatchReport
from evertrain.batch.addresses import choose_addresses
from evertrain.config.files import load_config
from evertrain.pipelines import config_path, open_pipeline
from evertrain.settings import read_settings
from flows.owners import own_run
from flows.run_log import tell_in_words
from flows.telling import tell_crashed, tell_failed
from flows.turns import await_turn, in_utc, name_run
from flows.zombies import mark_others
from tasks.batch import score_task


@flow(
    name="batch_scoring",
    flow_run_name=name_run,
    persist_result=False,
    on_completion=[mark_others],
    on_failure=[tell_failed, mark_others],
    on_crashed=[tell_crashed],
)
def batch_scoring_flow(
    config: str,
    as_of: datetime | None = None,
    source: str | None = None,
    target: str | None = None,
    version: str = "champion",
    query: bool = False,
    delay_seconds: int = 0,
) -> BatchReport:
    """Score one pipeline's batch.

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
        as_of: Its day, in UTC, is what ``{date}`` stands for. Empty: when the run was due.
        source: Where the rows are. Empty: the YAML's ``batch.input``.
        target: Where the answers go. Empty: the YAML's ``batch.output``.
        version: The version that scores: its number, or ``champion``.
        query: Whether ``data.query`` runs over the rows first.
        delay_seconds: How long after its scheduled moment the run begins, at the earliest.
    """
    tell_in_words()
    await_turn(delay_seconds)
    settings = read_settings()
    pipeline = open_pipeline(load_config(config_path(config), settings), settings)
    own_run(pipeline)
    moment = in_utc(as_of) or in_utc(flow_run.scheduled_start_time) or datetime.now(UTC)
    rows, answers = choose_addresses(
        pipeline.config.batch, moment.date(), source=source or None, target=target or None
    )
    return score_task(pipeline, version or "champion", rows, answers, query=query, seconds={})
