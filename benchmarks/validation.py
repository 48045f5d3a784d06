"""Owns validation's figures: 20 expectations on 20 columns beside Great Expectations on pandas.

``python benchmarks/validation.py [ROWS] [ROUNDS]`` writes ``benchmarks/results/validation.json`` and its part
of ``benchmarks/README.md``. Each side is a whole process, imports and reading included; they take turns, and
must agree on the verdict and on the number of unexpected values.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring.processes import Command, keep, medians, run, tell_circumstances
from measuring.tables import spell_table, write_section
from peers.validation_suite import SUITE, write_table

PEERS = Path(__file__).parent / "peers"
STRAIGHT = "Great Expectations on pandas"
SIDES = {
    STRAIGHT: ("straight_validation.py",),
    "evertrain, the verdict": ("our_validation.py", "stop"),
    "evertrain, the verdict and the rows to set aside": ("our_validation.py", "quarantine"),
    "evertrain, only the rows to set aside": ("our_validation.py", "masks"),
}


def main(rows: int = 1_000_000, rounds: int = 3) -> None:
    """Measure, print and keep the figures."""
    circumstances = tell_circumstances()
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        table = Path(folder) / "rows.parquet"
        write_table(table, rows)
        for _ in range(rounds):
            answers = [measure(seconds[name], words, table) for name, words in SIDES.items()]
            compare(answers)
    taken = medians(seconds)
    figures = {
        "command": f"python benchmarks/validation.py {rows} {rounds}",
        **circumstances,
        "n": rounds,
        "rows": rows,
        "expectations": len(SUITE),
        "seconds_median": taken,
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
        "ratio": {name: round(value / taken[STRAIGHT], 2) for name, value in taken.items()},
    }
    keep("validation", figures)
    write_section("validation", spell_section(figures))


def measure(seconds: list[float], words: tuple[str, ...], table: Path) -> dict[str, Any]:
    """Run one side; gives what it said."""
    script, *how = words
    ran = run(Command((sys.executable, str(PEERS / script), str(table), *how)))
    seconds.append(ran.seconds)
    answer: dict[str, Any] = json.loads(ran.output.splitlines()[-1])
    return answer


def compare(answers: list[dict[str, Any]]) -> None:
    """Refuse figures of sides that found different things.

    Raises:
        SystemExit: They did.
    """
    for key in ("success", "unexpected", "set_aside"):
        said = {answer[key] for answer in answers if key in answer}
        if len(said) != 1:
            raise SystemExit(f"the sides don't agree on {key}: {answers}")


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part."""
    machine = figures["machine"]
    head = (
        f"`{figures['command']}`, commit {figures['commit']}, {figures['date']}: medians of {figures['n']}, "
        f"{machine['cpus']} cores, load {machine['load_1m']} before it began. "
        f"{figures['rows']:,} rows; the goal beside Great Expectations is at most 1.0, the aim 0.4."
    )
    rows = [
        (name, f"{value:.2f}", f"{figures['ratio'][name]:.2f}")
        for name, value in figures["seconds_median"].items()
    ]
    return f"{head}\n\n{spell_table(('whole process', 'median seconds', '÷ Great Expectations'), rows)}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
