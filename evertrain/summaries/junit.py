"""Owns the JUnit file: each gate of a run as a test case, or the one error that ended it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.drift_records import Failure
from evertrain.errors import ConfigError, StorageError
from evertrain.records import GateResult, TrainOutcome
from evertrain.summaries.markdown import write_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_writable(path: Path) -> None:
    """Find out before a run whether its JUnit file can be written; what lies there stays as it is.

    Raises:
        ConfigError: It can't; the message names the path.
    """
    expected = "Name a file in a folder you may write to."
    if path.is_dir():
        raise ConfigError(f"--junit {path}: that is a folder. {expected}", path=str(path))
    try:
        if path.exists():
            writable = os.access(path, os.W_OK)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("x").close()
            path.unlink()
            writable = True
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        message = f"--junit {path}: it can't be written ({reason}). {expected}"
        raise ConfigError(message, path=str(path)) from cause
    if not writable:
        raise ConfigError(f"--junit {path}: you may not write to that file. {expected}", path=str(path))


def write_junit(outcome: TrainOutcome, path: Path) -> None:
    """Write each gate as a JUnit test case to *path*; its folder is made.

    Raises:
        StorageError: The file can't be written; what the run decided stands, and the message says so.
    """
    try:
        write_text(path, junit_xml(outcome), mode="w")
    except StorageError as error:
        done = f"{outcome.pipeline} version {outcome.version} is {outcome.decision}, but --junit: "
        raise StorageError(f"{done}{error.message} The same command again gives the answer again.") from error


def write_failure(config: str, failure: Failure, path: Path) -> None:
    """Write a run that failed as one test case with an error, so that CI shows why.

    Raises:
        StorageError: The file can't be written.
    """
    write_text(path, failure_xml(config, failure), mode="w")


def junit_xml(outcome: TrainOutcome) -> str:
    """Spell each gate as a test case: a gate that fails is a failure, one "not shown" is skipped."""
    verdicts = [gate.verdict for gate in outcome.gates]
    counts = {"failures": verdicts.count("fail"), "skipped": verdicts.count("not_shown")}
    cases = [_gate_case(outcome.pipeline, gate) for gate in outcome.gates]
    name = f"{outcome.pipeline} version {outcome.version}"
    return _spell_suite(name, cases, sum(outcome.seconds.values()), **counts)


def failure_xml(config: str, failure: Failure) -> str:
    """Spell a run that failed: one test case, ``train``, with the error's type, first line and whole text."""
    text = _xml_safe(failure.message)
    case = _case(f"evertrain.{Path(config).stem}", "train")
    first_line = (text.strip().splitlines() or [""])[0]
    _say(case, "error", text, type=failure.type, message=first_line)
    return _spell_suite(_xml_safe(config), [case], 0.0, errors=1)


def _spell_suite(name: str, cases: list[Element], seconds: float, **counts: int) -> str:
    from xml.etree.ElementTree import Element, indent, tostring

    counted = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0, **counts}
    suite = Element("testsuite", {"name": name, **{key: str(count) for key, count in counted.items()}})
    suite.set("time", f"{seconds:.3f}")
    suite.extend(cases)
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _gate_case(pipeline: str, gate: GateResult) -> Element:
    name = f"{gate.type} {gate.metric}" if gate.metric else gate.type
    case = _case(f"evertrain.{pipeline}.gates", name)
    reason = _xml_safe(gate.reason)
    if gate.verdict == "pass":
        _say(case, "system-out", reason)
    else:
        _say(case, {"fail": "failure", "not_shown": "skipped"}[gate.verdict], reason, message=reason)
    return case


def _case(class_name: str, name: str) -> Element:
    from xml.etree.ElementTree import Element

    return Element("testcase", classname=_xml_safe(class_name), name=name)


def _say(case: Element, tag: str, text: str, **attributes: str) -> None:
    from xml.etree.ElementTree import SubElement

    SubElement(case, tag, attributes).text = text


def _xml_safe(text: str) -> str:
    return _NOT_XML.sub("�", text)
