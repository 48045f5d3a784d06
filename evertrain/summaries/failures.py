"""Owns what a CI system is told of a command that failed, and the exit codes in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evertrain.drift_records import Failure
from evertrain.summaries.markdown import append_text, escape

if TYPE_CHECKING:
    from evertrain.settings import Settings

MEANINGS = {
    1: "a fault of evertrain's own: please report it",
    2: "the configuration or an argument is wrong",
    3: "the data can't be had, or was refused",
    4: "training or packaging failed",
    5: "a service or the disk failed",
    10: "held: a gate said no, the champion stays",
    11: "another train of this pipeline runs, or someone else moved first",
    12: "the journal was tampered with",
    130: "interrupted",
}
_TERMINAL_CODES = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[^\n\t\x20-\x7e\xa0-\U0010ffff]")


def append_failure_for_ci(config: str, failure: Failure, settings: Settings) -> None:
    """Append the failure to the summary that the CI system named, if it did; the output file gets no line."""
    if settings.step_summary:
        append_text("GITHUB_STEP_SUMMARY", settings.step_summary, f"{markdown_failure(config, failure)}\n")


def markdown_failure(config: str, failure: Failure) -> str:
    """Spell the failure in GitHub's Markdown: which YAML, what the exit code means, the message as it is."""
    meaning = MEANINGS.get(failure.exit, "failed")
    return f"## {escape(config)}: failed\n\nExit {failure.exit}: {meaning}.\n\n{_fence(failure.message)}\n"


def _fence(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{_TERMINAL_CODES.sub('', text).strip()}\n{fence}"
