from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e]

SCRIPT = Path(__file__).parents[3] / "deployments" / "ci" / "comment.py"


def comment(forge: Any, summary: Path, name: str = "configs/churn.yaml", **variables: str) -> str:
    """Call the script as the job does; gives what it printed."""
    environment = {
        "GITHUB_API_URL": forge.url,
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_TOKEN": "made-up-token",
        "COMMENT_NUMBER": "7",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), str(summary), name, "https://github.example/run/1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    return done.stdout


def test_one_comment_for_each_pipeline_is_brought_up_to_date(forge: Any, tmp_path: Path) -> None:
    """A second run changes the first's comment; another pipeline has its own; a stranger's stays."""
    summary = tmp_path / "summary.md"
    for text in ("first", "second"):
        summary.write_text(text)
        comment(forge, summary)
    comment(forge, summary, name="configs/churn.yaml2")

    bodies = [each["body"] for each in forge.ours()]
    assert len(bodies) == 2
    assert "second" in bodies[0]
    assert "first" not in bodies[0]
    assert forge.comments[7]["body"].endswith("spoofed")


def test_a_long_summary_is_cut_to_what_a_comment_may_hold(forge: Any, tmp_path: Path) -> None:
    """At the end of a line, saying so, with the link to the job still there."""
    summary = tmp_path / "summary.md"
    summary.write_text("ä line of the summary\n" * 9000)

    comment(forge, summary)

    (body,) = (each["body"] for each in forge.ours())
    assert 65_000 < len(body) <= 65_536
    assert "summary\n\n… cut here, the whole is in the job's summary.\n\n[The job](https://" in body


def test_a_value_of_the_data_mentions_nobody(forge: Any, tmp_path: Path) -> None:
    """What looks like a name of the forge's users stays text."""
    (tmp_path / "summary.md").write_text("slice owner = @octocat")

    comment(forge, tmp_path / "summary.md")

    (body,) = (each["body"] for each in forge.ours())
    assert "owner = @\u200boctocat" in body


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"GITHUB_TOKEN": "of-a-fork"}, "HTTP 401"),
        ({"GITHUB_API_URL": "http://127.0.0.1:9"}, "refused"),
        ({"GITHUB_API_URL": "file:///etc"}, "not one of HTTP"),
        ({"COMMENT_NUMBER": "7/../8"}, "invalid literal"),
    ],
)
def test_a_comment_that_cannot_be_written_is_a_warning(
    variables: dict[str, str], words: str, forge: Any, tmp_path: Path
) -> None:
    """A token that may only read, no answer, a wrong address: told in one line, and the job stays green."""
    told = comment(forge, tmp_path / "none.md", GITHUB_ACTIONS="true", **variables)

    assert told.startswith("::warning::The comment can't be written (")
    assert words in told
    assert told.count("\n") == 1
    assert "made-up-token" not in told
    assert forge.ours() == []


def test_without_a_request_there_is_no_comment(forge: Any, tmp_path: Path) -> None:
    """A scheduled run has nobody to tell."""
    assert "no comment" in comment(forge, tmp_path / "none.md", COMMENT_NUMBER="")
    assert forge.calls == []
