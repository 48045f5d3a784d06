from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.errors import ConfigError
from evertrain.settings import read_settings


def test_nothing_set_gives_the_contract_s_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything lies in `.evertrain` of the current folder, embedded."""
    monkeypatch.chdir(tmp_path)

    settings = read_settings({})

    assert settings.home == tmp_path / ".evertrain"
    assert settings.store == str(tmp_path / ".evertrain" / "store")
    assert (settings.mlflow_uri, settings.prefect_api_url) == (None, None)
    assert settings.allowed_packages == ("sklearn", "lightgbm", "xgboost")
    assert (settings.allow_python_sources, settings.port) == (False, 8080)


def test_what_is_set_is_taken() -> None:
    """Each variable of the contract is read; folders become absolute, addresses stay."""
    settings = read_settings(
        {
            "EVERTRAIN_HOME": "/srv/home",
            "EVERTRAIN_STORE": "s3://bucket/prefix",
            "EVERTRAIN_ALLOWED_PACKAGES": "sklearn, mine",
            "EVERTRAIN_ALLOW_PYTHON_SOURCES": "1",
            "EVERTRAIN_API_KEYS_FILE": "/srv/keys",
            "EVERTRAIN_ACTOR": "ci",
            "EVERTRAIN_MLFLOW_PAGES": "http://localhost:5300",
            "PORT": "9000",
        }
    )

    assert settings.store == "s3://bucket/prefix"
    assert settings.allowed_packages == ("sklearn", "mine")
    assert settings.allow_python_sources
    assert settings.api_keys_file == Path("/srv/keys")
    assert (settings.actor, settings.port) == ("ci", 9000)
    assert settings.mlflow_pages == "http://localhost:5300"
    assert settings.prefect_home == Path("/srv/home/prefect")


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "８０"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    """The variable is named, with what it may hold."""
    with pytest.raises(ConfigError, match="PORT"):
        read_settings({"PORT": text})


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without a password entry the actor is still somebody."""

    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)

    assert read_settings({}).actor == "unknown"
