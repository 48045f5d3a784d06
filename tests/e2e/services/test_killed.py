from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psutil
import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.services,
    pytest.mark.fault,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("services"),
]

# The command whose server is killed names a setting to look at: of the server, or of one that needs it.
NAMED = {
    "postgres": {"MLFLOW_TRACKING_URI", "PREFECT_API_URL"},
    "s3": {"AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI"},
    "mlflow": {"MLFLOW_TRACKING_URI"},
    "prefect": {"PREFECT_API_URL"},
}
FIRST_DAY = date(2024, 1, 31)


class Shop:
    """A pipeline with a champion that is served; each test trains one of one day more."""

    def __init__(self, user: Any, finish_command: Any, await_true: Any) -> None:
        self.user = user
        self.version = 0
        self._day = FIRST_DAY
        self._finish = finish_command
        self._await = await_true

    def next_day(self) -> None:
        self._day += timedelta(days=1)

    def train(self) -> tuple[int, dict[str, Any]]:
        code, answer = self.user.type(f"train {self.user.pipeline} --as-of {self._day}")
        return code, answer

    def train_without(self, victim: Any) -> tuple[int, dict[str, Any]]:
        """Train, and kill *victim* once the rows are stored and before anything is registered."""
        before = set(self.user.services.keys("runs/"))
        train = self.user.begin(f"evertrain train {self.user.pipeline} --as-of {self._day} --json")
        self._await(lambda: set(self.user.services.keys("runs/")) != before or train.poll() is not None)
        train.send_signal(signal.SIGSTOP)
        done = set(self.user.services.keys("runs/")) - before
        assert done, self.user.said()
        assert not [key for key in done if "register" in key]
        victim.kill()
        train.send_signal(signal.SIGCONT)
        code, answer = self._finish(train)
        return code, answer

    def await_served(self) -> None:
        self._await(lambda: self.user.served_version() == self.version)

    def assert_whole(self) -> None:
        """Nothing is lost, nothing stuck: each version is once where it belongs, and nothing goes on."""
        name, services = self.user.pipeline, self.user.services
        assert self.user.type(f"audit verify {name}")[0] == 0
        entries = self.user.type(f"audit show {name}")[1]["entries"]
        for kind in ("registered", "promoted"):
            versions = [row["version"] for row in entries if row["kind"] == kind]
            assert versions == list(range(1, self.version + 1))
        assert services.registered_versions(name) == list(range(1, self.version + 1))
        under_way = [run for run in self.user.flow_runs() if run["state_type"] in ("RUNNING", "PENDING")]
        assert under_way == []
        # A claim that is left would be taken over, a run that isn't remembered make a version.
        code, again = self.train()
        assert (code, again["cached"], again["version"]) == (0, True, self.version)


@pytest.fixture(scope="module")
def shop(a_user: Any, services: Any, finish_command: Any, await_true: Any) -> Iterator[Shop]:
    """With its first champion, and the service."""
    shop = Shop(a_user("shop"), finish_command, await_true)
    assert shop.train()[0] == 0, shop.user.said()
    shop.version = 1
    with shop.user.running("evertrain serve --port 0", **services.environment(reads_only=True)):
        shop.await_served()
        yield shop
    assert shop.user.processes() == []


@pytest.mark.parametrize("name", NAMED)
def test_a_server_that_is_killed_costs_a_train_no_more_than_the_next_one(
    name: str, shop: Shop, services: Any
) -> None:
    """Exit 5 names the setting, the champion answers on, the next train makes one version (R7, X11)."""
    shop.next_day()
    try:
        code, answer = shop.train_without(services.servers[name])
        served = shop.user.served_version()
    finally:
        services.servers[name].start()
    again_code, again = shop.train()
    shop.version += 1

    assert code == 5, answer
    assert any(setting in answer["error"]["message"] for setting in NAMED[name])
    assert served == shop.version - 1
    assert (again_code, again["decision"], again["version"]) == (0, "promoted", shop.version), again
    shop.await_served()
    shop.assert_whole()


def test_a_train_does_not_need_the_service(shop: Shop, services: Any) -> None:
    """The service is killed during a train: that ends well, the next service has its champion (R8)."""
    shop.next_day()
    serving = psutil.Process(next(each.pid for each in shop.user.processes() if "serve" in each.cmdline()))

    code, answer = shop.train_without(serving)
    shop.version += 1

    assert (code, answer["version"]) == (0, shop.version), answer
    with shop.user.running("evertrain serve --port 0", **services.environment(reads_only=True)):
        shop.await_served()
    shop.assert_whole()


def test_runs_and_workers_that_are_killed(a_user: Any, services: Any, await_true: Any) -> None:
    """A run that is killed, or whose worker is, ends; the next goes on from there: one version (X1, X6)."""
    user = a_user("killed")
    assert user.begin("prefect work-pool create killed --type process").wait(900) == 0, user.said()
    assert user.begin("evertrain deploy --pool killed").wait(900) == 0, user.said()

    def begin_and_stop(**parameters: Any) -> tuple[str, psutil.Process]:
        before = services.keys("runs/")
        run = user.start_by_form("training", **parameters)
        await_true(lambda: services.keys("runs/") != before)
        process = psutil.Process(services.prefect(f"flow_runs/{run}")["labels"]["evertrain.pid"])
        process.suspend()
        return run, process

    def end_of(run: str) -> str:
        return str(await_true(lambda: services.find_end(run))["type"])

    first, second = {"as_of": "2024-01-31T00:00:00Z"}, {"as_of": "2024-02-01T00:00:00Z"}
    work = "prefect worker start --pool killed"
    with user.running(work) as worker:
        run, process = begin_and_stop(**first)
        process.kill()
        assert end_of(run) == "CRASHED", user.said()
        assert end_of(user.start_by_form("training", **first)) == "COMPLETED", user.said()
        run, process = begin_and_stop(**second)
        worker.kill()
        worker.wait()
    process.resume()
    # It goes on until it has something to log, which the worker would have read.
    assert end_of(run) in ("CRASHED", "COMPLETED"), user.said()
    with user.running(work):
        assert end_of(user.start_by_form("training", **second)) == "COMPLETED", user.said()

    await_true(lambda: user.processes() == [])
    assert services.registered_versions("killed") == [1, 2]
    assert user.type("audit verify killed")[0] == 0
