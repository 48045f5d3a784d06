"""Owns proofs at full size: trials one after the other, kept as they go, so that a killed proof goes on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
SAVE_EVERY_SECONDS = 5.0
Counts = Mapping[str, int]


def prove(
    name: str,
    claim: str,
    trial: Callable[[int], Counts],
    judge: Callable[[dict[str, int], int], tuple[int, dict[str, float]]],
    *,
    n: int,
) -> None:
    """Make *n* trials and write ``benchmarks/results/<name>.json``; exit 1 where the claim doesn't hold.

    What a killed proof leaves in ``benchmarks/results/.<name>.partial.json`` is taken up; whoever has changed
    what is proved since removes that file first.

    Args:
        name: The claim's name in the list of goals, such as ``G5``.
        claim: What is to be shown, in words.
        trial: Makes the trial of a number, and counts what it saw.
        judge: Takes the sums of all counts and *n*; gives how many parts of the claim fail, and the figures.
        n: How many trials.
    """
    partial = RESULTS / f".{name}.partial.json"
    done, totals = _resume(partial, n)
    saved = time.monotonic()
    for number in range(done, n):
        for what, count in trial(number).items():
            totals[what] = totals.get(what, 0) + int(count)
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            saved = time.monotonic()
            partial.write_text(json.dumps({"done": number + 1, "totals": totals}))
            print(f"\r{name}: {number + 1:,} of {n:,} trials", end="", file=sys.stderr, flush=True)
    failures, figures = judge(totals, n)
    result = {
        "id": name,
        "claim": claim,
        "commit": _ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "system": platform.system()},
        "n": n,
        "failures": failures,
        "figures": {what: round(value, 5) for what, value in figures.items()},
        "counts": totals,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    partial.unlink(missing_ok=True)
    print(f"\r{json.dumps(result, indent=2)}")
    raise SystemExit(1 if failures else 0)


def _resume(partial: Path, n: int) -> tuple[int, dict[str, int]]:
    if not partial.exists():
        return 0, {}
    kept = json.loads(partial.read_text())
    # Trials are numbered: those that are done hold for a proof of any greater size.
    return (kept["done"], kept["totals"]) if kept["done"] <= n else (0, {})


def _ask_git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=RESULTS.parent, capture_output=True, text=True, check=True
    ).stdout.strip()
