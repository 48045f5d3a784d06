"""Brings docker-compose.yml up once, trains and predicts through it, looks at its rights, and takes it down.

    python deployments/compose_check/check.py               # with this machine's Docker, pulling the images
    python deployments/compose_check/check.py --stand-ins   # with a Podman of its own (root), pulling nothing

Nothing of it stays but, with Docker, the images. `make compose-check` runs it. The stand-ins are made of
Debian's packages and of wheels; they take some 8 GB while it runs, and need Debian 12 with:
apt-get install podman runc netavark aardvark-dns iptables debootstrap
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import probes
from engines import PROJECT, ROOT, CheckFailed, Docker, Engine, PodmanWithStandIns, run, say
from hardening import check_container

UP_SECONDS = 1200
PIPELINE = "customers"
ONE_SHOT = {"buckets"}
# What the kernel says of the first process: the capabilities it could ever have, whether it could gain any.
LOOK_INSIDE = "touch /probe 2>/dev/null || echo refused; grep -E 'CapBnd|NoNewPrivs' /proc/1/status"
NO_RIGHTS = ["refused", "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
PORTS = {
    "inference": "PORT",
    "prefect": "PREFECT_PORT",
    "mlflow": "MLFLOW_PORT",
    "prometheus": "PROMETHEUS_PORT",
}
YAML = f"""
name: {PIPELINE}
data:
  source: {{type: files, uri: data/customers.csv}}
  target: churned
  timestamp: seen
training:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {{max_iter: 20}}
evaluation:
  task: binary_classification
"""


class Stack:
    """The compose file as it is, in a project of its own."""

    def __init__(self, engine: Engine, variables: dict[str, str]) -> None:
        self._engine = engine
        self._environment = engine.environment | variables
        self.addresses = {service: f"http://127.0.0.1:{variables[name]}" for service, name in PORTS.items()}

    def compose(self, *words: str, seconds: float = 120, quiet: bool = True) -> str:
        """Run Compose and give its output; raises CheckFailed."""
        program = Path(sys.executable).with_name("docker-compose")
        # A stray .env beside the file mustn't decide.
        return run(
            program, "--progress", "quiet", "-p", PROJECT, "--env-file", os.devnull, *words,
            env=self._environment, seconds=seconds, quiet=quiet,
        )  # fmt: skip

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine tells of each service's container."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        found = {each["Service"]: each["ID"] for each in map(json.loads, lines)}
        return {service: self._engine.inspect(container) for service, container in found.items()}

    def try_it(self) -> None:
        """Everything that this check is for; raises CheckFailed at the first promise that doesn't hold."""
        say("starting", "all services; each waits for those it needs")
        began = time.monotonic()
        self.compose("up", *self._engine.up_options, "--detach", "--wait", seconds=UP_SECONDS)
        say("holds", f"all services are healthy after {time.monotonic() - began:.0f} s")
        self._check_rights()
        probes.check_pages(self.addresses)
        probes.train(self.addresses["prefect"], PIPELINE)
        probes.check_registered(self.addresses["mlflow"], PIPELINE)
        probes.check_answers(
            self.addresses["inference"], [{"age": 20, "visits": 3.5}, {"age": 70, "visits": None}]
        )
        probes.check_prometheus(self.addresses["prometheus"], PIPELINE)
        self._check_journal()

    def _check_rights(self) -> None:
        containers = self.containers()
        declared = set(self.compose("config", "--services").split())
        probes.expect(
            set(containers) == declared, f"there is a container for each of {', '.join(sorted(declared))}"
        )
        for service, facts in sorted(containers.items()):
            check_container(service, facts)
        told = self.compose("logs", "--no-log-prefix", "buckets")
        probes.expect("each key its own rights" in told, "the service's key can read the store, not write it")
        for service in sorted(declared - ONE_SHOT):
            inside = self.compose("exec", "-T", service, "sh", "-c", LOOK_INSIDE).split()
            probes.expect(inside == NO_RIGHTS, f"{service} can't write to its root, nor gain a right")

    def _check_journal(self) -> None:
        told = self.compose("exec", "-T", "worker", "evertrain", "audit", "verify", PIPELINE, "--json")
        entries = json.loads(told)["entries"]
        probes.expect(entries > 0, f"the journal in the store is as it was written, {entries} entries")

    def take_down(self) -> None:
        """End all, with their volumes."""
        say("ending", "all services")
        self.compose("down", "--volumes", "--timeout", "5", seconds=300)
        probes.expect(not self.compose("ps", "--all", "--quiet").strip(), "nothing is left of them")


def make_variables(folder: Path) -> dict[str, str]:
    """What `.env` would hold: random secrets, free ports, a small pipeline of its own in *folder*."""
    names = [line for line in (ROOT / ".env.example").read_text("utf-8").splitlines() if line.endswith("=")]
    variables = {name.rstrip("="): secrets.token_hex(24) for name in names}
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS.values()}
    for name, listener in sockets.items():
        variables[name] = str(listener.getsockname()[1])
        listener.close()
    configs, data = folder / "configs", folder / "data"
    configs.mkdir()
    data.mkdir()
    (configs / f"{PIPELINE}.yaml").write_text(YAML, "utf-8")
    (data / "customers.csv").write_text(make_rows(), "utf-8")
    return variables | {"EVERTRAIN_CONFIGS": str(configs), "EVERTRAIN_DATA": str(data)}


def make_rows() -> str:
    """Two months of made-up customers, the older ones likelier to leave."""
    draw = random.Random(0)
    lines = ["seen,age,visits,churned"]
    for number in range(1500):
        age = draw.randint(18, 80)
        leaves = draw.random() < (0.8 if age > 50 else 0.2)
        day = f"2026-{1 + number // 750:02d}-{1 + number % 28:02d}"
        lines.append(f"{day},{age},{draw.uniform(0, 9):.2f},{str(leaves).lower()}")
    return "\n".join(lines) + "\n"


def check(engine: Engine, scratch: Path, *, keep: bool) -> None:
    """Try the stack on *engine*; *keep*: wait for Enter before it is taken down."""
    stack = Stack(engine, make_variables(scratch))
    with engine.running():
        try:
            stack.try_it()
        except CheckFailed:
            say("logs", "the last lines of each service")
            print(stack.compose("logs", "--tail", "30"), file=sys.stderr)
            raise
        finally:
            if keep:
                input(f"{stack.addresses}\nEnter takes it down ")
            stack.take_down()


def main() -> int:
    """Run the check; 0 if everything holds, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stand-ins", action="store_true", help="use Podman and images built here")
    parser.add_argument("--keep", action="store_true", help="wait for Enter before it is taken down")
    asked = parser.parse_args()
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="evertrain-compose-"))
    scratch.chmod(0o755)
    try:
        check(PodmanWithStandIns(scratch) if asked.stand_ins else Docker(), scratch, keep=asked.keep)
    except CheckFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"docker-compose.yml holds what it promises ({time.monotonic() - began:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
