from __future__ import annotations

import pytest

from evertrain.settings import read_settings
from flows.prefect_environment import prefect_environment, server_environment
from flows.server.use import spell_command


def test_the_embedded_prefect_never_touches_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its home is evertrain's even where the user has one; a server of the user's own keeps it."""
    monkeypatch.setenv("PREFECT_HOME", "/srv/user/.prefect")

    embedded = prefect_environment(read_settings({"EVERTRAIN_HOME": "/srv"}))
    own = prefect_environment(read_settings({"EVERTRAIN_HOME": "/srv", "PREFECT_API_URL": "http://p/api"}))

    assert embedded["PREFECT_HOME"] == "/srv/prefect"
    assert "PREFECT_HOME" not in own
    assert embedded["DO_NOT_TRACK"] == "1"


def test_what_the_user_chose_to_see_of_prefect_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The silence is a default, not a rule; so is where its pages look for their API."""
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")
    monkeypatch.setenv("PREFECT_UI_API_URL", "https://tunnel.example/api")

    found = server_environment(read_settings({}), 4300)

    assert found["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "INFO"
    assert found["PREFECT_UI_API_URL"] == "https://tunnel.example/api"
    assert found["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4300,http://localhost:4300"


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (["/usr/bin/python3.11", "-m", "evertrain.cli", "train", "a.yaml"], "evertrain train a.yaml"),
        (["/v/bin/python", "/v/bin/evertrain", "train", "a.yaml"], "evertrain train a.yaml"),
        (["python"], "a process"),
        (["/opt/tool", "run"], "tool run"),
    ],
)
def test_a_user_is_named_as_its_owner_typed_it(words: list[str], spelled: str) -> None:
    """The interpreter and the folders are left out."""
    assert spell_command(words) == spelled
