"""Owns the template of a backtest's page."""

from __future__ import annotations

BACKTEST = """{% extends "frame" %}{% block body %}
<h1>{{ outcome.pipeline }}: backtest</h1>
{% if description %}<p class="soft">{{ description | short }}</p>{% endif %}
<p class="soft">{{ outcome.since | moment }} to {{ outcome.until | moment }}, a step every
{{ outcome.every }}: {{ periods }} periods. Each champion is scored on what came after it.</p>
<div class="verdict {{ tone }}"><strong>{{ headline }}</strong>
<ul>{% for line in lines %}<li>{{ line | short }}</li>{% endfor %}</ul></div>

<h2>Strategies</h2>
<p class="soft">Metrics are means over the periods. The first champion is the same for all, and neither a
retrain nor a promotion. ★: none has a mean {{ outcome.metric }} as good with as few retrains.</p>
<div class="scroll"><table>
<tr><th>strategy</th>{% for name in metrics %}<th class="number">{{ name }}</th>{% endfor %}
<th class="number">retrains</th><th class="number">promotions</th><th class="number">training</th>
<th class="number">checks</th><th></th></tr>
{% for each in outcome.strategies %}<tr><td>{{ each.name | short }}</td>
{% for name in metrics %}<td class="number">
{{- "–" if name not in each.metrics else "%.5f" | format(each.metrics[name]) }}</td>{% endfor %}
<td class="number">{{ each.retrains }}</td><td class="number">{{ each.promotions }}</td>
<td class="number">{{ "%.1f" | format(each.train_seconds) }} s</td>
<td class="number">{{ "%.1f" | format(each.check_seconds) }} s</td>
<td class="mark good">{{ "★" if each.frontier }}</td></tr>
{% endfor %}</table></div>

<h2>{{ outcome.metric }} over time</h2>
<p class="soft">A ring is a promotion at the start of that period.
{% for name in drawn %}<span class="mark"><svg width="34" height="10" aria-hidden="true"><line x1="6" x2="34"
y1="5" y2="5" stroke="var(--hue{{ loop.index0 }})" stroke-width="2.4"
stroke-dasharray="{{ dashes[loop.index0] }}"/></svg> {{ name }}</span> {% endfor %}</p>
<figure>{{ over_time | safe }}</figure>

<h2>What it costs</h2>
<p class="soft">Mean {{ outcome.metric }} by the number of retrains; {{ better }} is better. Filled: on the
frontier.</p>
<figure>{{ frontier | safe }}</figure>

{% for each in told %}<h2>{{ each.name }}, period by period</h2>
<div class="scroll"><table>
<tr><th>period</th><th class="number">rows</th><th>served by</th><th>at its start</th>
{% for name in metrics %}<th class="number">{{ name }}</th>{% endfor %}</tr>
{% for turn in each.periods[:most_turns] %}<tr>
<td class="name">{{ turn.since | day }} –<br>{{ turn.until | day }}</td>
<td class="number">{{ "{:,}".format(turn.rows) }}</td>
<td class="name">{% if turn.version %}champion {{ turn.version }}{% else %}nobody{% endif %}</td>
<td><span class="mark {{ tones[turn.action] }}">{{ words[turn.action] }}</span>
{%- if turn.reason %}<br><small>{{ turn.reason | short }}</small>{% endif %}</td>
{% if turn.metrics %}{% for name in metrics %}<td class="number">
{{- "–" if name not in turn.metrics else "%.5f" | format(turn.metrics[name]) }}</td>{% endfor %}
{% else %}<td colspan="{{ metrics | length }}">{{ turn.unscored | short }}</td>{% endif %}</tr>
{% endfor %}</table></div>
{% if each.periods | length > most_turns %}<p class="soft">
… and {{ each.periods | length - most_turns }} more, in the JSON.</p>{% endif %}
{% endfor %}
{% endblock %}
"""
