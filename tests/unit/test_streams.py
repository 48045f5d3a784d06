from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "evertrain.cli"]
PIPELINE = """\
name: loans
data: {source: {type: files, uri: loans.csv}, target: default}
training: {estimator: sklearn.linear_model.LogisticRegression}
evaluation: {task: binary_classification}
"""
CASES = [
    (("check", "loans.yaml"), 0),
    (("check", "loans.yaml", "--json"), 0),
    (("check", "nothing.yaml", "--json"), 2),
    (("check", "--json", "--nothing"), 2),
    (("--version",), 0),
    (("train", "--help"), 0),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "loans.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def unread() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize(("words", "code"), CASES)
def test_the_exit_code_stays_where_nobody_reads(
    words: tuple[str, ...], code: int, folder: Path, unread: int
) -> None:
    """Standard output's reader has gone: the exit code is the command's, and nothing is said of it."""
    done = run(folder, words, stdout=unread, stderr=subprocess.PIPE)

    assert done.returncode == code
    assert b"roken" not in done.stderr
    assert b"fault" not in done.stderr
    assert done.stderr == b"" or code != 0
    assert not (folder / "home" / "logs").exists()


@pytest.mark.parametrize("words", [("check", "nothing.yaml"), ("check", "nothing.yaml", "--json")])
def test_a_failure_keeps_its_exit_code_where_nobody_reads_of_it(
    words: tuple[str, ...], folder: Path, unread: int
) -> None:
    """Neither stream has a reader any more: exit 2 for a YAML that isn't there, as ever."""
    assert run(folder, words, stdout=unread, stderr=unread).returncode == 2


def test_an_answer_is_whole_though_standard_error_has_no_reader(folder: Path, unread: int) -> None:
    """What went wrong on one stream changes nothing on the other."""
    done = run(folder, ("check", "nothing.yaml", "--json"), stdout=subprocess.PIPE, stderr=unread)

    assert json.loads(done.stdout)["error"]["exit"] == 2


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_is_as_one_that_nobody_reads(closed: str, folder: Path) -> None:
    """`evertrain … >&-` and `2>&-`: the exit code is the command's."""
    shell = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *COMMAND, "check", "loans.yaml"]

    done = subprocess.run(shell, cwd=folder, capture_output=True, timeout=120, check=False)

    assert done.returncode == 0
    assert done.stderr == b""


def run(
    folder: Path, words: tuple[str, ...], *, stdout: int, stderr: int
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, stdout=stdout, stderr=stderr, timeout=120, check=False
    )
