"""Owns serving's figures: the flights model over HTTP on one core, beside other servers and beside constants.

``python benchmarks/serving.py [ROUNDS] [--seconds S] [--only KEY…]`` writes
``benchmarks/results/serving.json`` and its part of ``benchmarks/README.md``. The server has core 0, wrk core
1; in each round all take turns. Each is asked with the same rows, and must give evertrain's labels on nearly
all of them: each fits for itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring.http_load import CALLER_CORE, Question, Running, free_port, missing_programs, serving
from measuring.processes import ROOT, Command, CommandFailed, keep, run, tell_circumstances
from measuring.tables import spell_table, write_section
from peers import services as who
from peers.contestants import TRAIN
from peers.environments import NotInstalled, python_of
from peers.services import Service

CONNECTIONS = 16
ALIKE = 0.97
# speed.md's ratios: what, of ours, divided by whose, must, aim; "<" where less is better.
RATIOS = (
    ("one_p50_ms", (who.FASTAPI,), "<", 1.8, 1.3),
    ("many_callers_per_second", (who.FASTAPI,), ">", 0.55, 0.8),
    ("one_p50_ms", who.PEERS[:3], "<", 0.08, 0.05),
    ("many_callers_per_second", who.PEERS[:3], ">", 20, 30),
    ("thousand_p50_ms", (who.MLSERVER,), "<", 0.5, 0.3),
    ("thousand_binary_p50_ms", (who.MLSERVER,), "<", 0.25, 0.12),
    ("start_seconds", (who.MLSERVER,), "<", 0.25, 0.15),
    ("memory_mib", (who.MLSERVER,), "<", 0.45, 0.35),
)
# What MLServer has no way to be asked is held against the nearest that it has: V2's tensors in JSON.
INSTEAD = {"thousand_binary_p50_ms": "thousand_p50_ms"}
WORDS = {
    "start_seconds": "start to first answer, s",
    "memory_mib": "memory, MiB",
    "one_p50_ms": "1 row, 1 caller: p50, ms",
    "one_p99_ms": "p99, ms",
    "many_callers_per_second": "1 row, 16 callers: requests/s",
    "many_callers_p99_ms": "p99, ms",
    "thousand_p50_ms": "1,000 rows, JSON: p50, ms",
    "thousand_p99_ms": "p99, ms",
    "thousand_binary_p50_ms": "1,000 rows, binary V2: p50, ms",
}


class Field:
    """Who takes part, a folder for each, and what was measured so far."""

    def __init__(self, folder: Path, services: Sequence[Service], seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._pythons: dict[str, Path] = {}
        self.figures: dict[str, dict[str, list[float]]] = {}
        self.left_out: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        learn, self.rows = who.make_rows()
        self._learn = folder / "learn.json"
        self._learn.write_text(json.dumps(learn))
        self._labels: list[bool] = []
        self.runtime = ""
        self._services = [one for one in services if self._guard(one, self._settle)]

    def measure_round(self) -> None:
        """Let each serve once."""
        for one in self._services:
            if one.name not in self.left_out:
                self._guard(one, self._measure)

    def _settle(self, one: Service) -> None:
        home = self._folder / one.key
        home.mkdir()
        python = python_of(one.environment) if one.environment else Path(sys.executable)
        self._pythons[one.key] = python
        if one is who.OURS:
            variables = {"EVERTRAIN_HOME": str(home / "home"), "CI": "true"}
            run(Command((str(python), *TRAIN), variables))
        elif one.export is not None:
            kind, place = one.export
            words = (str(python), str(who.APPS / "export_flights.py"), kind, str(self._learn), place)
            run(Command(words, one.variables(home, 0), home))
        # Once unmeasured: what was never run has no byte code.
        with self._serving(one, one.ask(self.rows[:1])) as up:
            self._prove(one, up)

    def _serving(self, one: Service, question: Question) -> Any:
        home, port, python = self._folder / one.key, free_port(), self._pythons[one.key]
        one.settle(home, port)
        # As in an activated environment: some start programs of theirs by name.
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        variables = {"PATH": path, "PYTHONPATH": str(ROOT), **one.variables(home, port)}
        return serving(one.command(python, home, port), variables, home, port, question)

    def _prove(self, one: Service, up: Running) -> None:
        if one.labels is None:
            return
        labels = one.labels(up.ask(one.ask(self.rows)))
        if one is who.OURS:
            self._labels = labels
            self.runtime = up.look("/models/flights")["runtime"]
        alike = statistics.mean(a == b for a, b in zip(labels, self._labels, strict=True))
        if alike < ALIKE:
            raise CommandFailed(f"{one.name} gives evertrain's label on {alike:.1%} of the rows only")

    def _measure(self, one: Service) -> None:
        single, many = one.ask(self.rows[:1]), one.ask(self.rows)
        with self._serving(one, single) as up:
            self._take(one, "start_seconds", up.first_answer_seconds)
            alone = up.load(single, 1, self._seconds)
            self._take(one, "one_p50_ms", alone.p50_ms)
            self._take(one, "one_p99_ms", alone.p99_ms)
            together = up.load(single, CONNECTIONS, self._seconds)
            self._take(one, "many_callers_per_second", together.requests_per_second)
            self._take(one, "many_callers_p99_ms", together.p99_ms)
            thousand = up.load(many, 1, self._seconds)
            self._take(one, "thousand_p50_ms", thousand.p50_ms)
            self._take(one, "thousand_p99_ms", thousand.p99_ms)
            if one is who.OURS:
                self._measure_binary(one, up)
            self._take(one, "memory_mib", up.memory_mib())

    def _measure_binary(self, one: Service, up: Running) -> None:
        question = who.ask_v2_binary(self.rows)
        try:
            up.ask(question)
        except CommandFailed as fault:
            self.notes["V2 binary"] = str(fault)
            return
        self._take(one, "thousand_binary_p50_ms", up.load(question, 1, self._seconds).p50_ms)

    def _take(self, one: Service, what: str, value: float) -> None:
        self.figures.setdefault(one.name, {}).setdefault(what, []).append(value)
        print(f"{value:12.3f}  {WORDS[what]}  {one.name}", file=sys.stderr)

    def _guard(self, one: Service, call: Any) -> bool:
        try:
            call(one)
        except (CommandFailed, NotInstalled) as fault:
            if one is who.OURS:
                raise
            self.left_out[one.name] = str(fault).replace(str(ROOT), ".").strip()[-500:]
            self.figures.pop(one.name, None)
            return False
        return True


def tell_ratios(figures: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Divide ours by the best of those that it is held against, where both were measured."""
    ratios = []
    for what, beside, better, must, aim in RATIOS:
        ours = figures.get(who.OURS.name, {}).get(what)
        of = INSTEAD.get(what, what)
        theirs = {one.name: figures[one.name][of] for one in beside if of in figures.get(one.name, {})}
        if ours is None or not theirs:
            continue
        best = (min if better == "<" else max)(theirs, key=lambda name: theirs[name])
        ratio = {"what": what, "beside": best, "ratio": round(ours / theirs[best], 3)}
        sign = "≤" if better == "<" else "≥"
        ratios.append({**ratio, "must": f"{sign} {must}", "aim": f"{sign} {aim}"})
    return ratios


def spell_section(told: dict[str, Any]) -> str:
    """Spell the README's part."""
    machine, figures = told["machine"], told["figures"]
    rows = [
        (name, *(f"{taken[what]:,.2f}" if what in taken else "" for what in WORDS))
        for name, taken in figures.items()
    ]
    reached = [
        (WORDS[each["what"]], each["beside"], each["ratio"], each["must"], each["aim"])
        for each in told["ratios"]
    ]
    parts = [
        f"`{told['command']}`, commit {told['commit']}, {told['date']}: medians of {told['n']}, "
        f"{told['seconds_each']:g} s a case, {machine['cpus']} cores, load {machine['load_1m']} before it "
        f"began; evertrain's bundle: {told['runtime']}.",
        spell_table(("server", *WORDS.values()), rows),
        spell_table(("evertrain", "÷ the best of", "ratio", "must", "aim"), reached),
        *(f"Left out: {name} ({why})" for name, why in told["left_out"].items()),
        *(f"Not measured: {name} ({why})" for name, why in told["notes"].items()),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the figures."""
    everyone = (who.OURS, *who.FLOORS, *who.PEERS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=1)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load for each case")
    parser.add_argument("--only", nargs="+", choices=[one.key for one in everyone], metavar="KEY")
    asked = parser.parse_args(arguments)
    if missing := missing_programs():
        raise SystemExit(f"Install {' and '.join(missing)} first: it asks from another core.")
    chosen = [one for one in everyone if not asked.only or one.key in asked.only or one is who.OURS]
    circumstances = tell_circumstances()
    # What isn't the server has the other core.
    os.sched_setaffinity(0, {int(CALLER_CORE)})
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        field = Field(Path(folder), chosen, asked.seconds)
        for _ in range(asked.rounds):
            field.measure_round()
    figures = {
        name: {what: round(statistics.median(values), 3) for what, values in taken.items()}
        for name, taken in field.figures.items()
    }
    told = {
        "command": f"python benchmarks/serving.py {asked.rounds} --seconds {asked.seconds:g}",
        **circumstances,
        "n": asked.rounds,
        "seconds_each": asked.seconds,
        "runtime": field.runtime,
        "figures": figures,
        "ratios": tell_ratios(figures),
        "left_out": field.left_out,
        "notes": field.notes,
    }
    if asked.only:
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    keep("serving", told)
    write_section("serving", spell_section(told))


if __name__ == "__main__":
    main()
