"""Owns false alarms: our check, Evidently's defaults and river's detectors on the same unchanged rows.

``python benchmarks/false_alarms.py`` writes ``benchmarks/results/false_alarms.json``. Every side is asked the
same: which drifted of 20 columns (12 numeric, 8 of 20 categories) that do not change, and one that moved.
river's detectors read numbers row after row, so they are given the 12 numeric ones.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring.tables import spell_table, write_section
from peers.environments import NotInstalled, python_of

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "full"))
RESULTS = ROOT / "benchmarks" / "results" / "false_alarms.json"
CHECKS = 20
MOVED = 0.5
MAX_SHARE = 0.3
"""Our default: of so many columns, drifted, a check makes a drift; Evidently's preset says half."""
OURS, EVIDENTLY = "evertrain", "Evidently's DataDriftPreset"


class World(NamedTuple):
    """A stream: rows of the reference, of the window, and how far a row follows the one before it."""

    reference: int
    window: int
    phi: float = 0.0

    @property
    def name(self) -> str:
        """What it is called in the table."""
        follows = f", AR(1) {self.phi}" if self.phi else ""
        return f"{self.reference:,} / {self.window:,}{follows}"


WORLDS = (
    World(800, 100),
    World(4_000, 50),
    World(4_000, 200),
    World(4_000, 1_000),
    World(4_000, 1_000, 0.9),
)


def main() -> None:
    """Measure every world; print, keep and tell the figures."""
    figures: dict[str, Any] = {
        "commit": ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "system": platform.system()},
        "checks": CHECKS,
        "worlds": {},
    }
    for world in WORLDS:
        figures["worlds"][world.name] = measure(world)
        RESULTS.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    write_section("false_alarms", spell_section(figures))


def measure(world: World) -> dict[str, dict[str, float]]:
    """Ask every side of *CHECKS* windows after one reference, with one column more that moved.

    Returns:
        By side: the share of checks with any unchanged column called drifted, of those with over 30 % of
        them, of columns so called, and of checks that found the one which moved by half of its spread.
    """
    from checks import FEATURES, Rows, make_rows

    from evertrain.drift import plan_drift
    from evertrain.records import Feature

    stream = make_rows(np.random.default_rng(8), world.reference + world.window * CHECKS, world.phi)
    reference = stream.cut(0, world.reference)
    sides = Rows(reference.columns | {"n moved": reference.columns["n0"]})
    planned = plan_drift([*FEATURES, Feature(name="n moved", kind="numeric", type="float")], sides)
    asked = {OURS: partial(ask_us, planned), EVIDENTLY: ask_evidently}
    found: dict[str, list[tuple[int, int, bool]]] = {side: [] for side in asked}
    windows = []
    for start in range(world.reference, stream.rows, world.window):
        window = stream.cut(start, start + world.window)
        windows.append(window)
        current = Rows(window.columns | {"n moved": window.columns["n0"] + MOVED})
        for side, ask in asked.items():
            called = ask(sides, current)
            found[side].append((len(called - {"n moved"}), len(stream.names), "n moved" in called))
        print(f"\r{world.name}: {len(windows)} of {CHECKS}", end="", file=sys.stderr, flush=True)
    figures = {side: summarise(rows) for side, rows in found.items()}
    return figures | ask_river(world, reference, windows)


def ask_us(planned: Any, reference: Any, current: Any) -> set[str]:
    """Which columns our check calls drifted."""
    from checks import check

    return {column.name for column in check(planned, reference, current).columns if column.drifted}


def ask_evidently(reference: Any, current: Any) -> set[str]:
    """Which columns Evidently's preset calls drifted, by its own choice of tests and thresholds."""
    os.environ["DO_NOT_TRACK"] = "1"
    import warnings

    warnings.simplefilter("ignore")
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = list(reference.names)
    definition = DataDefinition(
        numerical_columns=[name for name in names if name.startswith("n")],
        categorical_columns=[name for name in names if name.startswith("c")],
    )
    texts = {name: str for name in names if name.startswith("c")}
    frames = [pd.DataFrame(side.columns).astype(texts) for side in (current, reference)]
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    metrics = Report([DataDriftPreset()]).run(*sides).dict()["metrics"]
    drifted = set()
    for metric in metrics:
        config = metric["config"]
        if "column" not in config:
            continue
        # A test's value is a chance where its name says so, else a distance.
        value, threshold = float(metric["value"]), config["threshold"]
        if value < threshold if config["method"].endswith("p_value") else value >= threshold:
            drifted.add(config["column"])
    return drifted


def ask_river(world: World, reference: Any, windows: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Give river's detectors the numeric columns of every stream; nothing where it can't be installed."""
    try:
        python = python_of("river")
    except NotInstalled as missing:
        print(missing, file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        paths = []
        for place, window in enumerate(windows):
            numbers = [
                np.concatenate([reference.columns[name], window.columns[name]])
                for name in reference.names
                if name.startswith("n")
            ]
            paths.append(Path(folder) / f"{place}.npy")
            np.save(paths[-1], np.column_stack(numbers))
        command = [str(python), str(ROOT / "benchmarks/peers/river_alarms.py"), str(world.reference)]
        ran = subprocess.run(
            [*command, *map(str, paths)], check=True, capture_output=True, text=True, timeout=1800
        )
    found = json.loads(ran.stdout)
    return {
        f"river's {name}": summarise([(each[name], len(numbers), False) for each in found], detects=False)
        for name in found[0]
    }


def summarise(found: Sequence[tuple[int, int, bool]], *, detects: bool = True) -> dict[str, float]:
    """Turn counts into shares."""
    figures = {
        "checks": round(sum(called > 0 for called, _, _ in found) / len(found), 4),
        "datasets": round(sum(called / of > MAX_SHARE for called, of, _ in found) / len(found), 4),
        "columns": round(sum(called for called, _, _ in found) / sum(of for _, of, _ in found), 4),
    }
    return figures | ({"found": round(sum(hit for _, _, hit in found) / len(found), 4)} if detects else {})


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part from the result file."""
    rows = [
        (
            world,
            side,
            f"{told['checks']:.0%}",
            f"{told['datasets']:.0%}",
            f"{told['columns']:.1%}",
            f"{told['found']:.0%}" if "found" in told else "",
        )
        for world, sides in figures["worlds"].items()
        for side, told in sides.items()
    ]
    head = (
        "reference / window",
        "side",
        "checks with a drifted column",
        "with over 30 %",
        "columns drifted",
        "half a spread found",
    )
    return (
        f"`python benchmarks/false_alarms.py`, commit {figures['commit']}, {figures['date']}: "
        f"{figures['checks']} checks a line of 20 columns that don't change, river's detectors of the 12 "
        "numeric ones; last, how often one more that moved by half of its spread was found.\n\n"
        f"{spell_table(head, rows)}"
    )


def ask_git(*arguments: str) -> str:
    """Ask git about this checkout."""
    ran = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


if __name__ == "__main__":
    main()
