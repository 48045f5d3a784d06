"""Owns what the status page says of one model: its arms, how each fared, what its journal says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from serving.status.history import HalfHour, Point
from serving.status.journal_lines import Noted, spell_line
from serving.status.plots import Line, draw_plot
from serving.status.records import Arm, JournalStatus, ModelStatus
from serving.status.spelling import (
    mark_rate,
    mark_seconds,
    mark_share,
    spell_age,
    spell_count,
    spell_rate,
    spell_seconds,
    spell_share,
)

COLOURS = 5
LATE_SECONDS = 30
_DIGEST_CHARACTERS = 12
TRAFFIC_HEADS = "".join(f'<th class="number">{each}</th>' for each in ("requests/s", "p50", "p95", "errors"))
_ARM_HEAD = (
    '<tr class="head"><th>arm</th><th class="number">weight</th><th class="number">version</th>'
    f'{TRAFFIC_HEADS}<th class="wide">bundle</th></tr>\n'
)


def spell_model(model: ModelStatus, past: HalfHour) -> str:
    """The section of one model."""
    names = _arm_names(model, past)
    return (
        f'<section id="{escape(model.name)}"><h2>{escape(model.name)}</h2>\n<p>{_spell_state(model)}</p>\n'
        f"{_spell_arms(model, names, past)}{_spell_plots(model.name, names, past)}"
        f"<h3>Journal</h3>\n{_spell_journal(model.journal)}</section>\n"
    )


def spell_arm(arm: Arm) -> str:
    """An arm in short: ``stable v3 95 %``."""
    return f"{arm.arm} v{arm.version} {arm.weight:g} %"


def spell_traffic(model: str, arms: Sequence[str], past: HalfHour) -> str:
    """Four cells of a table: the last minute's requests a second, p50, p95 and errors of *arms* together."""
    point = past.lately(model, *arms)
    errors = spell_share(point.error_share)
    failing = "" if not point.errors else ' class="bad-text"'
    return (
        f'<td class="number" data-is="requests/s">{spell_rate(point.rate)}</td>'
        f'<td class="number" data-is="p50">{spell_seconds(point.p50_seconds)}</td>'
        f'<td class="number" data-is="p95">{spell_seconds(point.p95_seconds)}</td>'
        f'<td class="number" data-is="errors"><span{failing}>{errors}</span></td>'
    )


def _arm_names(model: ModelStatus, past: HalfHour) -> list[str]:
    """Those that answer; then those that did so within the half hour."""
    present = [arm.arm for arm in model.arms]
    return present + [arm for arm in past.arms(model.name) if arm not in present]


def _spell_state(model: ModelStatus) -> str:
    journal = model.journal
    if not model.arms:
        return _why_not_ready(journal)
    told = [f"Generation {model.generation}."]
    if journal is None:
        told.append("No journal is followed.")
    elif journal.age_seconds > LATE_SECONDS:
        told.append(
            f'<span class="bad-text">The store hasn\'t answered for {spell_age(journal.age_seconds)};</span> '
            "what is loaded goes on answering."
        )
    elif journal.generation != model.generation:
        told.append(
            f"The journal wants generation {journal.generation}: it is being loaded, or can't be, and then "
            "the service's log says why."
        )
    else:
        told.append("That is what the journal wants.")
    return " ".join(told)


def _why_not_ready(journal: JournalStatus | None) -> str:
    if journal is None:
        return "No version is ready yet: its journal couldn't be read so far."
    if not journal.generation:
        return "No version is ready yet: none was promoted so far."
    return (
        f"No version is ready yet: generation {journal.generation} is being loaded, or can't be, and then "
        "the service's log says why."
    )


def _spell_arms(model: ModelStatus, names: Sequence[str], past: HalfHour) -> str:
    described = {arm.arm: arm for arm in model.arms}
    rows = "".join(
        f'<tr><td class="name"><span class="key hue{place % COLOURS}"></span>{escape(name) or "no arm"}</td>'
        f"{_spell_weight(described.get(name))}{spell_traffic(model.name, (name,), past)}"
        f"{_spell_bundle(name, described.get(name))}</tr>\n"
        for place, name in enumerate(names)
    )
    return f"<table>{_ARM_HEAD}{rows}</table>\n" if rows else ""


def _spell_weight(arm: Arm | None) -> str:
    weight, version = ("–", "–") if arm is None else (f"{arm.weight:g} %", f"v{arm.version}")
    return "".join(
        f'<td class="number" data-is="{what}">{value}</td>'
        for what, value in (("weight", weight), ("version", version))
    )


def _spell_bundle(name: str, arm: Arm | None) -> str:
    if arm is None:
        # Without an arm are those alone whose callers left before they had sent all of it.
        return f'<td class="wide">{"answers no longer" if name else "callers who left"}</td>'
    digest = escape(arm.bundle[:_DIGEST_CHARACTERS])
    return f'<td class="wide" data-is="bundle"><code>{digest}</code> {escape(arm.runtime)}</td>'


def _spell_plots(model: str, names: Sequence[str], past: HalfHour) -> str:
    whole = past.whole(model, *names)
    if not whole.requests:
        return '<p class="soft">No requests yet in the last half hour.</p>\n'
    points = [past.points(model, name) for name in names]
    if not any(points):
        return (
            f'<p class="soft">{spell_count(whole.requests, "request")} so far; '
            "the plots begin in some seconds.</p>\n"
        )
    latencies = f"p50 {spell_seconds(whole.p50_seconds)}, dashed p95 {spell_seconds(whole.p95_seconds)}"
    plots = (
        ("Requests a second", f"{whole.requests:,} in all", (_rate,), 1.0, mark_rate),
        ("Latency", latencies, (_p50, _p95), 0.001, mark_seconds),
        ("Errors", _spell_errors(whole), (_errors,), 0.01, mark_share),
    )
    figures = []
    for title, summary, readings, least_top, mark in plots:
        lines = [
            Line(place % COLOURS, read is _p95, [read(point) for point in each])
            for place, each in enumerate(points)
            for read in readings
        ]
        drawing = draw_plot(f"{title} in the last half hour: {summary}", lines, least_top, mark)
        figures.append(
            f"<figure><figcaption>{title} <small>{summary}</small></figcaption>{drawing}</figure>\n"
        )
    return f'<div class="plots">{"".join(figures)}</div>\n'


def _spell_errors(whole: Point) -> str:
    errors = f"{whole.errors:,} ({spell_share(whole.error_share)})" if whole.errors else "none"
    return f"{errors}, {whole.refused:,} refused" if whole.refused else errors


def _spell_journal(journal: JournalStatus | None) -> str:
    if journal is None:
        return '<p class="soft">Not read yet.</p>'
    if not journal.noted:
        return '<p class="soft">No entry since this process began to read it.</p>'
    return f"<ol>\n{''.join(map(_spell_entry, reversed(journal.noted)))}</ol>\n"


def _spell_entry(noted: Noted) -> str:
    line = spell_line(noted)
    why = f"<small>{escape(line.why)}</small>" if line.why else ""
    moment = escape(line.at[:19].replace("T", " "))
    return (
        f'<li><time datetime="{escape(line.at)}">{moment}</time><div>{escape(line.what)}{why}</div>'
        f'<span class="who">{escape(line.who)}</span></li>\n'
    )


_Read = Callable[[Point], float | None]


def _rate(point: Point) -> float | None:
    return point.rate


def _p50(point: Point) -> float | None:
    return point.p50_seconds


def _p95(point: Point) -> float | None:
    return point.p95_seconds


def _errors(point: Point) -> float | None:
    return point.error_share
