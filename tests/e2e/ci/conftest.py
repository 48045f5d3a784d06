"""Owns what a CI job needs around it: a forge's API, a user's repository, and a player of workflows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
TOKEN = "made-up-token"
STRANGERS = 130
TIMEOUT_SECONDS = 600
# A real `make .venv` takes minutes; the environment that runs the tests is what it would make.
MAKE = """#!/bin/sh
test "$1 $3" = "-C .venv" && test -e "$2/requirements.lock" || { echo "unexpected: make $*" >&2; exit 9; }
"""


@dataclass
class Forge:
    """GitHub's and GitLab's comments, and what was asked of them."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refuses: int | None = None

    def ours(self) -> list[dict[str, Any]]:
        """The comments that a bot wrote."""
        return [comment for comment in self.comments if comment["user"]["login"] == "github-actions[bot]"]

    def answer(self, method: str, path: str, query: dict[str, list[str]], sent: dict[str, Any]) -> Any:
        """Answer one call as both forges do; they differ in the paths, and in the verb for an update."""
        if path == "/api/user":
            return {"username": "github-actions[bot]"}
        if method == "GET":
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return self.comments[(page - 1) * size : page * size]
        if method == "POST":
            self.comments.append(self.comment(len(self.comments) + 1, "github-actions[bot]", sent["body"]))
            return self.comments[-1]
        found = next(comment for comment in self.comments if comment["id"] == int(path.rpartition("/")[2]))
        found["body"] = sent["body"]
        return found

    @staticmethod
    def comment(number: int, who: str, body: str) -> dict[str, Any]:
        """Spell a comment so that either forge's reader finds its author."""
        return {"id": number, "body": body, "user": {"login": who}, "author": {"username": who}}


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A forge whose request has more comments than fit a page, one of them with our mark by a stranger."""
    state = Forge()
    state.comments = [Forge.comment(number, "somebody", "Nice!") for number in range(1, STRANGERS)]
    state.comments[7]["body"] = "<!-- evertrain retrain configs%2Fchurn.yaml -->\nspoofed"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            state.calls.append(f"{self.command} {address.path}")
            length = int(self.headers.get("content-length") or 0)
            sent = json.loads(self.rfile.read(length)) if length else {}
            tokens = (self.headers.get("authorization"), self.headers.get("private-token"))
            status = state.refuses or (200 if tokens in ((f"Bearer {TOKEN}", None), (None, TOKEN)) else 401)
            said = (
                state.answer(self.command, address.path, parse_qs(address.query), sent)
                if status < 300
                else {}
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_POST = do_PATCH = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/api"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's own repository: a YAML and its data."""
    folder = tmp_path / "project"
    (folder / "configs").mkdir(parents=True)
    rows = [
        f"2024-{day // 28 % 12 + 1:02}-{day % 28 + 1:02},{20 + day % 50},{'gold' if day % 3 else 'free'},"
        f"{'yes' if day * 7919 % 10 + day % 50 / 10 > 7 else 'no'}"
        for day in range(600)
    ]
    (folder / "customers.csv").write_text("\n".join(["signed_up,age,plan,churned", *rows, ""]))
    (folder / "configs" / "churn.yaml").write_text(
        "name: churn\n"
        "data: {source: {type: files, uri: customers.csv}, target: churned, timestamp: signed_up}\n"
        "training: {estimator: sklearn.linear_model.LogisticRegression}\n"
        "evaluation: {task: binary_classification}\n"
    )
    return folder


@pytest.fixture
def runner_environment(tmp_path: Path) -> dict[str, str]:
    """What a runner gives every step: CI, no settings of ours, and a `make` that finds all installed."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "make").write_text(MAKE)
    (programs / "make").chmod(0o755)
    ours = ("EVERTRAIN_HOME", "PREFECT_HOME", "PREFECT_API_URL", "MLFLOW_TRACKING_URI")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    here = Path(sys.executable).parent
    return {**kept, "CI": "true", "PATH": f"{programs}:{here}:{os.environ['PATH']}"}


Action = Callable[["Player", dict[str, str]], None]


class Expression:
    """GitHub's expressions, as far as the workflow uses them; a name that the table lacks fails the test."""

    TOKEN = re.compile(r"\s*('(?:[^']|'')*'|\d+|\|\||&&|==|!=|[!()]|[A-Za-z_][\w.-]*)")

    def __init__(self, text: str, table: dict[str, Any], failed: bool) -> None:
        self._tokens = self.TOKEN.findall(text)
        assert "".join(self._tokens) == re.sub(r"\s", "", text), f"not understood: {text}"
        self._table = {**table, "success": not failed, "failure": failed, "cancelled": False, "always": True}

    def value(self) -> Any:
        found = self._either()
        assert not self._tokens
        return found

    def _either(self) -> Any:
        found = self._both()
        while self._next("||"):
            other = self._both()
            found = found or other
        return found

    def _both(self) -> Any:
        found = self._equal()
        while self._next("&&"):
            other = self._equal()
            found = found and other
        return found

    def _equal(self) -> Any:
        found = self._one()
        if self._next("=="):
            return found == self._one()
        return found != self._one() if self._next("!=") else found

    def _one(self) -> Any:
        if self._next("!"):
            return not self._one()
        token = self._tokens.pop(0)
        if token == "(":
            found = self._either()
            assert self._next(")")
            return found
        if token[0] == "'":
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        if self._next("("):
            assert self._next(")")
        return self._table[token]

    def _next(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            del self._tokens[0]
            return True
        return False


def spell_value(value: Any) -> str:
    """Spell a value as GitHub does: nothing for none, and booleans in small letters."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Player:
    """Plays one job of a workflow, step by step, as GitHub's runner does."""

    def __init__(
        self, workspace: Path, temp: Path, table: dict[str, Any], actions: dict[str, Action]
    ) -> None:
        for folder in (workspace, temp):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.workspace, self.temp, self.actions = workspace, temp, actions
        self.table = {"runner.temp": str(temp), **table}
        self.log = self.summary = ""
        self.failed = False

    def play(self, job: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
        """Play the job; gives its outputs."""
        shown = self.fill(job.get("env", {}))
        self.table |= {f"env.{name}": value for name, value in shown.items()}
        for step in job["steps"]:
            if "id" in step:
                self.table[f"steps.{step['id']}.outcome"] = "skipped"
        for number, step in enumerate(job["steps"]):
            if self.wanted(str(step.get("if", "success()"))):
                self.take(step, number, {**environment, **shown})
        return self.fill(job.get("outputs", {}))

    def wanted(self, condition: str) -> bool:
        """Whether a step's ``if`` holds; without a word on the job's state it means success too."""
        text = condition.removeprefix("${{").removesuffix("}}")
        said = re.search(r"\b(success|failure|cancelled|always)\(", text)
        return bool(self.evaluate(text)) and (said is not None or not self.failed)

    def evaluate(self, text: str) -> Any:
        return Expression(text, self.table, self.failed).value()

    def fill(self, values: dict[str, Any]) -> dict[str, str]:
        """Replace the expressions in each value; none gives the empty text."""

        def spell(found: re.Match[str]) -> str:
            return spell_value(self.evaluate(found[1]))

        return {name: re.sub(r"\$\{\{(.*?)\}\}", spell, spell_value(value)) for name, value in values.items()}

    def take(self, step: dict[str, Any], number: int, environment: dict[str, str]) -> None:
        """Take one step: an action by its name, or its script in bash."""
        if "uses" in step:
            name = step["uses"].partition("@")[0]
            try:
                self.actions[name](self, self.fill(step.get("with", {})))
            except FileNotFoundError:
                assert step.get("continue-on-error"), name
            return
        assert "${{" not in step["run"], "a script takes its inputs from the environment"
        files = {name: self.temp / f"_{name}_{number}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={**environment, **self.fill(step.get("env", {})), **{k: str(v) for k, v in files.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.log += done.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        self.failed |= done.returncode != 0
        if "id" in step:
            prefix = f"steps.{step['id']}"
            self.table[f"{prefix}.outcome"] = "failure" if done.returncode else "success"
            for line in files["GITHUB_OUTPUT"].read_text().splitlines():
                key, _, value = line.partition("=")
                self.table[f"{prefix}.outputs.{key}"] = value


@pytest.fixture
def workflow() -> dict[str, Any]:
    """The reusable workflow."""
    read = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "retrain.yml").read_text("utf-8"))
    assert isinstance(read, dict)
    return read


@pytest.fixture
def player() -> type[Player]:
    """What plays a job."""
    return Player
