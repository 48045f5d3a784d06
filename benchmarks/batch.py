"""Owns the measurement of batch scoring: Parquet to Parquet on one core, beside pandas with scikit-learn.

``python benchmarks/batch.py [YEARS] [ROUNDS]`` writes ``benchmarks/results/batch.json`` and its part of the
README. The rows are those of a year of flights, YEARS times one after the other.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from measuring.processes import ROOT, Command, keep, medians, run, tell_circumstances
from measuring.tables import spell_table, write_section

FLIGHTS = sorted((ROOT / "data" / "flights").glob("*.parquet"))
PEERS = ROOT / "benchmarks" / "peers"
LEARNT = [str(path) for path in FLIGHTS[:3]]
MUST, AIM = 3, 5


def main(years: int = 6, rounds: int = 3) -> None:
    """Measure both sides in turn, on one core each."""
    circumstances = tell_circumstances()
    with TemporaryDirectory(prefix="evertrain-batch-") as temporary:
        folder = Path(temporary)
        variables = {"EVERTRAIN_HOME": str(folder / "home"), "CI": "true", "PYTHONPATH": str(ROOT)}
        train = (
            sys.executable,
            "-m",
            "evertrain.cli",
            "train",
            "configs/flights.yaml",
            "--as-of",
            "2013-04-01",
        )
        run(Command(train, variables))
        one, many = folder / "one.parquet", folder / "many.parquet"
        write_years(one, 1)
        write_years(many, years)
        ours: list[tuple[float, float]] = []
        theirs: list[float] = []
        for number in range(rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            ours.append(score_with_evertrain(folder, many, variables))
            theirs.append(score_with_pandas(folder, many))
        small = score_with_evertrain(folder, one, variables)[1]
        rows = pq.read_metadata(many).num_rows
    large = round(max(peak for _, peak in ours))
    figures: dict[str, Any] = {
        **circumstances,
        "n": rounds,
        "rows": rows,
        "rows_a_second": medians({"evertrain": [rate for rate, _ in ours], "pandas": theirs}),
        "peak_mib": {f"{rows // years:,} rows": round(small), f"{rows:,} rows": large},
    }
    rates = figures["rows_a_second"]
    figures["ratio"] = round(rates["evertrain"] / rates["pandas"], 2)
    keep("batch", figures)
    write_section("batch", spell_section(figures))


def write_years(path: Path, years: int) -> None:
    """Write the year's flights, so many times."""
    tables = [pq.read_table(file) for file in FLIGHTS]
    pq.write_table(pa.concat_tables(tables * years), path)


def score_with_evertrain(folder: Path, source: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Rows a second, and the peak of memory in MiB."""
    words = on_one_core("batch_evertrain.py", source, folder / "ours.parquet", "configs/flights.yaml")
    rate, peak = run(Command(words, variables)).output.split()
    return float(rate), float(peak)


def score_with_pandas(folder: Path, source: Path) -> float:
    """Rows a second."""
    words = on_one_core("batch_pandas.py", source, folder / "theirs.parquet", *LEARNT)
    return float(run(Command(words, {"OMP_NUM_THREADS": "1"})).output.split()[-1])


def on_one_core(script: str, *arguments: object) -> tuple[str, ...]:
    """Spell the command of a peer's script, pinned."""
    return ("taskset", "-c", "1", sys.executable, str(PEERS / script), *map(str, arguments))


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part."""
    rates = figures["rows_a_second"]
    said = (
        f"`python benchmarks/batch.py`, commit {figures['commit']}, {figures['date']}: medians of "
        f"{figures['n']}, {figures['rows']:,} rows, one core, imports apart."
    )
    table = spell_table(
        ["Parquet to Parquet", "rows a second", "÷ pandas with scikit-learn", "must", "aim"],
        [
            ["evertrain score", f"{rates['evertrain']:,.0f}", figures["ratio"], f"≥ {MUST}", f"≥ {AIM}"],
            ["pandas, predict_proba, pandas", f"{rates['pandas']:,.0f}", "1", "", ""],
        ],
    )
    peaks = ", ".join(f"{peak:,} MiB with {rows}" for rows, peak in figures["peak_mib"].items())
    return f"{said}\n\n{table}\n\nMost memory: {peaks}."


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
