"""Owns what the flights' policy is worth: replayed beside never, always and every so manieth.

``python benchmarks/backtest.py`` writes ``benchmarks/results/backtest.json``: for calendar months and for 30
days each, every strategy's means, retrains, promotions and seconds, and whether the policy keeps what is
asked of it: a mean AUC of at least that of retraining each time less 0.005, a mean Brier score not above it,
and fewer promotions than periods. "warm" is the same command again. A busy machine's seconds are too many.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring.tables import spell_table, write_section

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "backtest.json"
SINCE, UNTIL = "2013-05-01", "2014-01-01"
LEEWAY = 0.005
HEAD = ("strategy", "AUC", "Brier", "retrains", "promotions", "training + checks, s")
SWEEPS = ("drift.regret.min_gain=0.005,0.01,0.02", "drift.current.window=7d,30d")


def main() -> None:
    """Replay both ways, twice each; print and keep the figures."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as home:
        for every in ("month", "30d"):
            cold, outcome = replay(home, every)
            warm, again = replay(home, every)
            assert [each["metrics"] for each in again["strategies"]] == [
                each["metrics"] for each in outcome["strategies"]
            ]
            found[every] = {
                "periods": len(outcome["strategies"][0]["periods"]),
                "pieces": outcome["computed"],
                "cold_seconds": cold,
                "warm_seconds": warm,
                "strategies": [summarise(each) for each in outcome["strategies"]],
                "kept": judge(outcome["strategies"]),
            }
    kept = {
        "commit": ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cpus": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 2),
            "system": platform.system(),
        },
        "from": SINCE,
        "to": UNTIL,
        "every": found,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    print(spell_section(kept))
    write_section("backtest", spell_section(kept))
    write_section("backtest", spell_months(kept), ROOT / "README.md")


def replay(home: str, every: str) -> tuple[float, dict[str, Any]]:
    """Run the command as a user would; gives its seconds and its answer."""
    command = [sys.executable, "-m", "evertrain.cli", "backtest", "configs/flights.yaml", "--json"]
    command += ["--from", SINCE, "--to", UNTIL, "--every", every]
    for sweep in SWEEPS:
        command += ["--sweep", sweep]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "EVERTRAIN_HOME": home},
        stdout=subprocess.PIPE,
        timeout=3600,
        check=True,
    )
    return round(time.perf_counter() - began, 2), json.loads(done.stdout)


def summarise(strategy: dict[str, Any]) -> dict[str, Any]:
    """Leave a strategy's periods away."""
    kept = {name: value for name, value in strategy.items() if name not in ("periods", "settings")}
    return kept | {"metrics": {name: round(value, 5) for name, value in strategy["metrics"].items()}}


def judge(strategies: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold the policy against retraining each time, with and without gates."""
    by_name = {each["name"]: each for each in strategies}
    policy, periods = by_name["policy"], len(by_name["policy"]["periods"])
    verdicts: dict[str, Any] = {}
    for name in ("always", "always, no gates"):
        rival = by_name[name]["metrics"]
        auc = policy["metrics"]["roc_auc"] - rival["roc_auc"]
        brier = policy["metrics"]["brier_score_loss"] - rival["brier_score_loss"]
        verdicts[name] = {
            "auc_above": round(auc, 5),
            "brier_above": round(brier, 5),
            "holds": auc >= -LEEWAY and brier <= 0 and policy["promotions"] < periods,
        }
    return verdicts


def spell_section(figures: dict[str, Any]) -> str:
    """Spell benchmarks/README.md's part from the result file."""
    rows = [
        (every, *_spell_row(each), "★" if each["frontier"] else "")
        for every, found in figures["every"].items()
        for each in found["strategies"]
    ]
    machine = figures["machine"]
    seconds = "; ".join(
        f"every {every}: {found['cold_seconds']:.0f} s, again {found['warm_seconds']:.0f} s"
        for every, found in figures["every"].items()
    )
    return (
        f"`python benchmarks/backtest.py`, commit {figures['commit']}, {figures['date']}, {machine['cpus']} "
        f"cores, load {machine['load_1m']} at its end; {seconds}, a sweep of six in it.\n\n"
        + spell_table(("every", *HEAD, "frontier"), rows)
    )


def spell_months(figures: dict[str, Any]) -> str:
    """Spell README.md's table from the result file: calendar months, without the sweep."""
    strategies = figures["every"]["month"]["strategies"]
    return spell_table(HEAD, [_spell_row(each) for each in strategies if "=" not in each["name"]])


def _spell_row(strategy: dict[str, Any]) -> tuple[object, ...]:
    return (
        strategy["name"],
        f"{strategy['metrics']['roc_auc']:.4f}",
        f"{strategy['metrics']['brier_score_loss']:.4f}",
        strategy["retrains"],
        strategy["promotions"],
        f"{strategy['train_seconds']:.0f} + {strategy['check_seconds']:.0f}",
    )


def ask_git(*arguments: str) -> str:
    """Ask git about this checkout."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
