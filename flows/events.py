"""Owns what Prefect's event feed is told of decisions: named events on our pipelines, for its automations."""

from __future__ import annotations

import logging

from evertrain.notifiers import Notice

logger = logging.getLogger("evertrain.notices")


def emit(notice: Notice) -> None:
    """Hand the event to Prefect's own thread, which sends it; an event that can't be sent is none at all."""
    from prefect.events import emit_event

    body = dict(notice.body)
    try:
        emit_event(
            str(body["event"]),
            resource={
                "prefect.resource.id": f"evertrain.pipeline.{body['pipeline']}",
                "prefect.resource.name": str(body["pipeline"]),
                "evertrain.title": notice.title,
            },
            related=relate(notice),
            payload=body,
        )
    except Exception as cause:
        logger.debug("The event %s wasn't sent: %s", body["event"], cause)


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
