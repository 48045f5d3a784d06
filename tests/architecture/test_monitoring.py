"""Alerts and the dashboard, judged by Prometheus' own tool and against what the service tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMETHEUS = Path("deployments/prometheus")
DASHBOARD = "deployments/grafana/inference.json"
# What other programs than ours tell Prometheus; with several workers the service doesn't tell of a process.
FOREIGN_METRICS = {"up", "process_resident_memory_bytes"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool isn't installed (Debian's package prometheus has it)"
)


def promtool(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], cwd=folder, check=False, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def alerts(repository: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((repository / PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


# ── Dockerfiles ──────────────────────────────────────────────────────────────────────────────────────────


@needs_promtool
def test_the_alerts_fire_when_they_should(repository: Path) -> None:
    """Prometheus' own tool takes the configuration and the rules, and plays each alert."""
    folder = repository / PROMETHEUS
    for words in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")):
        judged = promtool(*words, folder=folder)
        assert judged.returncode == 0, judged.stdout + judged.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("up == 0", "up == 1"),
        ("> 60", "> 6000"),
        ("for: 1m", "for: 10m"),
        (" > 0 unless ", " > 0 and "),
        ("> 0.05", "> 0.5"),
        ("- on (model, feature)", "+ on (model, feature)"),
    ],
)
def test_a_planted_fault_of_an_alert_is_caught(
    right: str, wrong: str, repository: Path, tmp_path: Path
) -> None:
    """An alert that fires for the wrong, too late or never fails its play."""
    folder = tmp_path / "prometheus"
    shutil.copytree(repository / PROMETHEUS, folder)
    rules = folder / "alerts.yml"
    text = rules.read_text("utf-8")
    assert right in text
    rules.write_text(text.replace(right, wrong), "utf-8")

    assert promtool("test", "rules", "alerts_test.yml", folder=folder).returncode == 1


def test_every_alert_is_played(repository: Path, alerts: list[dict[str, Any]]) -> None:
    """None is taken on trust: each is seen to fire in alerts_test.yml, and says what to do."""
    played = (repository / PROMETHEUS / "alerts_test.yml").read_text("utf-8")
    for alert in alerts:
        assert re.search(rf'alertname(: |="){alert["alert"]}\b', played), alert["alert"]
        assert set(alert["annotations"]) == {"summary", "description"}
        assert alert["labels"]["severity"] in ("page", "ticket")
    counted = re.search(
        r"^RULES = (\d+)$", (repository / "deployments/compose_check/probes.py").read_text(), re.M
    )
    assert counted
    assert int(counted[1]) == len(alerts)


def told_metrics() -> set[str]:
    """The names of all that the service tells Prometheus."""
    from serving.fleet import Fleet
    from serving.metrics import ServiceMetrics

    metrics = ServiceMetrics(Fleet())
    metrics.count("flights", 200, 0.001)
    told = re.findall(r"^# TYPE (\S+)|^(\w+)", metrics.render().decode(), re.M)
    return {name for pair in told for name in pair if name}


def test_alerts_speak_of_metrics_that_are_there(alerts: list[dict[str, Any]]) -> None:
    """What a rule asks for is told by the service as it is, spelled alike."""
    there = told_metrics()
    for alert in alerts:
        asked = set(re.findall(r"\b(?:evertrain_\w+|process_\w+|up\b)", alert["expr"]))
        assert asked, alert["alert"]
        assert asked <= there | FOREIGN_METRICS, alert["alert"]


@pytest.fixture(scope="module")
def panels(repository: Path) -> list[dict[str, Any]]:
    """The dashboard's panels that ask Prometheus something."""
    text = (repository / DASHBOARD).read_text("utf-8")
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


def test_the_dashboard_shows_metrics_that_are_there(panels: list[dict[str, Any]]) -> None:
    """What its panels ask for is told by the service as it is, spelled alike; each says what it shows."""
    told = told_metrics()
    for panel in panels:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            asked = set(re.findall(r"\b(?:evertrain|process)_\w+", target["expr"]))
            assert asked, panel["title"]
            assert asked <= told, panel["title"]


def test_the_dashboard_shows_what_the_alerts_watch(
    panels: list[dict[str, Any]], alerts: list[dict[str, Any]]
) -> None:
    """Whoever is woken by an alert finds its metrics on the dashboard."""
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    for alert in alerts:
        asked = set(re.findall(r"\bevertrain_\w+", alert["expr"]))
        assert all(name in shown for name in asked), alert["alert"]


def test_panels_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    """Grafana would push one of them down, and the page would look otherwise than it was drawn."""
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
