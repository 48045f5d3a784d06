"""Tests of reaching MLflow: the embedded database, its silence, and servers that don't answer."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evertrain.errors import RegistryError, RegistryUnavailable, Transient
from evertrain.mlflow_client import is_remote, mlflow_client, tracking_uri, without_credentials
from evertrain.settings import read_settings
from evertrain.tracking import run_url

OPEN = (
    "import sys; from evertrain.settings import read_settings\n"
    "from evertrain.mlflow_client import mlflow_client\n"
    "with mlflow_client(read_settings({'EVERTRAIN_HOME': sys.argv[1]}), 'open') as client:\n"
    "    client.create_registered_model(sys.argv[2])\n"
)


def start(home, name):
    command = [sys.executable, "-W", "error", "-c", OPEN, str(home), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home.parent)


def remote(uri):
    return read_settings({"MLFLOW_TRACKING_URI": uri})


def test_address_is_the_setting_or_the_embedded_file(tmp_path):
    """MLFLOW_TRACKING_URI decides; without it MLflow lives in EVERTRAIN_HOME."""
    assert tracking_uri(remote("http://host:5000")) == "http://host:5000"
    assert tracking_uri(read_settings({"EVERTRAIN_HOME": str(tmp_path)})) == f"sqlite:///{tmp_path}/mlflow.db"
    assert is_remote(remote("https://host"))
    assert not is_remote(remote("sqlite:///x.db"))


def test_credentials_are_taken_out_of_addresses():
    """Neither user nor password stands in what is shown."""
    assert without_credentials("at http://me:s3cr@host/x and a@b") == "at http://host/x and a@b"


def test_two_processes_that_race_on_an_empty_home_both_work(tmp_path):
    """The database is made once, by one of them, and nobody says a word."""
    home = tmp_path / "empty home"
    racers = [start(home, f"model{number}") for number in range(2)]
    said = [racer.communicate(timeout=120)[0] for racer in racers]

    assert ([racer.returncode for racer in racers], said) == ([0, 0], [b"", b""])
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM registered_models").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty home"]


@pytest.mark.fault
def test_a_process_killed_while_it_makes_the_database_is_no_obstacle(tmp_path):
    """What a killed process left unfinished is made anew by the next."""
    home = tmp_path / "home"
    first = start(home, "a")
    unfinished = home / "mlflow.db.unfinished"
    deadline = time.monotonic() + 60
    while not (unfinished.exists() and unfinished.stat().st_size > 100_000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = start(home, "b")

    assert (second.communicate(timeout=120)[0], second.returncode) == (b"", 0)
    assert not unfinished.exists()


def test_client_leaves_environment_and_loggers_as_they_were(settings):
    """Patience and silence last as long as the block."""
    level, before = logging.getLogger("mlflow").level, dict(os.environ)
    with mlflow_client(settings, "look"):
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"

    assert (logging.getLogger("mlflow").level, dict(os.environ)) == (level, before)


def test_the_user_s_own_patience_is_kept(settings, monkeypatch):
    """A variable of MLflow's that the user set is left alone."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with mlflow_client(settings, "look"):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"

    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"


def test_nobody_listening_is_told_at_once():
    """A refused connection is transient, and its message bears address and mend but no password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with (
        pytest.raises(RegistryUnavailable) as caught,
        mlflow_client(remote(f"http://me:pw@127.0.0.1:{port}"), "look"),
    ):
        pass

    assert time.monotonic() - began < 30
    assert isinstance(caught.value, Transient)
    assert f"Can't look in MLflow at http://127.0.0.1:{port}:" in caught.value.message
    assert "MLFLOW_TRACKING_URI" in caught.value.message
    assert "pw" not in caught.value.message


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up():
    """A server that accepts and stays silent costs seconds, not minutes."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with (
            pytest.raises(RegistryUnavailable),
            mlflow_client(remote(f"http://127.0.0.1:{silent.getsockname()[1]}"), "x"),
        ):
            pass

    assert time.monotonic() - began < 45


class FakeServer(BaseHTTPRequestHandler):
    """Answers as MLflow's server does, for one run; refuses all else."""

    def do_GET(self):
        self.answer(
            {"run": {"info": {"run_id": "r1", "experiment_id": "7", "status": "FINISHED"}, "data": {}}}
        )

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        known = self.path.endswith(("experiments/search", "runs/update"))
        self.answer({"experiments": [], "run_info": {"run_id": "r1"}} if known else None)

    def answer(self, body):
        data = json.dumps(body or {"error_code": "PERMISSION_DENIED", "message": "not you"}).encode()
        self.send_response(200 if body else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """The address of a fake MLflow server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeServer) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


def test_a_run_on_a_server_has_a_page(server):
    """The address shown is the run's page, without credentials."""
    uri = server.replace("http://", "http://me:pw@") + "/"

    assert run_url(remote(uri), "r1") == f"{server}/#/experiments/7/runs/r1"


def test_a_run_s_page_is_where_people_open_mlflow(server):
    """A browser may reach a server by another address than we do; pages over a file have one as well."""
    settings = dataclasses.replace(remote(server), mlflow_pages="http://me:pw@mlflow.example.org/")

    assert run_url(settings, "r1") == "http://mlflow.example.org/#/experiments/7/runs/r1"


def test_a_run_s_page_is_linked_without_mlflow():
    """Where a link will do, it needs neither an answer nor the library, and bears no credentials."""
    look = (
        "import sys; from evertrain.settings import read_settings; from evertrain.tracking import run_link; "
        "print(run_link(read_settings(), 'r1'), 'mlflow' in sys.modules)"
    )

    def link(**variables: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", look],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout.strip()

    nowhere = "http://me:pw@127.0.0.1:9/"
    pages = "http://mlflow.example.org"
    assert link(MLFLOW_TRACKING_URI=nowhere) == "http://127.0.0.1:9/#/runs/r1 False"
    assert link(MLFLOW_TRACKING_URI=nowhere, EVERTRAIN_MLFLOW_PAGES=pages) == f"{pages}/#/runs/r1 False"
    assert link() == "None False"


def test_a_finished_run_is_not_announced(server, capsys):
    """Standard output belongs to the command: MLflow doesn't print its addresses there."""
    with mlflow_client(remote(server), "finish") as client:
        client.set_terminated("r1")

    assert capsys.readouterr() == ("", "")


def test_a_refusal_is_told_in_the_server_s_words(server):
    """What the server refuses isn't transient, and its reason is passed on."""
    with (
        pytest.raises(RegistryError, match="PERMISSION_DENIED: not you") as caught,
        mlflow_client(remote(server), "make an experiment") as client,
    ):
        client.create_experiment("x")

    assert not isinstance(caught.value, Transient)


def test_a_home_that_can_t_be_written_is_told(tmp_path):
    """A file where EVERTRAIN_HOME should be is an error of the registry, with the way out."""
    home = tmp_path / "home"
    home.write_text("")
    with (
        pytest.raises(RegistryError, match="EVERTRAIN_HOME"),
        mlflow_client(read_settings({"EVERTRAIN_HOME": str(home)}), "look"),
    ):
        pass


def test_a_file_that_is_no_database_is_told(tmp_path):
    """A broken mlflow.db is an error with its address, not a traceback."""
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with (
        pytest.raises(RegistryError, match=r"mlflow\.db"),
        mlflow_client(read_settings({"EVERTRAIN_HOME": str(tmp_path)}), "look"),
    ):
        pass


def test_another_database_than_the_embedded_one_is_used(template, tmp_path):
    """A SQLite address in MLFLOW_TRACKING_URI is taken as it is."""
    with (
        pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI names an MLflow"),
        mlflow_client(remote(f"sqlite:///{template}/mlflow.db"), "read") as client,
    ):
        client.get_run("none")
