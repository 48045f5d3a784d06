"""Owns the text of a first YAML: what was found, as a person would write it, with reasons beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from evertrain.datasets import Ingested
from evertrain.drafts.looking import Extent, Look
from evertrain.durations import parse_duration
from evertrain.metrics import DEFAULT_METRICS
from evertrain.records import Task

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# YAML 1.2's own words, and those that YAML 1.1's readers take for one.
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LINE = 96
WANTED_ROWS, LEAST_ROWS = 500, 50
"""Where the newest window has fewer rows than a check wants by default, the draft lets it do with fewer."""
TASKS = {
    "binary_classification": "two classes",
    "multiclass_classification": "three classes or more",
    "regression": "numbers",
}


def write_text(raw: dict[str, Any], look: Look, ingested: Ingested) -> str:
    """Write the YAML of the pipeline *raw*, which *ingested* has tried out.

    Args:
        raw: Its name, data, estimator and task.
        look: What was seen in all rows.
        ingested: The snapshot and the feature plan that it gave.
    """
    lines = [
        "# A first draft by `evertrain init`: look it over, then `evertrain check` and `evertrain train` it.",
        f"name: {raw['name']}",
        "",
        *_data_lines(raw["data"], look, ingested),
        "",
        *_validation_lines(look.extents, ingested),
        "",
        "training:",
        f"  estimator: {raw['training']['estimator']}",
        "  params: {max_iter: 100}",
        "",
        *_evaluation_lines(look.task),
        "",
        "promotion:",
        "  strategy: {type: direct}          # how a better model takes over",
        *_drift_lines(raw["data"], look.task, ingested),
    ]
    return "\n".join([*lines, ""])


def quote(text: str) -> str:
    """Spell *text* in YAML: plain where nobody could misread it, else quoted; always in one line."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    shown = "".join(letter if letter.isprintable() else f"\\U{ord(letter):08X}" for letter in inner)
    return f'"{shown}"'


def _spell(value: Any) -> str:
    return quote(value) if isinstance(value, str) else json.dumps(value)


def _data_lines(data: dict[str, Any], look: Look, ingested: Ingested) -> Iterator[str]:
    yield "data:"
    yield f"  source: {{type: files, uri: {quote(data['source']['uri'])}}}"
    yield from _query_lines(data)
    yield from _time_lines(data, look)
    yield f"  target: {quote(look.target)}"
    if ingested.classes is not None and len(ingested.classes) == 2:
        yield f"  positive: {_spell(ingested.classes[-1])}"
    yield "  # entity: [customer]              # whom a row is about: kept on one side"
    yield from _feature_lines(ingested)
    if "window" in data:
        window = data["window"]
        yield "  # The newest `holdout` judges the model, the `train` before it is learnt from."
        yield f"  window: {{train: {window['train']}, holdout: {window['holdout']}}}"


def _query_lines(data: dict[str, Any]) -> Iterator[str]:
    if "query" in data:
        yield "  # One SELECT over `source`; what is infinite, or too large for 32 bits, becomes missing:"
        yield f"  query: {quote(data['query'])}"
    else:
        yield "  # query: |                        # one SELECT over `source`: filter, rename, derive"
        yield "  #   SELECT * FROM source"


def _time_lines(data: dict[str, Any], look: Look) -> Iterator[str]:
    names = [each.name for each in look.times]
    if "timestamp" in data:
        yield f"  timestamp: {quote(data['timestamp'])}    # splits past from future"
    elif names:
        yield "  # When a row happened, one of these may say; then the newest rows are held out:"
        yield from (f"  # timestamp: {quote(name)}" for name in names)


def _feature_lines(ingested: Ingested) -> Iterator[str]:
    plan = ingested.plan
    yield "  # What callers send. Take away what isn't known yet when the model is asked."
    yield "  features:"
    for kind in ("numeric", "categorical", "datetime"):
        names = [quote(each.name) for each in plan.features if each.kind == kind]
        if names:
            yield from _listed(f"    {kind}: ", names)
    for each in plan.left_out:
        yield f"    # left out: {quote(each.name)}: {each.reason}"


def _listed(head: str, names: Sequence[str]) -> Iterator[str]:
    line = f"{head}[{', '.join(names)}]"
    if len(line) <= _LINE:
        yield line
        return
    yield head.rstrip()
    yield from (f"      - {name}" for name in names)


def _validation_lines(extents: Sequence[Extent], ingested: Ingested) -> Iterator[str]:
    used = {each.name for each in ingested.plan.features}
    seen = [each for each in extents if each.name in used]
    yield "validation:"
    yield "  # Great Expectations' own names and arguments; one that fails ends the run."
    yield "  expectations:"
    rows = max(1, ingested.snapshot.rows // 2)
    yield f"    - {{type: expect_table_row_count_to_be_between, min_value: {rows}}}"
    complete = [each.name for each in seen if each.complete]
    if complete:
        yield f"    - {{type: expect_column_values_to_not_be_null, column: {quote(complete[0])}}}"
    for number, each in enumerate(each for each in seen if each.values):
        values = ", ".join(quote(value) for value in each.values or ())
        text = (
            f"{{type: expect_column_values_to_be_in_set, column: {quote(each.name)}, value_set: [{values}]}}"
        )
        yield f"    {'# ' if number else ''}- {text}"
    yield "    # As far as these rows reach; newer ones may reach further:"
    for each in seen:
        if each.ends:
            low, high = each.ends
            yield (
                f"    # - {{type: expect_column_values_to_be_between, column: {quote(each.name)}, "
                f"min_value: {_spell(low)}, max_value: {_spell(high)}}}"
            )
    yield "  on_failure: stop                  # or quarantine: set the rows aside and go on"


def _evaluation_lines(task: Task) -> Iterator[str]:
    first, second = DEFAULT_METRICS[task]
    yield "evaluation:"
    yield f"  task: {task}    # {TASKS[task]}"
    yield f"  metrics: [{first}, {second}]    # the first is the primary one"
    yield "  gates:"
    yield "    # Shown to be better, not just measured so. The first model has no champion to beat."
    yield f"    - {{type: beats_champion, metric: {first}}}"
    yield f"    - {{type: not_worse, metric: {second}}}"
    yield "    # Callers must be able to go on sending what they send."
    yield "    - {type: signature}"


def _drift_lines(data: dict[str, Any], task: Task, ingested: Ingested) -> Iterator[str]:
    if "window" not in data:
        return
    metric = DEFAULT_METRICS[task][0]
    days = max(1, parse_duration(data["window"]["holdout"]).days // 2)
    rows = ingested.snapshot.holdout_rows // 2
    least = f", min_rows: {max(LEAST_ROWS, rows // 2)}" if rows < WANTED_ROWS else ""
    gain = "0}       # in the target's own unit" if task == "regression" else "0.01}"
    yield ""
    yield "drift:"
    yield '  # schedule: "0 6 * * *"           # when `evertrain deploy` has it checked'
    yield "  # The newest rows; shorter than `holdout`, so that what changed is seen soon."
    yield f"  current: {{window: {days}d{least}}}"
    yield "  # Retrain where a model that learns from newer rows is shown to do better; `evertrain backtest`"
    yield "  # tells what that would have come to."
    yield f"  regret: {{metric: {metric}, min_gain: {gain}"
    yield "  retrain_on: [data, regret]"
    yield "  cooldown: 7d"
