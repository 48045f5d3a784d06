"""Owns what a CI job runs: ``evertrain check`` and ``train`` on one pipeline, told as the CI system reads it.

Called by .github/workflows/retrain.yml and deployments/gitlab-ci.yml, with the Python of evertrain's own
``.venv``. Exits as ``evertrain train`` does. Reads the environment:

RETRAIN_CONFIG: a YAML. RETRAIN_AS_OF: an ISO time. RETRAIN_SET: one A.B=VALUE a line.
RETRAIN_ENVIRONMENT: secrets for the run alone, one NAME=value a line.
RETRAIN_HELD: ``fail`` to exit 10 where the version was held; else that is no failure.
RETRAIN_OUT: a folder for train.json, gates.xml, summary.md, outputs, report.html and the logs.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from evertrain.drift_records import Failure
from evertrain.errors import EvertrainError
from evertrain.settings import read_settings
from evertrain.storage import open_store
from evertrain.summaries.failures import MEANINGS, markdown_failure

EVERTRAIN = str(Path(sys.executable).with_name("evertrain"))
SERVICES = ("AWS_", "EVERTRAIN_", "MLFLOW_", "PREFECT_")
LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
CONFIGURATION, HELD, SIGNALLED = 2, 10, 128
KEPT = ("train.json", "check.log", "train.log", "gates.xml", "summary.md", "outputs", "report.html")


def main() -> int:
    """Check, train, tell; gives the exit code."""
    out = Path(os.environ["RETRAIN_OUT"])
    out.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        # What an earlier job left there would be taken for this one's.
        (out / name).unlink(missing_ok=True)
    config = os.environ["RETRAIN_CONFIG"]
    wrong = take_environment(os.environ.get("RETRAIN_ENVIRONMENT", ""))
    if wrong is not None:
        refuse(wrong, config, out)
        return CONFIGURATION
    # For the log alone: it doesn't know of RETRAIN_SET, and train says all that is wrong once more, by file.
    with told_as_text():
        run([EVERTRAIN, "check", "--", config], out / "check.log", None, COLUMNS="120")
        code = train(config, out)
    answer = read_answer(out / "train.json")
    keep_report(answer, out)
    tell(code, answer, out)
    return 0 if code == HELD and os.environ.get("RETRAIN_HELD") != "fail" else code


def take_environment(text: str) -> str | None:
    """Set the variables that a secret names, their values hidden in the log; says what is wrong with it."""
    for name in [name for name, value in os.environ.items() if name.startswith(SERVICES) and not value]:
        # An input that was left out; a library would take the empty text for an address or a key.
        del os.environ[name]
    os.environ.pop("RETRAIN_ENVIRONMENT", None)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            return f"Line {number} of the secret EVERTRAIN_ENVIRONMENT is not NAME=value."
        if found[2] and on_github():
            print(f"::add-mask::{escape(found[2])}", flush=True)
        os.environ[found[1]] = found[2]
    return None


def refuse(why: str, config: str, out: Path) -> None:
    """Tell the CI system, as a train that failed does, why there was none."""
    failure = Failure(type="ConfigError", message=why, exit=CONFIGURATION)
    (out / "summary.md").write_text(markdown_failure(config, failure), "utf-8")
    tell(CONFIGURATION, {"error": failure.model_dump()}, out)


def train(config: str, out: Path) -> int:
    """Run ``evertrain train``, its answer and what it leaves for CI in *out*; gives its exit code."""
    command = [EVERTRAIN, "train", "--trigger", "ci", "--json", "--junit", str(out / "gates.xml")]
    if as_of := os.environ.get("RETRAIN_AS_OF", "").strip():
        command.append(f"--as-of={as_of}")
    overrides = os.environ.get("RETRAIN_SET", "").splitlines()
    command += [f"--set={line.strip()}" for line in overrides if line.strip()]
    files = {"GITHUB_STEP_SUMMARY": str(out / "summary.md"), "GITHUB_OUTPUT": str(out / "outputs")}
    with (out / "train.json").open("wb") as answer:
        return run([*command, "--", config], out / "train.log", answer, **files)


def run(command: list[str], log: Path, answer: IO[bytes] | None, **variables: str) -> int:
    """Run *command*, its standard error shown and kept in *log*; a job that is cancelled ends it in order."""
    environment = {**os.environ, **variables}
    with log.open("wb") as kept:
        process = subprocess.Popen(command, stdout=answer, stderr=subprocess.PIPE, env=environment)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
        assert process.stderr is not None
        for line in process.stderr:
            kept.write(line)
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
        code = process.wait()
    return code if code >= 0 else SIGNALLED - code


@contextmanager
def told_as_text() -> Iterator[None]:
    """Have a GitHub runner show what is printed, and obey none of it: a message may quote the data."""
    token = secrets.token_hex(16)
    if on_github():
        print(f"::stop-commands::{token}", flush=True)
    yield
    if on_github():
        print(f"::{token}::", flush=True)


def read_answer(path: Path) -> dict[str, Any]:
    """Read what ``train --json`` printed; a run that was killed printed nothing."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def keep_report(answer: dict[str, Any], out: Path) -> None:
    """Copy the run's page out of the store, so that the job can keep it; a run that failed has none."""
    if "version" not in answer:
        return
    try:
        page = open_store(read_settings().store).get(f"reports/{answer['pipeline']}/{answer['version']}.html")
    except EvertrainError as error:
        annotate("warning", "The report can't be kept", error.message)
        return
    if page is not None:
        (out / "report.html").write_bytes(page)


def tell(code: int, answer: dict[str, Any], out: Path) -> None:
    """Hand summary and outputs to the CI system, and say in one line how it ended."""
    hand_on(out / "summary.md", "GITHUB_STEP_SUMMARY")
    hand_on(out / "outputs", "GITHUB_OUTPUT")
    if "version" in answer:
        title = f"{answer['pipeline']} version {answer['version']}: {answer['decision']}"
        level = "error" if code == HELD and os.environ.get("RETRAIN_HELD") == "fail" else "notice"
        annotate(level, title, "; ".join(answer["reasons"]) or title)
    else:
        meaning = MEANINGS.get(code, "evertrain was killed")
        annotate("error", f"Exit {code}: {meaning}", answer.get("error", {}).get("message") or meaning)


def hand_on(path: Path, variable: str) -> None:
    """Append a file to the one that the CI system names, if it does."""
    if path.exists() and os.environ.get(variable):
        with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
            file.write(path.read_text("utf-8"))


def annotate(level: str, title: str, text: str) -> None:
    """Print an annotation as GitHub reads it; elsewhere a plain line."""
    if on_github():
        name = escape(title).replace(":", "%3A").replace(",", "%2C")
        print(f"::{level} title={name}::{escape(text)}", flush=True)
    else:
        print(f"{level}: {title}\n{text}", flush=True)


def escape(text: str) -> str:
    """Put *text* on one line of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def on_github() -> bool:
    """Whether a GitHub runner reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


if __name__ == "__main__":
    sys.exit(main())
