"""Owns what a CI system is told of a run: a Markdown summary, output lines, and gates as JUnit test cases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.records import GateResult, TrainOutcome
from evertrain.summaries.markdown import escape, one_line, spell_number, spell_table, write_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from evertrain.settings import Settings

VERDICTS = {"pass": "✅ pass", "fail": "❌ fail", "not_shown": "➖ not shown"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def append_for_ci(outcome: TrainOutcome, settings: Settings, run_url: str | None = None) -> None:
    """Append the summary and the output lines to the files that the CI system named, if it did.

    Raises:
        StorageError: A file can't be written.
    """
    if settings.step_summary:
        write_text(settings.step_summary, f"{markdown_summary(outcome, run_url)}\n", mode="a")
    if settings.step_output:
        write_text(settings.step_output, output_lines(outcome, run_url), mode="a")


def write_junit(outcome: TrainOutcome, path: Path) -> None:
    """Write each gate as a JUnit test case to *path*; its folder is made.

    Raises:
        StorageError: The file can't be written.
    """
    write_text(path, junit_xml(outcome), mode="w")


def markdown_summary(outcome: TrainOutcome, run_url: str | None = None) -> str:
    """Spell the outcome in GitHub's Markdown: decision, metrics beside the champion's, gates."""
    champion = outcome.champion
    again = " (nothing changed: the earlier answer)" if outcome.cached else ""
    head = [
        "metric",
        f"version {outcome.version}",
        *([f"champion, version {champion.version}"] if champion else []),
    ]
    rows = [
        [escape(name), spell_number(value), *([spell_number(champion.metrics.get(name))] if champion else [])]
        for name, value in outcome.metrics.items()
    ]
    gates = [
        [f"{gate.type} {escape(gate.metric or '')}".strip(), VERDICTS[gate.verdict], escape(gate.reason)]
        for gate in outcome.gates
    ]
    parts = [
        f"## {escape(outcome.pipeline)} version {outcome.version}: {outcome.decision}{again}",
        "\n".join(f"- {escape(reason)}" for reason in outcome.reasons),
        spell_table(head, rows),
        spell_table(["gate", "verdict", "why"], gates) if gates else "No gates are named.",
        f"{outcome.snapshot.rows:,} rows in snapshot `{outcome.snapshot.digest[:12]}`, "
        f"bundle `{outcome.bundle.digest[:12]}` ({outcome.bundle.runtime}), MLflow run `{outcome.run_id}`.",
        f"[The run in MLflow]({one_line(run_url)})" if run_url else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def output_lines(outcome: TrainOutcome, run_url: str | None = None) -> str:
    """Spell ``decision=``, ``version=`` and ``run_url=``, one a line."""
    return f"decision={outcome.decision}\nversion={outcome.version}\nrun_url={one_line(run_url or '')}\n"


def junit_xml(outcome: TrainOutcome) -> str:
    """Spell each gate as a test case: a gate that fails is a failure, one "not shown" is skipped."""
    from xml.etree.ElementTree import Element, indent, tostring

    failed, skipped = (
        sum(gate.verdict == verdict for gate in outcome.gates) for verdict in ("fail", "not_shown")
    )
    suite = Element(
        "testsuite",
        name=f"{outcome.pipeline} version {outcome.version}",
        tests=str(len(outcome.gates)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time=f"{sum(outcome.seconds.values()):.3f}",
    )
    suite.extend(_test_case(outcome.pipeline, gate) for gate in outcome.gates)
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _test_case(pipeline: str, gate: GateResult) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    name = f"{gate.type} {gate.metric}" if gate.metric else gate.type
    case = Element("testcase", classname=f"evertrain.{pipeline}.gates", name=name)
    reason = _NOT_XML.sub("�", gate.reason)
    tag = {"fail": "failure", "not_shown": "skipped", "pass": "system-out"}[gate.verdict]
    attributes = {} if gate.verdict == "pass" else {"message": reason}
    SubElement(case, tag, attributes).text = reason
    return case
