from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evertrain.errors import ServiceError
from evertrain.liveness import is_running
from evertrain.settings import Settings, read_settings
from flows.ending import end_home
from flows.local_server import LocalServer, describe_server, prefect_api, server_must_start, start_server
from flows.server.record import FILE, ServerRecord, find_server, read_record, write_record
from flows.server.use import find_users, unused, using

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]

# A command that needs a server, as a user's shell runs it: tells which it has, and ends with its input.
USE = """
import sys
from evertrain.settings import read_settings
from flows import local_server
local_server.IDLE_SECONDS = float(sys.argv[1])
with local_server.prefect_api(read_settings()) as server:
    server.wait_until_ready()
    print(server.url, flush=True)
    sys.stdin.read()
"""


class Command:
    """A command that uses its home's server until it is told to end."""

    def __init__(
        self, home: Path, *, idle_seconds: float = 600.0, environment: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(idle_seconds)],
            env=plain_environment(home) | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        """The server that it uses, once that answers."""
        assert self.process.stdout is not None
        found = self.process.stdout.readline().strip()
        assert found, self.process.communicate(timeout=60)[1]
        return found

    def end(self) -> None:
        """Let it end, as it ends when its work is done."""
        _, said = self.process.communicate(timeout=60)
        assert (self.process.returncode, said) == (0, "")

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.kill()
        self.process.communicate(timeout=60)


def plain_environment(home: Path) -> dict[str, str]:
    """A shell of no CI system's, where *home* is evertrain's."""
    theirs = ("CI", "PREFECT_API_URL")
    kept = {name: value for name, value in os.environ.items() if name not in theirs}
    return {**kept, "EVERTRAIN_HOME": str(home)}


def settings_of(home: Path) -> Settings:
    return read_settings({"EVERTRAIN_HOME": str(home)})


def server_of(home: Path) -> ServerRecord:
    """The living server of *home*."""
    found = find_server(home / "prefect")
    assert found is not None
    return found


def await_true(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until *holds*, for at most so long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def prefect_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prefect's home is put back after each test: a block leaves its own, never the user's."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect-home"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty home whose server is ended after the test."""
    home = tmp_path / "home"
    yield home
    end_home(settings_of(home))


def test_commands_of_one_home_share_a_server_that_stays_for_the_next(place: Path) -> None:
    """Two that start at once in an empty home get one server; it outlives a kill -9, `down` ends it."""
    first, second = Command(place), Command(place)
    assert first.url() == second.url()
    server = server_of(place)
    pids = {user.pid for user in find_users(place / "prefect", server.process.pid)}
    assert pids == {first.process.pid, second.process.pid}
    with unused(place / "prefect") as is_unused:
        assert not is_unused
    first.kill()
    second.end()
    with unused(place / "prefect") as is_unused:
        assert is_unused

    third = Command(place)

    assert third.url() == server.api_url
    assert server_of(place) == server
    done = evertrain("down", "--json", home=place)
    third.kill()
    ended = json.loads(done.stdout)["ended"]
    assert [(each["what"], each["pid"]) for each in ended] == [
        ("the local Prefect server", server.process.pid)
    ]
    assert f"(pid {third.process.pid})" in ended[0]["users"][0]
    assert not is_running(server.process)
    again = evertrain("down", home=place)
    assert (again.returncode, "nothing to end" in again.stdout) == (0, True)


def evertrain(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Type a command where *home* is evertrain's."""
    return subprocess.run(
        [sys.executable, "-m", "evertrain.cli", *arguments],
        env=plain_environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_server_that_was_killed_is_replaced_and_an_idle_one_ends(place: Path) -> None:
    """The next command finds a stale record and starts another, which ends once it is unused."""
    command = Command(place)
    command.url()
    killed = server_of(place)
    os.kill(killed.process.pid, signal.SIGKILL)
    command.kill()
    assert read_record(place / "prefect") == killed
    await_true(lambda: server_must_start(settings_of(place)))

    command = Command(place, idle_seconds=1.0)

    command.url()
    other = server_of(place)
    assert other.id != killed.id
    time.sleep(4)
    assert is_running(other.process)
    command.end()
    await_true(lambda: not is_running(other.process))
    assert read_record(place / "prefect") is None
    assert (place / "prefect" / "server.log").read_text() == ""


@pytest.mark.slow
def test_a_server_ends_when_its_home_is_moved_or_deleted(place: Path) -> None:
    """It notices within seconds, and the home at its new place gets a server of its own."""
    command = Command(place)
    command.url()
    command.end()
    server = server_of(place)
    moved = place.with_name("moved")

    place.rename(moved)

    assert find_server(moved / "prefect") is None
    await_true(lambda: not is_running(server.process))
    command = Command(moved)
    command.url()
    command.end()
    other = server_of(moved)
    moved.rename(moved.with_name("gone"))
    await_true(lambda: not is_running(other.process))
    assert not place.exists()


@pytest.mark.slow
def test_a_server_of_another_prefect_is_ended_unless_it_is_in_use(place: Path) -> None:
    """After an upgrade the next command starts the new one; a run of the old one is not cut off."""
    command = Command(place)
    command.url()
    old = replace(server_of(place), version="3.0.0")
    write_record(place / "prefect", old)
    second = Command(place)
    assert second.url() == old.api_url
    assert server_of(place) == old
    second.end()
    command.end()

    third = Command(place)
    third.url()
    third.end()

    assert server_of(place).id != old.id
    assert not is_running(old.process)


def test_in_ci_a_server_ends_with_its_command_and_one_that_runs_is_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI=true leaves no process behind, and neither ends what runs nor forgets an address."""
    monkeypatch.setenv("PREFECT_API_URL", "http://before/api")
    command = Command(place, environment={"CI": "true"})
    url = command.url()
    assert find_server(place / "prefect") is None
    command.end()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2].removesuffix("/api")))) != 0
    write_record(place / "prefect", describe_server(settings_of(place), "made-up", os.getpid(), port=9))

    with prefect_api(settings_of(place)) as server:
        assert server is not None
        assert os.environ["PREFECT_API_URL"] == server.url == "http://127.0.0.1:9/api"
    assert os.environ["PREFECT_API_URL"] == "http://before/api"

    # This very process stood for a server: it is not to be ended.
    (place / "prefect" / FILE).unlink()


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
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_text("this is no database")
    server = start_server(settings_of(tmp_path), stays=False)

    with pytest.raises(ServiceError, match=r"server\.log"):
        server.wait_until_ready()
    server.stop()

    assert "file is not a database" in (tmp_path / "prefect" / "server.log").read_text()


def test_a_server_that_heeds_no_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for its end is bounded."""
    monkeypatch.setattr("flows.local_server.STOP_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    process = subprocess.Popen([sys.executable, "-c", f"{deaf}; time.sleep(60)"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    record = describe_server(settings_of(tmp_path), "made-up", process.pid, port=9)

    LocalServer(record, tmp_path / "server.log", process).stop()

    assert process.returncode == -9
    process.stdout.close()


def test_a_home_in_the_way_is_told(tmp_path: Path) -> None:
    """A file where the home should be is an error that names it."""
    (tmp_path / "file").write_text("")
    settings = settings_of(tmp_path / "file")

    with pytest.raises(ServiceError, match="EVERTRAIN_HOME"):
        start_server(settings, stays=False)
    with pytest.raises(ServiceError, match="EVERTRAIN_HOME"), prefect_api(settings):
        pytest.fail("there is no server")


def test_a_lock_that_is_never_let_go_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process, say: the wait is bounded, and says what to do."""
    monkeypatch.setattr("flows.server.use.WAIT_SECONDS", 0.2)
    with using(tmp_path):
        pass

    with (
        unused(tmp_path) as is_unused,
        pytest.raises(ServiceError, match="evertrain down"),
        using(tmp_path),
    ):
        pytest.fail("it is kept out")

    assert is_unused
