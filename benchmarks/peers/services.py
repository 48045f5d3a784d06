"""Owns who takes part in the serving benchmark: how each exports, starts, is asked, and spells its labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.http_load import Question, spell_json
from measuring.processes import ROOT
from peers.flights_steps import CATEGORICAL, NUMERIC, read_rows, split_rows

HERE = Path(__file__).parent
MANY = 1_000
APPS = HERE / "serving_apps"
FEATURES = [*NUMERIC, *CATEGORICAL]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Service:
    """One side of the comparison.

    Attributes:
        key: Names its folder.
        name: How the tables call it.
        command: What its user types, by the interpreter, its folder and a port.
        ask: The request for some rows.
        labels: The labels out of an answer; None for one that scores nothing.
        export: How the model is saved: an argument of export_flights.py, and the place in its folder.
        environment: Names its requirements; None: evertrain's own environment.
        variables: By its folder and a port.
        settle: Writes what else it reads.
    """

    key: str
    name: str
    command: Callable[[Path, Path, int], tuple[str, ...]]
    ask: Callable[[Rows], Question]
    labels: Callable[[bytes], list[bool]] | None
    export: tuple[str, str] | None = None
    environment: str | None = None
    variables: Callable[[Path, int], Mapping[str, str]] = lambda _folder, _port: {}
    settle: Callable[[Path, int], None] = lambda _folder, _port: None


def _predictions(body: bytes) -> list[bool]:
    return [bool(label) for label in json.loads(body)["predictions"]]


def _records(rows: Rows) -> Question:
    return Question("/invocations", spell_json({"dataframe_records": rows}))


def _bare_rows(rows: Rows) -> Question:
    return Question("/predict", spell_json({"rows": rows}))


def make_rows() -> tuple[dict[str, list[Any]], Rows]:
    """The columns of the rows to learn from, and 1,000 real rows to ask with: the flights after them."""
    data = str(ROOT / "data" / "flights")
    learn, judge = split_rows(read_rows(data))
    columns = {name: learn[name].tolist() for name in (*NUMERIC, *CATEGORICAL)}
    asked = judge.sort_values("time_hour").head(MANY)[[*NUMERIC, *CATEGORICAL]]
    rows = json.loads(asked.to_json(orient="records"))
    return {**columns, "late": (learn.arr_delay > 15).tolist()}, rows


def ask_v2(rows: Rows) -> Question:
    """The rows as tensors in JSON, one a feature."""
    return Question(
        "/v2/models/flights/infer", spell_json({"inputs": [_tensor(name, rows) for name in FEATURES]})
    )


def ask_v2_as_frame(rows: Rows) -> Question:
    """The same for MLServer, which is told that its model wants a frame."""
    inputs = [_tensor(name, rows) for name in FEATURES]
    for tensor in inputs:
        if tensor["datatype"] == "BYTES":
            tensor["parameters"] = {"content_type": "str"}
    body = {"parameters": {"content_type": "pd"}, "inputs": inputs}
    return Question("/v2/models/flights/infer", spell_json(body))


def ask_v2_binary(rows: Rows) -> Question:
    """The rows as binary tensors."""
    tensors, blobs = [], []
    for name in FEATURES:
        tensor = _tensor(name, rows)
        blob = _as_bytes(tensor["datatype"], tensor.pop("data"))
        tensors.append({**tensor, "parameters": {"binary_data_size": len(blob)}})
        blobs.append(blob)
    outputs = [
        {"name": name, "parameters": {"binary_data": True}} for name in ("prediction", "probabilities")
    ]
    head = spell_json({"inputs": tensors, "outputs": outputs})
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Question("/v2/models/flights/infer", head + b"".join(blobs), headers)


def _tensor(name: str, rows: Rows) -> dict[str, Any]:
    data = [row[name] for row in rows]
    datatype = "BYTES" if name in CATEGORICAL else "FP64" if name == "distance" else "INT64"
    return {"name": name, "shape": [len(rows)], "datatype": datatype, "data": data}


def _as_bytes(datatype: str, data: list[Any]) -> bytes:
    import numpy as np

    if datatype != "BYTES":
        return np.array(data, dtype="<f8" if datatype == "FP64" else "<i8").tobytes()
    texts = [text.encode() for text in data]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _mlserver_labels(body: bytes) -> list[bool]:
    return [bool(label) for label in json.loads(body)["outputs"][0]["data"]]


def _settle_mlserver(folder: Path, port: int) -> None:
    settings = {
        "debug": False,
        "parallel_workers": 0,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
    }
    model = {
        "name": "flights",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "v1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))


def _uvicorn(app: str) -> Callable[[Path, Path, int], tuple[str, ...]]:
    def command(python: Path, _: Path, port: int) -> tuple[str, ...]:
        words = ("--app-dir", str(APPS), "--port", str(port), "--no-access-log", "--log-level", "error")
        return (str(python), "-m", "uvicorn", app, *words)

    return command


OURS = Service(
    "evertrain",
    "evertrain",
    lambda python, _, port: (str(python), "-m", "evertrain.cli", "serve", "flights", "--port", str(port)),
    _records,
    _predictions,
    variables=lambda folder, _: {"EVERTRAIN_HOME": str(folder / "home")},
)
MLFLOW = Service(
    "mlflow",
    "mlflow models serve, one worker",
    lambda python, _, port: (
        str(python.with_name("mlflow")),
        *("models", "serve", "-m", "model", "-w", "1", "--env-manager", "local", "-p", str(port)),
    ),
    _records,
    _predictions,
    ("mlflow", "model"),
)
MLSERVER = Service(
    "mlserver",
    "MLServer, scikit-learn runtime, in process",
    lambda python, folder, _: (str(python.with_name("mlserver")), "start", str(folder)),
    ask_v2_as_frame,
    _mlserver_labels,
    ("joblib", "model.joblib"),
    environment="mlserver",
    settle=_settle_mlserver,
)
BENTOML = Service(
    "bentoml",
    "BentoML, one worker",
    lambda python, _, port: (
        str(python.with_name("bentoml")),
        *("serve", "bento_flights:Flights", "--working-dir", str(APPS), "-p", str(port)),
    ),
    _bare_rows,
    _predictions,
    ("bentoml", "-"),
    environment="bentoml",
    variables=lambda folder, _: {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"},
)
TUTORIAL = Service(
    "tutorial",
    "FastAPI, pydantic, pandas and joblib, as tutorials have it",
    _uvicorn("tutorial:app"),
    _bare_rows,
    _predictions,
    ("joblib", "model.joblib"),
    variables=lambda folder, _: {"BENCH_MODEL": str(folder / "model.joblib")},
)
FASTAPI = Service(
    "fastapi", "FastAPI: JSON parsed, a constant", _uvicorn("constant_fastapi:app"), _records, None
)
ASGI = Service("asgi", "bare ASGI: a constant", _uvicorn("constant_asgi:app"), _records, None)

FLOORS = (FASTAPI, ASGI)
PEERS = (MLFLOW, MLSERVER, BENTOML, TUTORIAL)
