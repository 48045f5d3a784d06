"""An exported model answers as the service does: in Python, in a browser, and by the same column rules."""

from __future__ import annotations

import functools
import json
import math
import random
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from evertrain.columns import encode_inputs
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest
from evertrain.errors import BundleRefused, ConfigError, InvalidInput
from evertrain.exporting import export_bundle
from evertrain.packaging import package
from evertrain.records import Feature
from evertrain.settings import read_settings
from evertrain.storage import open_store
from evertrain.training import train
from serving.watcher import Watcher

ROWS = 10_000
AT_ONCE = 1_000
SIDE = "import json,sys; from predict import predict; json.dump(predict(json.load(sys.stdin)), sys.stdout)"
ORT_WEB = Path(__file__).parents[2] / ".bench" / "onnxruntime-web"
ORT_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)
FEATURES = (
    Feature(name="size", kind="numeric", type="float"),
    Feature(name="big", kind="numeric", type="integer", offset=20_000_000.0),
    Feature(name="wet?", kind="numeric", type="boolean"),
    Feature(name="Himmel", kind="categorical", type="string"),
    Feature(name="at", kind="datetime", type="timestamp"),
    Feature(name="day", kind="categorical", type="date"),
    Feature(name="moment", kind="categorical", type="timestamp"),
)
NODE_SIDE = """
import { encodeInputs } from "./columns.js";
import { readFileSync } from "node:fs";
const { features, cases } = JSON.parse(readFileSync(0, "utf-8"));
const spell = (value) => (typeof value === "string" ? value : Number.isNaN(value) ? null : value);
console.log(JSON.stringify(cases.map((columns) => {
  try {
    const inputs = encodeInputs(features, columns);
    const spelled = Object.entries(inputs).map(([name, values]) => [name, Array.from(values, spell)]);
    return Object.fromEntries(spelled);
  } catch (error) {
    return { field: error.field ?? String(error) };
  }
})));
"""


def made_rows(count: int, seed: int) -> dict[str, list]:
    """Rows of every kind of column, with gaps, as JSON values."""
    draw = random.Random(seed)
    start = datetime(2023, 1, 1)
    rows = [
        [
            draw.choice([None, draw.uniform(0, 100), draw.randint(0, 100)]),
            draw.choice(["blue", "grey", "rosé", None, "violet"]),
            draw.choice([True, False, None]),
            draw.choice([None, (start + timedelta(minutes=draw.randrange(10**6))).isoformat()]),
        ]
        for _ in range(count)
    ]
    names = ("size", "sky colour", "wet?", "at")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Trains an estimator on rows of every kind; gives the store, what was exported, and the folder."""
    folder = tmp_path_factory.mktemp("export")
    store = open_store(str(folder / "store"))
    columns = made_rows(600, seed=0)
    draw = random.Random(1)
    pairs = zip(columns["size"], columns["sky colour"], strict=True)
    columns["delay"] = [(size or 0) + 20 * (sky == "grey") + draw.gauss(0, 5) for size, sky in pairs]
    columns["late"] = ["Yes" if delay > 60 else "No" for delay in columns["delay"]]
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    (folder / "table.jsonl").write_text("\n".join(lines))

    @functools.cache
    def make(estimator, task="binary_classification", target="late"):
        kinds = {"numeric": ["size", "wet?"], "categorical": ["sky colour"], "datetime": ["at"]}
        source = {"type": "files", "uri": str(folder / "table.jsonl")}
        config = PipelineConfig.model_validate(
            {
                "name": "flights",
                "data": {"source": source, "target": target, "features": kinds},
                "training": {"estimator": estimator},
                "evaluation": {"task": task},
            }
        )
        ingested = ingest(config, store, as_of=None, now=datetime(2024, 1, 1, tzinfo=UTC))
        model = train(config, ingested, store, read_settings({"EVERTRAIN_STORE": store.where}))
        bundle = package(config, ingested, model, store, {"run_key": estimator})
        target_folder = folder / f"exported-{bundle.digest[:8]}"
        return store, export_bundle(store, "flights", 1, bundle.digest, target_folder), target_folder

    return make


@pytest.fixture
def from_service(asker, promote):
    """Asks the service's protocol for a bundle's answers to columns, a thousand rows at a time."""

    def ask(store, digest, columns):
        promote(store, name := f"p{uuid4().hex[:8]}", 1, digest)
        service = asker()
        Watcher(store, service.fleet, (name,)).look()
        labels, probabilities = [], []
        for start in range(0, ROWS, AT_ONCE):
            part = {name: values[start : start + AT_ONCE] for name, values in columns.items()}
            answer = service.post({"inputs": part}).json()
            labels += answer["predictions"]
            probabilities += answer.get("probabilities", [])
        return [labels, probabilities or None]

    return ask


@pytest.mark.parametrize(
    ("asked", "runtime"),
    [
        (("sklearn.linear_model.LogisticRegression",), "onnx"),
        (("sklearn.linear_model.Ridge", "regression", "delay"), "onnx"),
        (("sklearn.neighbors.KNeighborsClassifier",), "native"),
    ],
)
def test_the_python_example_answers_as_the_service_does(exported, from_service, tmp_path, asked, runtime):
    """10,000 rows get from predict.py, which can't see evertrain, the service's answers, to the last bit."""
    store, facts, folder = exported(*asked)
    columns = made_rows(ROWS, seed=2)

    blocked = "import sys; sys.modules['evertrain'] = None; "
    side = subprocess.run(
        [sys.executable, "-c", blocked + SIDE],
        input=json.dumps(columns),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
        check=False,
    )

    assert (side.returncode, side.stderr) == (0, "")
    assert json.loads(side.stdout) == from_service(store, facts.bundle, columns)
    assert facts.runtime == runtime
    assert sorted(facts.files) == sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    assert (folder / "browser").exists() == (runtime == "onnx")


def test_the_example_runs_as_the_readme_says(exported):
    """`python predict.py` answers the bundle's golden rows, a line each."""
    _, _, folder = exported("sklearn.linear_model.LogisticRegression")

    run = subprocess.run(
        [sys.executable, str(folder / "predict.py")], capture_output=True, text=True, timeout=120, check=True
    )

    golden = json.loads((folder / "golden.json").read_text())
    assert [line.split()[0] for line in run.stdout.splitlines()] == [
        ["No", "Yes"][code] for code in golden["codes"]
    ]


def made_cases() -> list[dict]:
    """Columns for FEATURES: whole ones, and for each column values that must be refused, or nearly."""
    draw = random.Random(3)
    odd = [1e-5, -1.5e-7, 1.25e-4, 0.1, 1e15 + 0.5, 1e16, 1e22, -0.0, 7.0, 3, True, False, "1", "", "ß🙂"]
    start = datetime(1969, 12, 31)
    times = [
        (start + timedelta(seconds=draw.randrange(10**9), microseconds=draw.randrange(10**6))) for _ in odd
    ]
    whole = {
        "size": [draw.uniform(-1e6, 1e6) for _ in odd[1:]] + [None],
        "big": [draw.randint(10**7, 10**8) for _ in odd[1:]] + [None],
        "wet?": [draw.choice([True, False, 0, 1, None]) for _ in odd],
        "Himmel": odd,
        "at": [f"{time.isoformat()}{draw.choice(['', 'Z', '+02:00', '-0930'])}" for time in times],
        "day": [time.date().isoformat() for time in times[1:]] + [None],
        "moment": [time.isoformat(" ") for time in times[1:]] + [None],
    }
    first = {name: values[:1] for name, values in whole.items()}
    faults = [
        ("size", "1"), ("size", 1e39), ("size", True), ("big", "x"), ("wet?", 2), ("wet?", "true"),
        ("Himmel", "\ud800"), ("Himmel", [1]), ("at", "2023-02-30"), ("at", "25:00"), ("at", 5),
        ("at", "2023-01-31T24:00"), ("day", "31.1.2023"), ("moment", "2023-01-31T05:60:00"),
    ]  # fmt: skip
    lacking = [{name: first[name] for name in first if name != left_out} for left_out in first]
    return [whole, first, *({**first, name: [value]} for name, value in faults), *lacking]


def test_the_column_rules_in_javascript_are_those_in_python(exported):
    """columns.js makes of the same columns the same inputs, and refuses the same, as the code that serves."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node isn't installed")
    _, _, folder = exported("sklearn.linear_model.LogisticRegression")
    cases = made_cases()

    asked = {"features": [feature.model_dump() for feature in FEATURES], "cases": cases}
    run = subprocess.run(
        [node, "--input-type=module", "-e", NODE_SIDE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=folder / "browser",
        timeout=120,
        check=True,
    )

    found = json.loads(run.stdout)
    assert len(found) == len(cases)
    for case, answer in zip(cases, found, strict=True):
        assert answer == in_python(case), case


def in_python(columns: dict) -> dict:
    """What the column layer makes of *columns*, as JSON can say it."""
    try:
        inputs = encode_inputs(FEATURES, columns)
    except InvalidInput as error:
        return {"field": error.field}
    return {
        name: [None if isinstance(value, float) and math.isnan(value) else value for value in values.tolist()]
        for name, values in inputs.items()
    }


class Page(SimpleHTTPRequestHandler):
    """Serves the exported folder, and writes no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@pytest.fixture
def address(exported):
    """The exported folder as the README says to serve it, with onnxruntime-web beside its page."""
    _, _, folder = exported("sklearn.linear_model.LogisticRegression")
    missing = [name for name in ORT_FILES if not (ORT_WEB / name).exists()]
    if missing:
        pytest.skip(f"{missing[0]} of npm's onnxruntime-web isn't in {ORT_WEB.name} below .bench")
    for name in ORT_FILES:
        shutil.copy(ORT_WEB / name, folder / "browser" / name)
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/browser/"
        finally:
            server.shutdown()
            thread.join(20)


@pytest.mark.slow
@pytest.mark.e2e
def test_the_browser_answers_as_the_service_does(exported, from_service, address):
    """In a real Chromium the page answers its example rows, and 10,000 more as the service does."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    store, facts, _ = exported("sklearn.linear_model.LogisticRegression")
    columns = made_rows(ROWS, seed=2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("Ready.").wait_for()
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("probabilities").wait_for()
        found = page.evaluate(
            """async (columns) => {
              const { openModel } = await import(new URL("predict.js", location.href));
              return (await openModel(window.ort, "..")).predict(columns);
            }""",
            columns,
        )
        browser.close()

    labels, probabilities = from_service(store, facts.bundle, columns)
    assert found["labels"] == labels
    assert np.abs(np.array(found["probabilities"]) - np.array(probabilities)).max() <= 1e-6


def test_a_folder_that_is_not_empty_is_left_alone(exported, tmp_path):
    """An export into a folder with a file in it is refused and nothing written; an empty one is filled."""
    store, facts, _ = exported("sklearn.linear_model.LogisticRegression")
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match="isn't empty"):
        export_bundle(store, "flights", 1, facts.bundle, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ConfigError, match="is a file"):
        export_bundle(store, "flights", 1, facts.bundle, tmp_path / "mine.txt")

    (empty := tmp_path / "empty").mkdir()
    export_bundle(store, "flights", 1, facts.bundle, empty)
    assert (empty / "predict.py").exists()


def test_a_bundle_with_other_bytes_is_not_exported(exported, tmp_path):
    """What was changed in the store isn't exported, and no half folder stays."""
    store, facts, _ = exported("sklearn.linear_model.LogisticRegression")
    key = f"bundles/{facts.bundle}/model.onnx"
    kept = store.get(key)
    store.put(key, kept + b"x")
    try:
        with pytest.raises(BundleRefused, match="isn't as it was written"):
            export_bundle(store, "flights", 1, facts.bundle, tmp_path / "out")
    finally:
        store.put(key, kept)

    assert list(tmp_path.iterdir()) == []
