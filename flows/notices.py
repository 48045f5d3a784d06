"""Owns who hears of a rollback and of a rollout's end: commands' doings too, which wait for no Prefect."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from evertrain.config import PipelineConfig
from evertrain.config.files import load_config
from evertrain.errors import EvertrainError
from evertrain.notifiers import Notice, send_to_all
from evertrain.pipelines import config_path
from evertrain.rollout.walk import Ended
from evertrain.settings import Settings
from evertrain.summaries.notices import Subject, tell_rollback, tell_rollout_end
from flows.events import post_event

logger = logging.getLogger("evertrain.notices")


def notify_rollback(name: str, *, to: int, was: int, reason: str, settings: Settings) -> None:
    """Tell those whom ``configs/<name>.yaml`` names, and Prefect's feed, that *name* was rolled back.

    Args:
        name: The pipeline.
        to: The version that serves again.
        was: The version that did.
        reason: Why.
        settings: Where this installation keeps things.
    """
    _notify(name, settings, lambda subject: tell_rollback(to, was, reason, subject))


def notify_rollout_end(name: str, ended: Ended, settings: Settings) -> None:
    """Tell the same people how a rollout of pipeline *name* ended."""
    champion = ended.state.champion
    _notify(
        name,
        settings,
        lambda subject: tell_rollout_end(ended.version, ended.outcome, champion, ended.reason, subject),
    )


def _notify(name: str, settings: Settings, spell: Callable[[Subject], Notice]) -> None:
    path = config_path(name)
    config = find_config(path, name, settings)
    owner = config.owner if config else None
    notice = spell(Subject(name, str(path), owner=owner))
    post_event(notice, settings)
    if config is not None:
        send_to_all(config.notify, notice, os.environ)


def find_config(path: Path, name: str, settings: Settings) -> PipelineConfig | None:
    """Load the YAML at *path*, if it is there and is pipeline *name*'s."""
    if not path.is_file():
        return None
    try:
        config = load_config(path, settings)
    except EvertrainError as cause:
        logger.warning("Nobody was told: %s can't be read: %s", path, cause)
        return None
    return config if config.name == name else None
