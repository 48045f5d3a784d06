"""Owns the HTML that reports are set in: templates and one style sheet, light and dark, without a request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from evertrain.reports.backtest_page import BACKTEST
from evertrain.reports.drift_page import DRIFT
from evertrain.reports.pipeline_page import PIPELINE

STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5c6470; --line: #d9dde3; --page: #ffffff;
  --card: #f5f6f8; --good: #00694b; --bad: #a83e00; --quiet: #5c6470; --link: #0060a0;
  --hue0: #0072b2; --hue1: #d55e00; --hue2: #009e73; --hue3: #b0578c; --hue4: #b87a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #a3abb8; --line: #363c46;
  --page: #15181d; --card: #1e2229; --good: #4cc9a0; --bad: #ff9455; --quiet: #a3abb8; --link: #6cb8f0;
  --hue0: #56b4e9; --hue1: #ff8b3d; --hue2: #2fc79a; --hue3: #e3a5c7; --hue4: #f0bd4e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); } a { color: var(--link); }
.verdict { border-left: .35rem solid var(--quiet); background: var(--card); padding: .8rem 1.1rem;
  margin: 1.25rem 0; border-radius: .25rem; }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
.verdict strong { font-size: 1.15rem; } .verdict ul { margin: .3rem 0; padding-left: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .38rem .9rem .38rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; } td.number, th.number { text-align: right; }
td.number, td.name { white-space: nowrap; } td small { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } .quiet { color: var(--quiet); }
.verdict.good, .verdict.bad { color: inherit; } .mark { white-space: nowrap; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .5rem 0;
  font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", monospace; }
.key { display: inline-block; width: 1.4em; height: .8em; margin-left: .8em; }
.key.reference { background: var(--hue0); opacity: .35; } .key.current { border: 2px solid var(--hue1); }
figure { margin: .5rem 0; } figure svg { max-width: 100%; height: auto; }
svg text { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif !important; }
"""

FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{{ style | safe }}{% block style %}{% endblock %}</style></head>
<body>
{% block body %}{% endblock %}
</body></html>
"""

RUN = """{% extends "frame" %}{% block body %}
<h1>{{ outcome.pipeline }}, version {{ outcome.version }}</h1>
{% if description %}<p class="soft">{{ description | short }}</p>{% endif %}
<div class="verdict {{ 'bad' if outcome.decision == 'held' else 'good' }}">
<strong>{{ headline }}</strong>
{% if outcome.reasons %}<ul>{% for reason in outcome.reasons %}<li>{{ reason | short }}</li>{% endfor %}</ul>
{% endif %}</div>

<h2>Gates</h2>
{% if outcome.gates %}<div class="scroll"><table>
<tr><th>gate</th><th>verdict</th><th>why</th></tr>
{% for gate in outcome.gates %}<tr>
<td class="name">{{ gate.type }}{% if gate.metric %}<br><small>{{ gate.metric }}</small>{% endif %}</td>
<td class="mark {{ marks[gate.verdict][0] }}">{{ marks[gate.verdict][1] }}</td>
<td>{{ gate.reason | short }}</td></tr>
{% endfor %}</table></div>{% else %}<p>This pipeline names no gates.</p>{% endif %}

<h2>Metrics on the {{ "{:,}".format(evaluation.rows) }} held-out rows</h2>
<div class="scroll"><table>
<tr><th>metric</th><th>challenger (version {{ outcome.version }})</th>
{% if champion %}<th>champion (version {{ champion.version }})</th>{% endif %}</tr>
{% for name, estimate in evaluation.metrics.items() %}<tr>
<td class="name">{{ name }}<br><small>{{ directions[name] }} is better</small></td>
<td>{{ estimate | estimate }}</td>
{% if champion %}<td>{% if name in champion.metrics %}{{ champion.metrics[name] | estimate }}{% else %}
<span class="quiet">has no probabilities</span>{% endif %}</td>{% endif %}</tr>
{% endfor %}</table></div>
<p class="soft">In brackets: 95 % intervals, from {{ "{:,}".format(evaluation.resamples) }} resamples of these
rows.
{% if champion %}Both models were scored on the same rows and resamples, through the code that serves.
{% elif evaluation.champion_missing %}{{ evaluation.champion_missing | short }}.
{% else %}There was no champion to compare with.{% endif %}</p>
{% if evaluation.curves %}<figure>{{ picture | safe }}</figure>{% endif %}
{% for seen, drawing, rows in slices if seen.total %}
<h2>Slices in {{ seen.metric }}</h2>
<p class="soft">{{ "{:,}".format(seen.shown) }} of {{ "{:,}".format(seen.total) }} slices can be compared. A
slice fails where its whole interval lies below {{ "{:g}".format(0 - seen.max_regression) }}.</p>
{% if drawing %}<figure>{{ drawing | safe }}</figure>{% endif %}
<div class="scroll"><table>
<tr><th>slice</th><th class="number">rows</th><th class="number">gain</th><th>interval</th>
<th>verdict</th></tr>
{% for each in rows %}<tr><td>{{ each.column }} = {{ each.value | short }}</td>
<td class="number">{{ "{:,}".format(each.rows) }}</td>
{% if each.gain is none %}<td></td><td class="quiet">{{ each.missing }}</td>
{% else %}<td class="number">{{ "{:+.4f}".format(each.gain) }}</td>
<td>{{ "{:+.4f} to {:+.4f}".format(each.low, each.high) }}
at {{ "{:.5g}".format(each.confidence * 100) }} %</td>
{% endif %}<td class="mark {{ marks[each.verdict][0] }}">{{ marks[each.verdict][1] }}</td></tr>
{% endfor %}</table></div>{% endfor %}

<h2>Data</h2>
<dl>{% for name, value in data %}<dt>{{ name }}</dt><dd>{{ value | short }}</dd>{% endfor %}</dl>
{% for each in warnings %}<p><span class="mark bad">! leakage?</span> {{ each }}</p>
{% endfor %}
{% if expectations %}<div class="scroll"><table>
<tr><th>expectation</th><th>column</th><th>verdict</th><th class="number">unexpected rows</th></tr>
{% for each in expectations %}<tr><td>{{ each.type }}</td><td>{{ each.column or "" }}</td>
<td class="mark {{ 'good' if each.success else 'bad' }}">{{ "✓ met" if each.success else "✗ not met" }}
{%- if each.quarantined_rows %}: {{ "{:,}".format(each.quarantined_rows) }} rows quarantined{% endif %}</td>
<td class="number">{{ each.unexpected_rows if each.unexpected_rows is not none else "" }}</td></tr>
{% endfor %}</table></div>{% if unlisted %}<p class="soft">… and {{ unlisted }} more.</p>{% endif %}
{% endif %}

<h2>Provenance</h2>
<dl>{% for name, value in provenance %}<dt>{{ name }}</dt><dd><code>{{ value | short }}</code></dd>
{% endfor %}
{% for name, address in links.items() %}<dt>{{ name }}</dt><dd>{% if address is web %}
<a href="{{ address }}">{{ address }}</a>{% else %}<code>{{ address }}</code>{% endif %}</dd>{% endfor %}</dl>
{% endblock %}
"""

DEMO = """{% extends "frame" %}{% block body %}
<h1>{{ title }}</h1>
<p>Each month the champion scored the flights as they were about to leave, and was then measured on what
really happened: the higher the AUC, the better it told late flights from punctual ones. After each month a
check let a probe that had learnt from newer months compete with the champion on the month just passed. Where
the probe won beyond chance, a retrain started, and its model had to pass every gate before the service took
its answers.</p>
<figure>{{ picture | safe }}</figure>
<div class="scroll"><table>
<tr><th>month</th><th class="number">flights</th><th class="number">late</th>
<th class="number">columns drifted</th><th>served by</th><th class="number">AUC</th>
<th class="number">AUC of v1</th><th class="number">probe's gain</th><th>check</th></tr>
{% for row in rows %}<tr><td class="name">{{ row.month }}</td>
<td class="number">{{ "{:,}".format(row.rows) }}</td>
<td class="number">{{ "{:.1%}".format(row.late_share) }}</td>
<td class="number">{{ "–" if row.drifted_share is none else "{:.0%}".format(row.drifted_share) }}</td>
<td>v{{ row.version }}</td>
<td class="number">{{ "{:.4f}".format(row.champion_auc) }}</td>
<td class="number">{{ "{:.4f}".format(row.first_auc) }}</td>
<td class="number">{{ "–" if row.gain is none else "{:+.4f}".format(row.gain) }}</td>
<td class="mark {{ 'good' if 'promoted' in row.decision else 'quiet' }}">{{ row.decision }}</td></tr>
{% endfor %}</table></div>
{% endblock %}
"""


def render_page(name: str, **values: Any) -> str:
    """Set *values* into the template *name*, such as ``run``; all of them are escaped.

    Only what the template itself marks as safe, our own style sheet and pictures, stands as it is.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    pages = Environment(
        autoescape=True,
        loader=DictLoader(
            {
                "frame": FRAME,
                "run": RUN,
                "demo": DEMO,
                "drift": DRIFT,
                "backtest": BACKTEST,
                "pipeline": PIPELINE,
            }
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    pages.filters |= {
        "short": _shorten,
        "estimate": spell_estimate,
        "moment": _spell_moment,
        "day": _spell_day,
    }
    pages.tests["web"] = _is_web_address
    return pages.get_template(name).render(style=STYLE, **values)


def spell_estimate(estimate: Any) -> str:
    """Write a metric with its interval, to five significant digits."""
    return f"{estimate.value:.5g} ({estimate.low:.5g} to {estimate.high:.5g})"


def _spell_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _spell_day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 600 else f"{text[:599]}…"


def _is_web_address(address: str) -> bool:
    return address.startswith(("http://", "https://"))
