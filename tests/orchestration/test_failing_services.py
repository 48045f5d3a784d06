from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evertrain.errors import ServiceError, TrainingError
from evertrain.settings import read_settings
from flows.launch import TrainingFlow
from flows.prefect_faults import prefect_faults_told

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]


def test_a_fit_that_takes_too_long_is_ended(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """`training.timeout` ends the fit, and the error names the option to raise."""
    path = write_pipeline(estimator="sklearn.ensemble.GradientBoostingClassifier")
    slow = ["training.params={n_estimators: 1000000}", "training.timeout=1s"]

    with pytest.raises(TrainingError, match=r"wasn't fitted within 1s; raise training\.timeout"):
        training(str(path), overrides=slow)


def test_a_prefect_server_that_does_not_answer_is_a_service_s_fault(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """The user's own server is named, without its password, and the way out."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    nowhere = "http://me:secret@127.0.0.1:9/api"
    settings = read_settings({"EVERTRAIN_HOME": str(home), "PREFECT_API_URL": nowhere})
    path = write_pipeline()

    with (
        pytest.raises(ServiceError, match=r"at http://127\.0\.0\.1:9/api can't be used") as raised,
        temporary_settings({PREFECT_API_URL: nowhere}),
        prefect_faults_told(settings),
    ):
        training(str(path))

    assert "unset it" in raised.value.message
    assert "secret" not in raised.value.message


def test_an_embedded_server_that_fails_is_told_with_the_room_on_its_disk(home: Path) -> None:
    """A full disk makes Prefect's server answer 500 and leaves no log: the room left says why."""
    from httpx import HTTPStatusError, Request, Response

    settings = read_settings({"EVERTRAIN_HOME": str(home)})
    settings.prefect_home.mkdir()
    request = Request("POST", "http://127.0.0.1:1/api/logs")

    with (
        pytest.raises(ServiceError, match=r"Server error '500'\. .* MB of disk left\. .*server\.log"),
        prefect_faults_told(settings),
    ):
        raise HTTPStatusError("Server error '500'", request=request, response=Response(500))


def test_a_server_whose_database_is_gone_is_told_from_one_that_is_not_there(home: Path) -> None:
    """A 500 of the user's own server: its address is right, its database is what to look at."""
    from httpx import Request, Response

    settings = read_settings({"EVERTRAIN_HOME": str(home), "PREFECT_API_URL": "http://127.0.0.1:9/api"})
    answer = Response(500, request=Request("POST", "http://127.0.0.1:9/api/flow_runs"))

    with (
        pytest.raises(ServiceError, match=r"PREFECT_API_URL is right, .* its database runs") as raised,
        prefect_faults_told(settings),
    ):
        answer.raise_for_status()

    assert "For more information" not in raised.value.message


@pytest.mark.parametrize(
    ("status", "variables", "advice"),
    [
        (401, {}, "asks who you are: set PREFECT_API_KEY "),
        (401, {"PREFECT_API_KEY": "made-up"}, "doesn't know what PREFECT_API_KEY holds: set "),
        (401, {"PREFECT_API_AUTH_STRING": "ann:made-up"}, "know what PREFECT_API_AUTH_STRING holds: set "),
        (403, {"PREFECT_API_KEY": "made-up"}, "use one that may write there, and see that PREFECT_API_URL "),
    ],
    ids=["no key", "a wrong key", "a wrong password", "a key without the right"],
)
def test_a_server_that_refuses_the_key_is_told_with_what_holds_it(
    home: Path, status: int, variables: dict[str, str], advice: str
) -> None:
    """401 and 403 of a Prefect server name the variable to set, and not what it holds."""
    from httpx import Request, Response
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, temporary_settings

    settings = read_settings({"EVERTRAIN_HOME": str(home), "PREFECT_API_URL": "http://127.0.0.1:9/api"})
    answer = Response(status, request=Request("GET", "http://127.0.0.1:9/api/csrf-token"))
    known = {"PREFECT_API_KEY": PREFECT_API_KEY, "PREFECT_API_AUTH_STRING": PREFECT_API_AUTH_STRING}

    with (
        pytest.raises(
            ServiceError, match=rf"127\.0\.0\.1:9/api can't be used: .*{status}.*{advice}"
        ) as raised,
        temporary_settings({known[name]: value for name, value in variables.items()}),
        prefect_faults_told(settings),
    ):
        answer.raise_for_status()

    assert "made-up" not in raised.value.message
