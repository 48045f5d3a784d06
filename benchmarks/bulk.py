"""Owns the profile of requests: where the time of one row and of 1,000 goes, and the service's memory.

``python benchmarks/bulk.py [ROUNDS]`` writes ``benchmarks/results/bulk.json`` and its part of the README. The
requests, the model and the core are those of ``serving.py``; here the steps are called one by one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring.http_load import SERVER_CORE
from measuring.processes import ROOT, Command, keep, run, tell_circumstances
from measuring.tables import spell_table, write_section
from peers import services as who
from peers.contestants import TRAIN

VARIABLES = {"PYTHONPATH": str(ROOT)}
STEPS = ROOT / "benchmarks" / "profiles" / "bulk_steps.py"
IMPORTS = {
    "Python alone": "",
    "with NumPy and ONNX Runtime": "import numpy, onnxruntime",
    "with uvicorn and Starlette too": "import onnxruntime, uvicorn, uvloop, starlette.applications",
    "with the service's own modules": "import onnxruntime, serving.app, serving.worker, uvloop, httptools",
    "what ships the log": "import serving.prediction_log.shipper, arro3.core, arro3.io",
}


def measure_memory() -> dict[str, float]:
    """What a process takes that has imported so much, in MiB; what others share with it counts in part."""
    program = "import psutil; print(psutil.Process().memory_full_info().pss)"
    taken = {}
    for what, imports in IMPORTS.items():
        words = [sys.executable, "-c", f"{imports}\n{program}"]
        taken[what] = round(int(run(Command(tuple(words), VARIABLES)).output) / 2**20, 1)
    return taken


def write_questions(folder: Path) -> None:
    """Write the requests that are profiled."""
    _, rows = who.make_rows()
    asked = {
        "1 row, JSON": ("mlflow", who.OURS.ask(rows[:1])),
        "1,000 rows, JSON": ("mlflow", who.OURS.ask(rows)),
        "1,000 rows, V2": ("v2", who.ask_v2_binary(rows)),
    }
    folder.mkdir()
    for what, (protocol, question) in asked.items():
        facts = {"protocol": protocol, "headers": dict(question.headers)}
        (folder / f"{what}.json").write_text(json.dumps(facts))
        (folder / f"{what}.body").write_bytes(question.body)


def main(rounds: int = 300) -> None:
    """Measure, print and keep the figures."""
    circumstances = tell_circumstances()
    os.sched_setaffinity(0, {int(SERVER_CORE)})
    with TemporaryDirectory(prefix="evertrain-bulk-") as temporary:
        home, asked = f"{temporary}/home", Path(temporary, "asked")
        run(Command((sys.executable, *TRAIN), {**VARIABLES, "EVERTRAIN_HOME": home, "CI": "true"}))
        write_questions(asked)
        steps = run(Command((sys.executable, str(STEPS), home, str(asked), str(rounds)), VARIABLES))
    told = {
        "command": f"python benchmarks/bulk.py {rounds}",
        **circumstances,
        "n": rounds,
        "milliseconds": json.loads(steps.output),
        "mib": measure_memory(),
    }
    keep("bulk", told)
    write_section("bulk", spell_section(told))


def spell_section(told: Mapping[str, Any]) -> str:
    """Spell the README's part."""
    kinds = told["milliseconds"]
    steps = next(iter(kinds.values()))
    times = [(step, *(kinds[kind][step] for kind in kinds)) for step in steps]
    return "\n\n".join(
        [
            f"`{told['command']}`, commit {told['commit']}, {told['date']}: medians of {told['n']}.",
            spell_table(("step, ms", *kinds), times),
            spell_table(("a process", "MiB"), list(told["mib"].items())),
        ]
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
