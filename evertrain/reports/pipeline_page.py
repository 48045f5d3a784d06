"""Owns the template of a pipeline's page and what its style adds to the others'."""

from __future__ import annotations

PIPELINE_STYLE = """
body { max-width: 68rem; }
.trends { display: grid; gap: 1.25rem 1.75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.trends figure { margin: 0; } figcaption { font-weight: 600; font-size: .95rem; }
figcaption small { display: block; color: var(--soft); font-weight: 400; font-size: .88rem; }
.trends svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); }
.lineage svg { display: block; width: 100%; min-width: 36rem; height: auto; }
.key.serves { background: var(--hue0); } .key.tried { background: var(--hue4); height: .35em; }
td.found { min-width: 15rem; } td.why { min-width: 12rem; }
td.links a { display: inline-block; margin-right: .6rem; white-space: nowrap; }
.sign { font-weight: 600; }
@media (max-width: 34rem) {
  body { padding: 1.25rem .9rem 3rem; }
  .cards tr.head { display: none; }
  .cards tr { display: block; padding: .55rem 0; border-bottom: 1px solid var(--line); }
  .cards td { display: block; border: 0; padding: .08rem 0; text-align: left; }
  .cards td.name, .cards td.mark { display: inline-block; margin-right: .8rem; }
  .cards td:empty { display: none; }
  .cards td[data-is]::before { content: attr(data-is) " "; color: var(--soft); }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .35rem; } }
"""

PIPELINE = """{% extends "frame" %}{% block style %}{{ more_style | safe }}{% endblock %}{% block body %}
<h1>{{ story.pipeline }}</h1>
{% if description %}<p class="soft">{{ description | short }}</p>{% endif %}
<div class="verdict {{ tone }}"><strong>{{ headline }}</strong>
<ul>{% for each in told %}<li>{{ each | short }}</li>{% endfor %}</ul></div>

<h2>Lineage</h2>
{% if lineage %}<p class="soft">When each version came and served, by the journal's clock.
<span class="mark"><span class="key serves"></span> served</span>
<span class="mark"><span class="key tried"></span> tried in a rollout</span>
<span class="sign">○</span> registered <span class="sign bad">×</span> held, or its rollout ended
<span class="sign bad">◂</span> left for an earlier one</p>
<div class="scroll lineage">{{ lineage | safe }}</div>
{% if lanes_left %}<p class="soft">The newest {{ lanes }} versions of {{ lanes + lanes_left }}.</p>{% endif %}
<div class="scroll"><table class="cards">
<tr class="head"><th>version</th><th>now</th><th>since</th><th class="number">{{ metric or "metric" }}</th>
<th class="number">rows</th><th>why</th></tr>
{% for each in versions %}<tr>
<td class="name">{% if each.page %}<a href="{{ each.page }}">v{{ each.version }}</a>
{%- else %}v{{ each.version }}{% endif %}</td>
<td class="mark {{ each.tone }}">{{ each.status }}</td>
<td class="name" data-is="since">{{ each.since }}</td>
<td class="number" data-is="{{ metric or 'metric' }}">{{ each.metric }}</td>
<td class="number" data-is="rows">{{ each.rows }}</td><td class="why">{{ each.why | short }}</td></tr>
{% endfor %}</table></div>
{% if versions_left %}<p class="soft">… and {{ "{:,}".format(versions_left) }} older.
<code>evertrain audit show {{ story.pipeline }}</code> tells all.</p>{% endif %}
{% else %}<p>No version was registered yet.</p>{% endif %}

<h2>Trends</h2>
{% if checks_shown %}<p class="soft">By the time that each check looked at
{%- if checks_left %} (the newest {{ checks_shown }} of {{ "{:,}".format(story.counts.checks) }})
{%- endif %}; orange: it fired, whether or not that
starts a retrain. Dotted lines: another champion was checked from there on.</p>
{% else %}<p>No drift check yet. <code>evertrain drift</code> makes one; `evertrain up` makes them on the
schedule that the YAML names.</p>{% endif %}
<div class="trends">{% for trend in trends %}<figure><figcaption>{{ trend.title }}
<small>{{ trend.words | short }}</small></figcaption>{{ trend.picture | safe }}</figure>
{% endfor %}</div>

<h2>Decisions</h2>
{% if decisions %}<div class="scroll"><table class="cards">
<tr class="head"><th>as of</th><th>champion</th><th>found</th><th>done</th><th>why</th><th>pages</th></tr>
{% for each in decisions %}<tr>
<td class="name">{{ each.as_of }}</td>
<td class="name" data-is="champion">{{ each.champion }}</td>
<td class="found"><span class="mark {{ each.tone }}">{{ each.found }}</span>
{%- if each.measured %}<br><small>{{ each.measured | short }}</small>{% endif %}</td>
<td class="mark {{ each.done_tone }}">{{ each.done }}</td>
<td class="why">{{ each.why | short }}</td>
<td class="links">{% for name, address in each.links %}<a href="{{ address }}">{{ name }}</a>
{% endfor %}</td></tr>
{% endfor %}</table></div>
{% if decisions_left %}<p class="soft">… and {{ "{:,}".format(decisions_left) }} older.
<code>evertrain audit show {{ story.pipeline }}</code> tells all.</p>{% endif %}
{% else %}<p>No drift check yet, so nothing was decided.</p>{% endif %}

<h2>Policy and counts</h2>
<dl>{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value | short }}</dd>{% endfor %}</dl>
{% endblock %}
"""
