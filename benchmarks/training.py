"""Owns a training run's figures: `evertrain train configs/flights.yaml` beside a straight script and peers.

``python benchmarks/training.py [ROUNDS] [--peers]`` writes ``benchmarks/results/training.json`` and its part
of ``benchmarks/README.md``. Each command is a whole process with byte code on disk and a database that exists
already; all take turns, and each must have registered a model with the straight script's area under the
curve. Change no code while it runs: evertrain would rightly train again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring.processes import ROOT, Command, CommandFailed, keep, medians, run, tell_circumstances
from measuring.tables import spell_table, write_section
from peers import contestants as who
from peers.contestants import Contestant
from peers.environments import NotInstalled, python_of

from evertrain.registry import mirror_aliases
from evertrain.settings import read_settings
from flows.local_server import prefect_api

# speed.md's ratios of a whole run: ours, beside whom, what it must be, and what it aims at.
RATIOS = (
    (who.SERVED.name, who.STRAIGHT.name, 1.35, 1.0),
    (who.ALONE.name, who.PREFECT.name, 0.75, 0.55),
    (who.SERVED.name, who.ZENML.name, 0.9, 0.7),
    (who.ALONE.again, who.FLYTE.again, 0.5, 0.25),
    (who.WARM.name, who.STRAIGHT.name, 0.45, 0.3),
)


class Field:
    """Who takes part, their homes under one folder, and what they took so far."""

    def __init__(self, folder: Path, contestants: Sequence[Contestant]) -> None:
        self._folder = folder
        self._pythons: dict[str, Path] = {}
        self.left_out: dict[str, str] = {}
        self.seconds: dict[str, list[float]] = {}
        self.aucs: dict[str, float] = {}
        first_home = make_databases(folder / "databases")
        self._contestants = [one for one in contestants if self._admit(one, first_home)]

    def measure_round(self) -> None:
        """Let each run once in a fresh home, and again there where a second run is of interest."""
        for one in self._contestants:
            if one.name not in self.left_out:
                self._guard(one, self._measure)

    def _admit(self, one: Contestant, first_home: Path) -> bool:
        return self._guard(one, lambda one: self._settle(one, first_home))

    def _settle(self, one: Contestant, first_home: Path) -> None:
        python = python_of(one.environment) if one.environment else Path(sys.executable)
        self._pythons[one.key] = python
        home = self._home(one)
        shutil.copytree(first_home, home)
        if one.files is not None:
            shutil.copytree(one.files, home, dirs_exist_ok=True)
        for words in one.setup:
            run(Command((str(python.with_name(one.key)), *words), who.zenml_variables(home), home))
        shutil.copytree(home, self._template(one))

    def _measure(self, one: Contestant) -> None:
        home = self._home(one)
        shutil.rmtree(home)
        shutil.copytree(self._template(one), home)
        with server_for(one, self._folder / "server") as url:
            python = self._pythons[one.key]
            if one.measured is not None:
                self._take(one.name, one.measured(python, home, url))
                self._prove(one, home)
                return
            command = one.typed(python, home, url)
            self._take(one.name, run(command).seconds)
            self._prove(one, home)
            if one.again is not None:
                self._take(one.again, run(command).seconds)
                self._prove(one, home)

    def _take(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)
        print(f"{self.seconds[name][-1]:8.2f} s  {name}", file=sys.stderr)

    def _prove(self, one: Contestant, home: Path) -> None:
        versions, aucs = who.read_work(home)
        if versions != 1 or not aucs:
            raise CommandFailed(f"{one.name} registered {versions} versions with {len(aucs)} areas, not one")
        self.aucs[one.name] = round(aucs[0], 6)
        straight = self.aucs[who.STRAIGHT.name]
        if any(abs(auc - straight) > one.tolerance + 1e-6 for auc in aucs):
            raise CommandFailed(f"{one.name} came to {aucs}, the straight script to {straight}")

    def _guard(self, one: Contestant, call: Any) -> bool:
        try:
            call(one)
        except (CommandFailed, NotInstalled) as fault:
            if one in who.OURS:
                raise
            self.left_out[one.name] = str(fault).replace(str(ROOT), ".").strip()[-500:]
            for name in (one.name, one.again):
                self.seconds.pop(name or "", None)
            return False
        return True

    def _home(self, one: Contestant) -> Path:
        return self._folder / "homes" / one.key

    def _template(self, one: Contestant) -> Path:
        return self._folder / "templates" / one.key


def make_databases(home: Path) -> Path:
    """Make MLflow's tables and Prefect's once: every side has a database, as on any day but the first."""
    home.mkdir(parents=True)
    settings = read_settings({"EVERTRAIN_HOME": str(home)})
    mirror_aliases(settings, "none", {})
    with prefect_api(settings, stays=False) as server:
        assert server is not None
        server.wait_until_ready()
    return home


@contextmanager
def server_for(one: Contestant, home: Path) -> Iterator[str]:
    """Give the address of a Prefect server that is up, or "" to who needs none."""
    if not one.needs_server:
        yield ""
        return
    with prefect_api(read_settings({"EVERTRAIN_HOME": str(home)}), stays=False) as server:
        assert server is not None
        server.wait_until_ready()
        yield server.url


def tell_ratios(seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Divide ours by those it is held against, where both were measured."""
    return [
        {
            "of": of,
            "beside": beside,
            "ratio": round(seconds[of] / seconds[beside], 2),
            "must": must,
            "aim": aim,
        }
        for of, beside, must, aim in RATIOS
        if of in seconds and beside in seconds
    ]


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part."""
    seconds: dict[str, float] = figures["seconds_median"]
    straight = seconds[who.STRAIGHT.name]
    machine = figures["machine"]
    rows = [
        (name, f"{value:.2f}", f"{value / straight:.2f}")
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])
    ]
    reached = [
        (ratio["of"], ratio["beside"], ratio["ratio"], f"≤ {ratio['must']}", f"≤ {ratio['aim']}")
        for ratio in figures["ratios"]
    ]
    parts = [
        f"`{figures['command']}`, commit {figures['commit']}, {figures['date']}: medians of {figures['n']}, "
        f"{machine['cpus']} cores, load {machine['load_1m']} before it began.",
        spell_table(("command", "median seconds", "÷ straight script"), rows),
        spell_table(("ours", "beside", "ratio", "must", "aim"), reached),
        *(f"Left out: {name} ({why})" for name, why in figures["left_out"].items()),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument(
        "--peers", action="store_true", help="beside Kedro, Flyte, ZenML and naive Prefect too"
    )
    asked = parser.parse_args(arguments)
    circumstances = tell_circumstances()
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        field = Field(Path(folder), (*who.OURS, *(who.PEERS if asked.peers else ())))
        for _ in range(asked.rounds):
            field.measure_round()
    figures = {
        "command": f"python benchmarks/training.py {asked.rounds}{' --peers' if asked.peers else ''}",
        **circumstances,
        "n": asked.rounds,
        "seconds_median": medians(field.seconds),
        "seconds": {name: [round(value, 2) for value in taken] for name, taken in field.seconds.items()},
        "ratios": tell_ratios(medians(field.seconds)),
        "roc_auc": field.aucs,
        "left_out": field.left_out,
    }
    keep("training", figures)
    write_section("training", spell_section(figures))


if __name__ == "__main__":
    main()
