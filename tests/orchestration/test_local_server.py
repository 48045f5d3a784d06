from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evertrain.errors import ServiceError
from evertrain.settings import read_settings
from flows.local_server import LocalServer, start_server
from flows.prefect_environment import prefect_environment

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]

START = """
from evertrain.settings import read_settings
from flows.local_server import prefect_api
with prefect_api(read_settings()) as server:
    server.wait_until_ready()
"""


def test_two_commands_that_start_at_once_in_an_empty_home_both_get_a_server(tmp_path: Path) -> None:
    """Who comes second waits until the first has made the database."""
    environment = {**os.environ, "EVERTRAIN_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    commands = [
        subprocess.Popen([sys.executable, "-c", START], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    said = [command.communicate(timeout=200)[1] for command in commands]

    assert [command.returncode for command in commands] == [0, 0], said


IMPORTED_BEFORE = """
import prefect
from prefect.settings import get_current_settings
from evertrain.settings import read_settings
from flows.local_server import prefect_api
with prefect_api(read_settings()) as server:
    assert get_current_settings().api.url == server.url
assert get_current_settings().api.url is None
"""


def test_a_prefect_that_was_imported_before_finds_the_server(tmp_path: Path) -> None:
    """In a notebook, say: Prefect reads its settings at import, and is told to read them again."""
    environment = {**os.environ, "EVERTRAIN_HOME": str(tmp_path)}
    environment.pop("PREFECT_API_URL", None)

    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_BEFORE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_server_that_ends_at_start_is_told_with_its_log(tmp_path: Path) -> None:
    """The error names the log, and the way out."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_text("this is no database")
    server = start_server(settings)

    with pytest.raises(ServiceError, match=r"server\.log"):
        server.wait_until_ready()

    assert "file is not a database" in (tmp_path / "prefect" / "server.log").read_text()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded, and a process that heeds no signal is killed."""
    monkeypatch.setattr("flows.local_server.START_SECONDS", 0.5)
    monkeypatch.setattr("flows.local_server.STOP_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    stubborn = f"{deaf}; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    server = LocalServer(process, "http://127.0.0.1:9/api", tmp_path / "server.log")

    with pytest.raises(ServiceError, match="didn't answer"):
        server.wait_until_ready()
    server.stop()

    assert process.returncode == -9
    process.stdout.close()


def test_a_home_in_the_way_is_told(tmp_path: Path) -> None:
    """A file where the home should be is an error that names it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ServiceError, match="EVERTRAIN_HOME"):
        start_server(read_settings({"EVERTRAIN_HOME": str(tmp_path / "file")}))


def test_the_embedded_prefect_never_touches_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its home is evertrain's even where the user has one; a server of the user's own keeps it."""
    monkeypatch.setenv("PREFECT_HOME", "/srv/user/.prefect")

    embedded = prefect_environment(read_settings({"EVERTRAIN_HOME": "/srv"}))
    own = prefect_environment(read_settings({"EVERTRAIN_HOME": "/srv", "PREFECT_API_URL": "http://p/api"}))

    assert embedded["PREFECT_HOME"] == "/srv/prefect"
    assert "PREFECT_HOME" not in own
    assert embedded["DO_NOT_TRACK"] == "1"


def test_what_the_user_chose_to_see_of_prefect_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The silence is a default, not a rule."""
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")

    assert prefect_environment(read_settings({}))["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "INFO"
