"""Owns what Prefect's event feed is told of decisions: named events on our pipelines, for its automations."""

from __future__ import annotations

import base64
import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from typing import Any

from evertrain.notifiers import Notice
from evertrain.settings import Settings
from flows.server.record import find_server

POST_SECONDS = 3.0
logger = logging.getLogger("evertrain.notices")


def emit(notice: Notice) -> None:
    """Hand the event to Prefect's own thread, which sends it; an event that can't be sent is none at all."""
    from prefect.events import emit_event

    event = spell_event(notice)
    try:
        emit_event(**event)
    except Exception as cause:
        logger.debug("The event %s wasn't sent: %s", event["event"], cause)


def post_event(notice: Notice, settings: Settings) -> None:
    """Send the event from a command that has no other business with Prefect, without importing it.

    It goes to PREFECT_API_URL, or the home's own server where that runs; else it isn't sent.
    """
    server = None if settings.prefect_api_url else find_server(settings.prefect_home)
    address = settings.prefect_api_url or (server and server.api_url)
    if not address:
        return
    event = {"occurred": notice.body["at"], "id": notice.body["id"], **spell_event(notice)}
    headers = {"Content-Type": "application/json", **spell_login(os.environ)}
    try:
        request = urllib.request.Request(  # noqa: S310 - the operator's own setting
            f"{address.rstrip('/')}/events", json.dumps([event]).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=POST_SECONDS):  # noqa: S310 - as above
            return
    except (OSError, ValueError) as cause:
        logger.debug("The event %s wasn't sent: %s", event["event"], type(cause).__name__)


def spell_login(environment: Mapping[str, str]) -> dict[str, str]:
    """Spell the login to a Prefect server as its own client does."""
    if key := environment.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := environment.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def spell_event(notice: Notice) -> dict[str, Any]:
    """Spell *notice* as an event on its pipeline."""
    body = dict(notice.body)
    return {
        "event": str(body["event"]),
        "resource": {
            "prefect.resource.id": f"evertrain.pipeline.{body['pipeline']}",
            "prefect.resource.name": str(body["pipeline"]),
            "evertrain.title": notice.title,
        },
        "related": relate(notice),
        "payload": body,
    }


def relate(notice: Notice) -> list[dict[str, str]]:
    """Name what an event is about besides its pipeline: the flow run, the model's version, its bundle."""
    run = notice.body["run"]
    summary = notice.body.get("summary") or {}
    trained = summary.get("train") or summary
    found = {
        "flow-run": ("prefect.flow-run", run["id"], run["name"]),
        "model-version": (f"evertrain.model-version.{notice.body['pipeline']}", trained.get("version"), None),
        "bundle": ("evertrain.bundle", (trained.get("bundle") or {}).get("digest"), None),
    }
    return [
        {
            "prefect.resource.id": f"{kind}.{number}",
            "prefect.resource.role": role,
            "prefect.resource.name": str(name or number),
        }
        for role, (kind, number, name) in found.items()
        if number is not None
    ]
