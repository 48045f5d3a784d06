"""Owns the status page: a service and its models in plain HTML that needs no script and no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from html import escape
from urllib.parse import quote

from serving.status.history import HalfHour
from serving.status.model_section import TRAFFIC_HEADS, spell_arm, spell_model, spell_traffic
from serving.status.records import ModelStatus, ServiceStatus
from serving.status.spelling import spell_age, spell_count
from serving.status.style import STYLE

RELOAD_SECONDS = 5
MOST_CHARACTERS = 600
MOST_BYTES = 95_000
MOST_ROWS = 50
ROW_BYTES = 600
UNKNOWN = ""

_HEAD = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>evertrain</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{RELOAD_SECONDS}"><link rel="icon" href="data:,">
<style>{STYLE}</style></head>
<body>
"""
_FOOT = """<footer><a href="/reports">Reports</a> · <a href="/docs">How to ask</a> ·
<a href="/metrics">Metrics for Prometheus</a></footer>
</body></html>
"""


def render_page(service: ServiceStatus, past: HalfHour) -> str:
    """Spell the page, under 100 kB; what doesn't fit is named and linked.

    Args:
        service: The service as it stands.
        past: How it fared.
    """
    head = _HEAD + _spell_service(service, past)
    listed = service.models[:MOST_ROWS] if len(service.models) > 1 else ()
    room = MOST_BYTES - len(head.encode()) - ROW_BYTES * len(listed)
    sections = list(_fitting_sections(service.models, past, room))
    parts = [head]
    if listed:
        shown = {model.name for model in service.models[: len(sections)]}
        parts.append(_spell_overview(listed, shown, past))
    parts += sections
    if rest := len(service.models) - len(sections):
        there = "each is at /models/&lt;name&gt;"
        parts.append(f'<section><p class="soft">{rest} more have no room here; {there}.</p></section>\n')
    return "".join([*parts, _spell_unanswered(past), _FOOT])


def _fitting_sections(models: Sequence[ModelStatus], past: HalfHour, room: int) -> Iterator[str]:
    for model in models:
        section = spell_model(model, past)
        room -= len(section.encode())
        if room < 0:
            return
        yield section


def _spell_service(service: ServiceStatus, past: HalfHour) -> str:
    ready = sum(bool(model.arms) for model in service.models)
    verdict, headline = "good", f"Ready: {spell_count(ready, 'model')} answer{'s' if ready == 1 else ''}."
    if service.not_ready:
        verdict, headline = "bad", "Not ready." if ready else "No model is ready yet."
    others = ", one of several workers, whose requests are added up" if service.has_siblings else ""
    return (
        f'<h1>evertrain</h1>\n<div class="verdict {verdict}"><strong>{headline}</strong> '
        f"{escape(service.not_ready[:MOST_CHARACTERS])}</div>\n"
        f'<p class="soft">{service.at:%Y-%m-%d %H:%M:%S} UTC · version {escape(service.version)} · '
        f"process {service.pid}{others} · up for {spell_age(past.age_seconds)}. Tables show the last "
        f"minute, plots the last half hour; the page loads itself again every {RELOAD_SECONDS} seconds.</p>\n"
    )


def _spell_overview(models: Sequence[ModelStatus], shown: Set[str], past: HalfHour) -> str:
    """One row a model; it leads to its section where that is *shown*, else to its own address."""
    rows = "".join(_overview_row(model, model.name in shown, past) for model in models)
    return (
        '<table><tr class="head"><th>model</th><th class="wide">answers</th>'
        f'<th class="number">generation</th>{TRAFFIC_HEADS}</tr>\n{rows}</table>\n'
    )


def _overview_row(model: ModelStatus, is_shown: bool, past: HalfHour) -> str:
    address = f"{'#' if is_shown else '/models/'}{quote(model.name, safe='')}"
    arms = ", ".join(spell_arm(arm) for arm in model.arms) or "not ready"
    return (
        f'<tr><td class="name"><a href="{address}">{escape(model.name)}</a></td>'
        f'<td class="wide">{escape(arms)}</td>'
        f'<td class="number" data-is="generation">{model.generation or "–"}</td>'
        f"{spell_traffic(model.name, past.arms(model.name), past)}</tr>\n"
    )


def _spell_unanswered(past: HalfHour) -> str:
    asked = sum(past.whole(UNKNOWN, arm).requests for arm in past.arms(UNKNOWN))
    if not asked:
        return ""
    return (
        f'<section><p class="soft">{spell_count(asked, "request")} in the last half hour found no model: '
        "an unknown name, or a model that isn't ready.</p></section>\n"
    )
