"""Owns who hears of a rollback: it is a command's doing, not a flow's, and waits for no Prefect."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from evertrain.config import PipelineConfig
from evertrain.config.files import load_config
from evertrain.errors import EvertrainError
from evertrain.notifiers import send_to_all
from evertrain.pipelines import config_path
from evertrain.settings import Settings
from evertrain.summaries.notices import Subject, tell_rollback
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
    path = config_path(name)
    config = find_config(path, name, settings)
    owner = config.owner if config else None
    notice = tell_rollback(to, was, reason, Subject(name, str(path), owner=owner))
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
