"""Owns who runs in the training benchmark: for each, what makes its home and what its user types."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measuring.processes import ROOT, Command
from peers.scheduled import run_scheduled

HERE = Path(__file__).parent
DATA = ROOT / "data" / "flights"
TRAIN = ("-m", "evertrain.cli", "train", "configs/flights.yaml", "--as-of", "2013-04-01", "--json")

# What each one's user types: by the interpreter, a home of its own, and Prefect's address, or "".
Typed = Callable[[Path, Path, str], Command]


@dataclass(frozen=True)
class Contestant:
    """One side of the comparison.

    ``again`` names its second run in the same home, where there is one; ``files`` are copied into its home;
    ``setup`` are commands run there once, before anything is measured; ``measured`` takes the time itself,
    where that isn't one command's.
    """

    key: str
    name: str
    typed: Typed
    again: str | None = None
    environment: str | None = None
    needs_server: bool = False
    files: Path | None = None
    setup: tuple[tuple[str, ...], ...] = ()
    measured: Callable[[Path, Path, str], float] | None = None
    # How far its area under the curve may lie from the straight script's.
    tolerance: float = 1e-9


def type_straight(python: Path, home: Path, _: str) -> Command:
    """Run the straight script."""
    return Command((str(python), str(HERE / "straight_flights.py"), str(DATA), str(home)))


def type_evertrain(python: Path, home: Path, server: str) -> Command:
    """Run ``evertrain train``."""
    # CI: the Prefect server that it starts ends with it, so that the next command finds nothing up.
    where = {"PREFECT_API_URL": server} if server else {"CI": "true"}
    return Command((str(python), *TRAIN), {"EVERTRAIN_HOME": str(home), **where})


def type_kedro(python: Path, home: Path, _: str) -> Command:
    """Run ``kedro run`` in a copy of the project."""
    variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db", "PYTHONPATH": str(HERE)}
    words = (str(python.with_name("kedro")), "run", "--params", f"data={DATA}")
    return Command(words, variables, home)


def type_flyte(python: Path, home: Path, _: str) -> Command:
    """Run ``pyflyte run``, its cache in the home."""
    script = str(HERE / "flyte_flights.py")
    words = (str(python.with_name("pyflyte")), "run", script, "flights", "--data", str(DATA))
    return Command((*words, "--home", str(home)), {"HOME": str(home), "PYTHONPATH": str(HERE)}, home)


def zenml_variables(home: Path) -> dict[str, str]:
    """Say where ZenML's own things lie."""
    return {"HOME": str(home), "ZENML_CONFIG_PATH": str(home / "config"), "PYTHONPATH": str(HERE)}


def type_zenml(python: Path, home: Path, _: str) -> Command:
    """Run the ZenML pipeline's script."""
    return Command((str(python), str(HERE / "zenml_flights.py"), str(DATA)), zenml_variables(home), home)


def type_prefect(python: Path, home: Path, server: str) -> Command:
    """Run the naive flow's script, with a server or with the ephemeral one that Prefect starts itself."""
    words = (str(python), str(HERE / "prefect_flights.py"), str(DATA), str(home))
    where = {"PREFECT_API_URL": server} if server else {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"}
    return Command(words, {"PREFECT_HOME": str(home / "prefect"), **where})


STRAIGHT = Contestant("straight", "straight script: Great Expectations, scikit-learn, MLflow", type_straight)
SERVED = Contestant(
    "evertrain-served", "evertrain, a Prefect server up", type_evertrain, needs_server=True, tolerance=2e-3
)
ALONE = Contestant(
    "evertrain",
    "evertrain, nothing up",
    type_evertrain,
    again="evertrain again, nothing changed",
    tolerance=2e-3,
)
WARM = Contestant(
    "evertrain-warm",
    "evertrain, a scheduled run, its runner warm",
    type_evertrain,
    needs_server=True,
    measured=run_scheduled,
    tolerance=2e-3,
)
KEDRO = Contestant(
    "kedro", "Kedro with kedro-mlflow", type_kedro, environment="kedro", files=HERE / "kedro_flights"
)
FLYTE = Contestant("flyte", "Flyte, local", type_flyte, again="Flyte again, all cached", environment="flyte")
ZENML = Contestant(
    "zenml",
    "ZenML, local stack with MLflow",
    type_zenml,
    again="ZenML again, all cached",
    environment="zenml",
    setup=(
        ("experiment-tracker", "register", "mlflow", "--flavor=mlflow", "--tracking_uri=sqlite:///mlflow.db"),
        ("stack", "register", "local_mlflow", "-o", "default", "-a", "default", "-e", "mlflow", "--set"),
    ),
)
PREFECT_SERVED = Contestant(
    "prefect-served", "naive Prefect flow, a server up", type_prefect, needs_server=True
)
PREFECT = Contestant("prefect", "naive Prefect flow, its ephemeral server", type_prefect)

OURS = (STRAIGHT, SERVED, ALONE, WARM)
PEERS = (KEDRO, FLYTE, ZENML, PREFECT_SERVED, PREFECT)


def read_work(home: Path) -> tuple[int, list[float]]:
    """Read from *home*'s MLflow how many model versions are registered, and every area under the curve."""
    with sqlite3.connect(home / "mlflow.db") as database:
        (versions,) = database.execute("select count(*) from model_versions").fetchone()
        found = database.execute("select value from metrics where key = 'roc_auc'").fetchall()
    database.close()
    return versions, [value for (value,) in found]
