"""A drift check of what the service answered, the whole way: requests, feedback, shipping, a check."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from evertrain.config.files import load_config
from evertrain.pipelines import open_pipeline
from evertrain.settings import read_settings
from flows.launch import TrainingFlow
from serving.app import create_app
from serving.fleet import Fleet
from serving.prediction_log.recorder import PredictionLog
from serving.prediction_log.shipper import ship
from serving.watcher import Watcher

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Run = Callable[..., int]

DAYS, CHANGE_DAY = 60, 42
PIPELINE = """\
name: loans
data:
  source: {type: files, uri: loans.csv}
  timestamp: day
  target: default
  entity: [loan]
  features: {numeric: [income], categorical: [purpose]}
  window: {train: 20d, holdout: 10d}
labels:
  source: {type: files, uri: told.csv}
  join: prediction_id
  column: outcome
  arrived_at: told
training: {estimator: sklearn.gaussian_process.GaussianProcessClassifier}
evaluation: {task: binary_classification, metrics: [roc_auc, log_loss], slices: [purpose]}
drift:
  current: {from: predictions, window: 5d, min_rows: 300}
  performance: {metric: roc_auc, max_drop: 0.05}
  regret: {metric: roc_auc, min_gain: 0.01}
  retrain_on: [data, performance, regret]
"""


def draw_loans(
    draw: np.random.Generator, rows: int, *, changed: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """What loans look like and what becomes of them; later, other people ask, and rich ones default."""
    income = draw.normal(50, 15, rows) + (20 if changed else 0)
    purpose = draw.choice(["car", "home", "trip"], rows)
    score = (income - 65 if changed else 45 - income) / 10 + (purpose == "trip") + draw.normal(0, 1, rows)
    asked = [{"income": round(i, 2), "purpose": str(p)} for i, p in zip(income, purpose, strict=True)]
    return asked, ["Yes" if value > 0 else "No" for value in score]


def write_source(path: Path, today: datetime) -> None:
    draw = np.random.default_rng(3)
    lines = ["loan,day,income,purpose,default"]
    for day in range(DAYS):
        rows, labels = draw_loans(draw, 60, changed=day >= CHANGE_DAY)
        moment = f"{today - timedelta(days=DAYS - day):%Y-%m-%dT%H:%M:%SZ}"
        lines += [
            f"L{day}-{n},{moment},{row['income']},{row['purpose']},{label}"
            for n, (row, label) in enumerate(zip(rows, labels, strict=True))
        ]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def loans(
    tmp_path: Path, training: TrainingFlow, empty_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Sixty days of loans until now, and a champion from before they changed."""
    (tmp_path / "home").mkdir()
    shutil.copy(empty_registry, tmp_path / "home" / "mlflow.db")
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    today = datetime.now(UTC)
    write_source(tmp_path / "loans.csv", today)
    (tmp_path / "loans.yaml").write_text(PIPELINE)
    (tmp_path / "told.csv").write_text("prediction_id,outcome,told\nnobody/0,No,2020-01-01\n")
    training("loans.yaml", as_of=f"{today - timedelta(days=DAYS - CHANGE_DAY):%Y-%m-%dT%H:%M:%S}")
    return tmp_path / "loans.yaml"


def serve_and_tell(path: Path, folder: Path) -> None:
    """Ask the service for 600 loans, tell it what became of 400, write down 100 more; ship what it kept."""
    settings = read_settings()
    pipeline = open_pipeline(load_config(path, settings), settings)
    asked, outcomes = draw_loans(np.random.default_rng(4), 600, changed=True)
    fleet = Fleet()
    Watcher(pipeline.store, fleet).look()
    with PredictionLog(folder) as log:
        app = create_app(fleet, recorder=log)
        for batch in range(3):
            rows = slice(200 * batch, 200 * (batch + 1))
            asyncio.run(ask(app, "invocations", {"dataframe_records": asked[rows]}, f"r{batch}"))
        told = [(f"r{n // 200}/{n % 200}", label) for n, label in enumerate(outcomes[:500])]
        labels = [{"prediction_id": name, "label": label} for name, label in told[:400]]
        asyncio.run(ask(app, "feedback", {"labels": labels}, "f"))
    lines = [f"{name},{label},{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" for name, label in told[400:]]
    Path("told.csv").write_text("\n".join(["prediction_id,outcome,told", *lines]) + "\n")
    assert ship(folder, pipeline.store) == 2


async def ask(app: Any, route: str, body: dict[str, Any], request_id: str) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.post(
            f"/models/loans/{route}", json=body, headers={"x-evertrain-request-id": request_id}
        )
    assert answer.status_code == 200, answer.text


def test_the_services_own_answers_are_checked_and_judged_by_what_came_of_them(
    loans: Path, evertrain: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Drift of the asked rows, realised metrics, performance and regret come from log, feedback and files."""
    serve_and_tell(loans, tmp_path / "log")
    capfd.readouterr()

    code = evertrain("drift", str(loans), "--json")

    said = json.loads(capfd.readouterr().out)
    assert (code, said["triggers"]) == (0, ["data", "performance", "regret"])
    assert said["notes"] == []
    assert said["rows"]["current"] == 600
    assert {column["name"] for column in said["columns"] if column["drifted"]} == {"income"}
    total = said["realised"]["total"]
    assert (total["rows"], total["labelled"], round(total["coverage"], 3)) == (600, 500, 0.833)
    (version,), (arm,) = said["realised"]["versions"], said["realised"]["arms"]
    assert (version["name"], arm["name"]) == ("1", "stable")
    realised = version["metrics"]["roc_auc"]
    assert realised["low"] < realised["value"] < realised["high"] < 0.5
    assert {part["name"] for part in said["realised"]["slices"]} == {"car", "home", "trip"}
    assert said["performance"]["value"] == realised["value"]
    assert said["performance"]["rows"] == said["regret"]["rows"] == 500
    # The champion, asked again, answers what it answered.
    assert said["regret"]["champion"] == pytest.approx(realised["value"])
    assert said["regret"]["low"] > 0.1
    assert (said["retrain"], said["train"]["decision"]) == ("started", "promoted")
    page = Path(said["report"]).read_text()
    assert "What came of the answers" in page
    assert "purpose = trip" in page
