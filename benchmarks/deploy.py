"""Owns the figures of deploying many pipelines: first, unchanged, after one change, beside `prefect deploy`.

``python benchmarks/deploy.py [PIPELINES]`` writes ``benchmarks/results/deploy.json`` and the README's table.
Each side is a whole process against a real, empty Prefect server (SQLite) on this machine.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring.processes import Command, keep, run, tell_circumstances
from measuring.tables import spell_table, write_section

from evertrain.settings import read_settings
from flows.local_server import prefect_api

BIN = Path(sys.executable).parent
PIPELINE = """\
name: pipeline-{number}
owner: team-{number}@example.org
data: {{source: {{type: files, uri: "data/{number}.csv"}}, target: y}}
training: {{estimator: sklearn.linear_model.LogisticRegression}}
evaluation: {{task: binary_classification}}
drift: {{schedule: "0 * * * *"}}
schedule: {{train: "0 3 * * 1", timezone: Europe/Berlin}}
"""
PEER_ENTRY = """\
  - name: pipeline-{number}
    entrypoint: flows.{module}.{module}_flow
    parameters: {{config: configs/pipeline-{number}.yaml}}
    concurrency_limit: {{limit: 1, collision_strategy: ENQUEUE}}
    schedules: [{{cron: "{cron}", timezone: Europe/Berlin, slug: due}}]
    work_pool: {{name: processes}}
    pull: []
"""


def write_project(folder: Path, pipelines: int) -> None:
    """Write the YAMLs, and the same as Prefect's own file."""
    (folder / "configs").mkdir()
    entries = []
    for number in range(pipelines):
        (folder / "configs" / f"pipeline-{number}.yaml").write_text(PIPELINE.format(number=number))
        entries.append(PEER_ENTRY.format(number=number, module="training", cron="0 3 * * 1"))
        entries.append(PEER_ENTRY.format(number=number, module="drift_check", cron="0 * * * *"))
    (folder / "prefect.yaml").write_text("deployments:\n" + "".join(entries))


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run an empty Prefect server; gives the variables that name it."""
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings({"EVERTRAIN_HOME": home})
        with prefect_api(settings, stays=False) as started:
            assert started is not None
            started.wait_until_ready()
            yield {"PREFECT_API_URL": started.url, "EVERTRAIN_HOME": home, "PREFECT_HOME": home}


def measure(folder: Path) -> dict[str, float]:
    """Take each side's seconds."""
    seconds = {}
    deploy = (str(BIN / "evertrain"), "deploy", "--json")
    with server() as variables:
        seconds["first"] = run(Command(deploy, variables, folder)).seconds
        again = run(Command(deploy, variables, folder))
        seconds["unchanged"] = again.seconds
        assert '"created"' not in again.output
        assert '"updated"' not in again.output
        changed = folder / "configs" / "pipeline-0.yaml"
        changed.write_text(changed.read_text().replace("0 3 * * 1", "0 4 * * 1"))
        seconds["one changed"] = run(Command(deploy, variables, folder)).seconds
    with server() as variables:
        pool = (str(BIN / "prefect"), "work-pool", "create", "processes", "--type", "process")
        run(Command(pool, variables, folder))
        peer = (str(BIN / "prefect"), "--no-prompt", "deploy", "--all")
        seconds["prefect deploy --all"] = run(Command(peer, variables, folder)).seconds
    return {name: round(taken, 2) for name, taken in seconds.items()}


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's section."""
    seconds: dict[str, float] = figures["seconds"]
    peer = seconds["prefect deploy --all"]
    rows = [
        [name if name.startswith("prefect") else f"evertrain deploy, {name}", taken, f"{taken / peer:.2f}"]
        for name, taken in seconds.items()
    ]
    table = spell_table(["command", "seconds", "÷ prefect deploy"], rows)
    head = (
        f"`python benchmarks/deploy.py {figures['pipelines']}`, commit {figures['commit']}, "
        f"{figures['date']}: one each, {figures['machine']['cpus']} cores, "
        f"load {figures['machine']['load_1m']} before it began."
    )
    return f"{head}\n\n{table}"


def main() -> None:
    """Measure, print and keep the figures."""
    pipelines = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    circumstances = tell_circumstances()
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), pipelines)
        figures = {**circumstances, "pipelines": pipelines, "seconds": measure(Path(folder))}
    keep("deploy", figures)
    write_section("deploy", spell_section(figures))


if __name__ == "__main__":
    main()
