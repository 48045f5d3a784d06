"""Owns the template of a drift check's page."""

from __future__ import annotations

DRIFT = """{% extends "frame" %}{% block body %}
<h1>{{ outcome.pipeline }}: drift check</h1>
<p class="soft">Champion version {{ outcome.champion }}, rows up to {{ outcome.as_of | moment }}</p>
<div class="verdict {{ tone }}"><strong>{{ headline }}</strong>
<ul>{% for reason in reasons %}<li>{{ reason | short }}</li>{% endfor %}</ul></div>

<h2>Columns</h2>
{% if columns %}<p class="soft">Scores are of all rows; a column drifted where its score reaches its
threshold, or where one side alone has values. A threshold is 0.1 or what so many unchanged rows seldom reach,
all columns together; <em>chance</em> is how seldom they reach the score. The furthest come first.
<span class="mark"><span class="key reference"></span> reference</span>
<span class="mark"><span class="key current"></span> current</span> (what lies far out stands in the outermost
bins).</p>
<div class="scroll"><table>
<tr><th>column</th><th>verdict</th><th class="number">score</th><th class="number">threshold</th>
<th class="number">chance</th><th>missing</th><th></th></tr>
{% for column in columns %}<tr>
<td>{{ column.name | short }}<br><small>{{ methods[column.method] }}</small></td>
{% if column.score is none %}<td class="mark {{ 'bad' if column.drifted else 'quiet' }}">
{{- "✗ drifted" if column.drifted else "– not told" }}</td>
<td colspan="4">{{ column.reason | short }}</td>
{% else %}<td class="mark {{ 'bad' if column.drifted else 'good' }}">
{{- "✗ drifted" if column.drifted else "✓ steady" }}</td>
<td class="number">{{ "%.4g" | format(column.score) }}</td>
<td class="number">{{ "%.4g" | format(column.threshold) }}</td>
<td class="number">{{ chances.get(column.name, "") }}</td>
<td class="name">{{ "{:.1%}".format(column.missing_reference_share) }} →
{{ "{:.1%}".format(column.missing_current_share) }}</td>{% endif %}
<td>{{ pictures.get(column.name, "") | safe }}</td></tr>
{% endfor %}</table></div>{% if unlisted %}<p class="soft">… and {{ unlisted }} more.</p>{% endif %}
{% else %}<p>No column was compared.</p>{% endif %}

{% if answers %}<h2>What the champion answers</h2>
<p><span class="mark {{ answers.tone }}">{{ answers.verdict }}</span> {{ answers.words | short }}</p>
{{ answers.picture | safe }}{% endif %}

{% if quality %}<h2>Quality of the data</h2>
<p class="soft">Values that went missing, and values that no reference row has; an alert is what chance
doesn't explain, of 1% of the rows or more. None of it counts as drift.</p>
<ul>{% for finding in quality %}<li><span class="mark {{ 'bad' if finding.alert else 'quiet' }}">
{{- "✗ alert" if finding.alert else "– told" }}</span> {{ finding.words | short }}</li>{% endfor %}</ul>
{% if unlisted_quality %}<p class="soft">… and {{ unlisted_quality }} more.</p>{% endif %}{% endif %}

{% if labels %}<h2>The newest labels</h2>
<dl>{% for name, value in labels %}<dt>{{ name }}</dt><dd>{{ value | short }}</dd>{% endfor %}</dl>{% endif %}

{% if realised %}<h2>What came of the answers</h2>
<p class="soft">Of what the service answered {{ realised.since | moment }} to {{ realised.until | moment }},
with the labels that had arrived by then; in brackets 95% bootstrap intervals.
{%- if realised_lag %} {{ realised_lag }}{% endif %}</p>
<div class="scroll"><table>
<tr><th></th><th class="number">answers</th><th class="number">labelled</th>
{% for name in realised_metrics %}<th class="number">{{ name }}</th>{% endfor %}<th></th></tr>
{% for name, part in realised_parts %}<tr><td>{{ name | short }}</td>
<td class="number">{{ "{:,}".format(part.rows) }}</td>
<td class="number">{{ "{:.1%}".format(part.coverage) }}</td>
{% for metric in realised_metrics %}<td class="number">
{%- if metric in part.metrics %}{{ part.metrics[metric] | estimate }}{% endif %}</td>{% endfor %}
<td><small>{{ part.missing | join("; ") | short }}</small></td></tr>
{% endfor %}</table></div>
{% if realised_unlisted %}<p class="soft">… and {{ realised_unlisted }} more slices.</p>{% endif %}{% endif %}

<h2>Rows and policy</h2>
<dl>{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value | short }}</dd>{% endfor %}
{% if evidently %}<dt>Evidently</dt><dd><a href="{{ evidently }}">its full page</a>, about 4 MB: the same
scores, figures from a sample</dd>{% endif %}</dl>
{% endblock %}
"""
