from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from evertrain.errors import ServiceError
from evertrain.settings import read_settings
from flows.local_server import prefect_api
from flows.up.parts import Program, answers, claim_port
from flows.up.record import FILE, being_up, find_up, write_up
from flows.up.supervisor import Stopped, Supervisor
from flows.up.watchdog import Watchdog

GRANDCHILD = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
child = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(300)
"""


class Log:
    """What the parts have said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def say(self, part: str, text: str) -> None:
        self.lines.append((part, text))

    def number_after(self, word: str) -> int:
        """Wait for a line of *word* and a number."""
        deadline = time.monotonic() + 60
        while True:
            found = [text for _, text in self.lines if text.startswith(f"{word} ")]
            if found:
                return int(found[-1].split()[1])
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def supervisor(log: Log) -> Iterator[Supervisor]:
    """A supervisor that is stopped after the test, whatever it runs."""
    watchdog = Watchdog()
    made = Supervisor(log.say, watchdog)
    yield made
    made.stop()
    watchdog.close()


def part(code: str, *, health: str | None = None) -> Program:
    return Program("part", [sys.executable, "-c", code], dict(os.environ), health=health)


def test_a_part_that_dies_is_started_again_and_given_up_with_its_last_words(
    supervisor: Supervisor, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each death is said, with the pause; who dies once more than there are pauses ends everything."""
    monkeypatch.setattr("flows.up.supervisor.PAUSES_SECONDS", (0.1, 0.1))
    supervisor.start(part("import sys; sys.exit('no coal left')"))

    with pytest.raises(ServiceError, match=r"3 times in a row.*Its last words:.*no coal left"):
        supervisor.watch()

    said = [text for _, text in log.lines if "started again" in text]
    assert said == ["ended with exit code 1; it is started again in 0 s"] * 2


def test_what_a_part_says_before_it_answers_is_told_only_if_it_never_does(
    supervisor: Supervisor, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's own start lines are no news; where it fails to start, they say why."""
    monkeypatch.setattr("flows.up.supervisor.READY_SECONDS", 3.0)
    silent = part(
        "import time; print('warming up', flush=True); time.sleep(60)", health="http://127.0.0.1:9/"
    )
    supervisor.start(silent)

    with pytest.raises(ServiceError, match=r"part doesn't answer.*warming up"):
        supervisor.wait_until_ready([silent])

    assert log.lines == []


def test_a_part_and_its_deaf_grandchild_end_in_time(supervisor: Supervisor, log: Log) -> None:
    """What heeds no signal and hides in a session of its own is killed too."""
    supervisor.start(part(GRANDCHILD))
    hidden = psutil.Process(log.number_after("child"))
    began = time.monotonic()

    supervisor.stop()

    assert time.monotonic() - began < 8
    hidden.wait(10)


def test_a_signal_ends_the_wait_and_a_second_one_the_patience(supervisor: Supervisor, log: Log) -> None:
    """The first asks to end; the next doesn't wait for those who take their time."""
    deaf = "import signal,time; signal.signal(15, signal.SIG_IGN); print('pid 1', flush=True); time.sleep(60)"
    supervisor.start(part(deaf))
    log.number_after("pid")
    with supervisor.heeding_signals():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(Stopped):
            supervisor.watch()
        os.kill(os.getpid(), signal.SIGTERM)
        began = time.monotonic()
        supervisor.stop()

    assert time.monotonic() - began < 2


KILLED = """
import os, signal, sys, time
from flows.up.parts import Program
from flows.up.supervisor import Supervisor
from flows.up.watchdog import Watchdog
supervisor = Supervisor(lambda part, text: print(text, flush=True), Watchdog())
supervisor.start(Program("part", [sys.executable, "-c", os.environ["CODE"]], dict(os.environ)))
time.sleep(300)
"""


def test_what_was_started_ends_with_a_supervisor_that_is_killed() -> None:
    """A kill -9 leaves no time to end anything: the watchdog does, descendants included."""
    environment = {**os.environ, "CODE": GRANDCHILD}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline().split()[1]))
        parent = child.parent()
        assert parent is not None
        watchdog = [each for each in psutil.Process(process.pid).children() if each != parent]
        process.kill()

    gone, alive = psutil.wait_procs([child, parent, *watchdog], timeout=30)

    assert (len(gone), alive) == (3, [])


def test_a_taken_port_is_refused_with_the_option_that_chooses_another() -> None:
    """The message names the port, the part and the option."""
    with claim_port(0, "someone", "--port") as listener:
        port = listener.getsockname()[1]

        with pytest.raises(ServiceError, match=rf"Port {port}, where MLflow would be.*--mlflow-port"):
            claim_port(port, "MLflow", "--mlflow-port")
        assert not answers(f"http://127.0.0.1:{port}/")


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the home should be is an error that names it."""
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(ServiceError, match="EVERTRAIN_HOME"),
        being_up(tmp_path / "file", serves_prefect=True),
    ):
        pytest.fail("there is no home")


def test_a_home_has_one_up_that_others_find_while_it_lives(tmp_path: Path) -> None:
    """A second one is refused with the addresses of the first; what a dead one left is none."""
    with being_up(tmp_path, serves_prefect=True):
        with (
            pytest.raises(ServiceError, match=r"it is still starting.*evertrain down"),
            being_up(tmp_path, serves_prefect=True),
        ):
            pytest.fail("there are two")
        write_up(tmp_path, {"Prefect": "http://127.0.0.1:4200"}, serves_prefect=True)
        found = find_up(tmp_path)
        left = (tmp_path / FILE).read_text()
        with (
            pytest.raises(ServiceError, match=r"Prefect http://127\.0\.0\.1:4200"),
            being_up(tmp_path, serves_prefect=True),
        ):
            pytest.fail("there are two")

    assert found is not None
    assert found.serves_prefect
    assert find_up(tmp_path) is None
    (tmp_path / FILE).write_text(left.replace(f'"pid": {os.getpid()}', '"pid": 1'))
    assert find_up(tmp_path) is None


def test_a_command_waits_for_the_server_that_an_up_is_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts none beside it, and says in the end whom it waited for."""
    monkeypatch.setattr("flows.local_server.START_SECONDS", 0.3)
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})

    with (
        being_up(tmp_path, serves_prefect=True),
        pytest.raises(ServiceError, match=rf"`evertrain up` \(pid {os.getpid()}\)"),
        prefect_api(settings),
    ):
        pytest.fail("there is no server")
