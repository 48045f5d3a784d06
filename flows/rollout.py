"""Owns the flow ``rollout``: a challenger's way to the title, walked to its end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from evertrain.config.files import load_config
from evertrain.pipelines import config_path, open_pipeline
from evertrain.rollout.controller import Look
from evertrain.rollout.walk import walk_rollout
from evertrain.settings import read_settings
from flows.notices import notify_rollout_end
from flows.owners import own_run
from flows.run_log import tell_in_words
from flows.telling import tell_crashed, tell_failed
from flows.turns import spell_moment
from flows.up.record import service_address
from flows.zombies import mark_others
from tasks.pipeline_page import pipeline_page_task

logger = logging.getLogger("evertrain.rollout")


def name_rollout_run() -> str:
    """Name the run ``<pipeline> <when it was due>``."""
    moment = flow_run.scheduled_start_time or datetime.now(UTC)
    return f"{Path(flow_run.parameters['config']).stem} {spell_moment(moment)}"


@flow(
    name="rollout",
    flow_run_name=name_rollout_run,
    persist_result=False,
    on_completion=[mark_others],
    on_failure=[tell_failed, mark_others],
    on_crashed=[tell_crashed],
)
def rollout_flow(config: str) -> str:
    """Walk one pipeline's rollout to its end: promoted, rolled back or aborted.

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
    """
    tell_in_words()
    settings = read_settings()
    pipeline = open_pipeline(load_config(config_path(config), settings), settings)
    own_run(pipeline)
    if pipeline.journal.read()[1].rollout is None:
        logger.info("No rollout of %s is under way.", pipeline.name)
        return "none"
    ended = walk_rollout(pipeline.name, settings, Changes(pipeline.name).tell, labels=pipeline.config.labels)
    notify_rollout_end(pipeline.name, ended, settings)
    pipeline_page_task(pipeline, {}, service_address(settings))
    logger.info(
        "Version %d: %s. %s. Version %s serves.",
        ended.version,
        ended.outcome.replace("_", " "),
        ended.reason,
        ended.state.champion,
    )
    return ended.outcome


class Changes:
    """Tells the run's log what changed, and not each look.

    Args:
        pipeline: The pipeline's name.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._told: tuple[int, str | None] | None = None

    def tell(self, look: Look) -> None:
        """Tell of *look* if it is news."""
        rollout = look.rollout
        now = (rollout.step, rollout.paused)
        if now == self._told:
            return
        self._told = now
        paused = f", paused: {rollout.paused.replace('_', ' ')}" if rollout.paused else ""
        logger.info(
            "Version %d answers %g %% of requests%s; %s.",
            rollout.version,
            rollout.percent,
            paused,
            look.move.reason,
        )


def start_rollout_run(pipeline: str) -> None:
    """Have the deployment ``rollout/<pipeline>`` walk the rollout that has begun, where there is one."""
    try:
        run_deployment(f"rollout/{pipeline}", timeout=0, as_subflow=False)
    except ObjectNotFound:
        logger.info("Walk the rollout: evertrain rollout run %s.", pipeline)
