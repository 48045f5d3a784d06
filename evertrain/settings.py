"""Owns what the environment decides (homes, addresses, allowances); reads it once, changes nothing."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from evertrain.errors import ConfigError

DEFAULT_PACKAGES = ("sklearn", "lightgbm", "xgboost")


@dataclass(frozen=True)
class Settings:
    """Where evertrain keeps things on this machine, and what it is allowed to do."""

    home: Path
    store: str
    mlflow_uri: str | None = None
    mlflow_pages: str | None = None
    prefect_api_url: str | None = None
    allow_python_sources: bool = False
    allowed_packages: tuple[str, ...] = DEFAULT_PACKAGES
    api_keys_file: Path | None = None
    actor: str = "unknown"
    port: int = 8080
    max_body_bytes: int = 1 << 20
    max_rows: int = 1_000
    max_log_bytes: int = 1 << 30
    step_summary: Path | None = None
    step_output: Path | None = None

    @property
    def mlflow_database(self) -> Path:
        """The embedded MLflow's SQLite file."""
        return self.home / "mlflow.db"

    @property
    def prefect_home(self) -> Path:
        """The embedded Prefect's own folder: never the user's ``~/.prefect``."""
        return self.home / "prefect"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of contract §2 from *environment* (default: the process's own).

    Raises:
        ConfigError: A value can't be used; the message names the variable.
    """
    env = dict(os.environ if environment is None else environment)
    home = Path(env.get("EVERTRAIN_HOME") or ".evertrain").absolute()
    return Settings(
        home=home,
        store=_store_of(env, home),
        mlflow_uri=env.get("MLFLOW_TRACKING_URI") or None,
        mlflow_pages=env.get("EVERTRAIN_MLFLOW_PAGES") or None,
        prefect_api_url=env.get("PREFECT_API_URL") or None,
        allow_python_sources=env.get("EVERTRAIN_ALLOW_PYTHON_SOURCES") == "1",
        allowed_packages=_packages_of(env),
        api_keys_file=_path_of(env, "EVERTRAIN_API_KEYS_FILE"),
        actor=env.get("EVERTRAIN_ACTOR") or _login_name(),
        port=_port_of(env),
        max_body_bytes=_count_of(env, "EVERTRAIN_MAX_BODY_BYTES", 1 << 20),
        max_rows=_count_of(env, "EVERTRAIN_MAX_ROWS", 1_000),
        max_log_bytes=_count_of(env, "EVERTRAIN_MAX_LOG_BYTES", 1 << 30),
        step_summary=_path_of(env, "GITHUB_STEP_SUMMARY"),
        step_output=_path_of(env, "GITHUB_OUTPUT"),
    )


def dump_settings(settings: Settings) -> dict[str, Any]:
    """Spell the settings as JSON for a child process; addresses may bear credentials."""
    spelled: dict[str, Any] = TypeAdapter(Settings).dump_python(settings, mode="json")
    return spelled


def load_settings(spelled: Mapping[str, Any]) -> Settings:
    """Undo ``dump_settings``."""
    return TypeAdapter(Settings).validate_python(spelled)


def _store_of(env: Mapping[str, str], home: Path) -> str:
    store = env.get("EVERTRAIN_STORE")
    if not store:
        return str(home / "store")
    return store if "://" in store else str(Path(store).absolute())


def _packages_of(env: Mapping[str, str]) -> tuple[str, ...]:
    text = env.get("EVERTRAIN_ALLOWED_PACKAGES")
    if text is None:
        return DEFAULT_PACKAGES
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _path_of(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]).absolute() if env.get(name) else None


def _port_of(env: Mapping[str, str]) -> int:
    text = env.get("PORT") or "8080"
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"PORT is {text!r}; expected a whole number from 1 to 65535.", variable="PORT")
    return int(text)


def _count_of(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigError(f"{name} is {text!r}; expected a whole number from 1.", variable=name)
    return int(text)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
