"""What ships beside the code to run it in containers, judged by its own tools; each catches a fault."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
DOCKERFILES = ("deployments/serving.Dockerfile", "deployments/flows.Dockerfile")
STAND_INS = "deployments/compose_check/stand_ins"
# Compose's word for what is done once and then over.
ONE_SHOT = {"buckets"}
HEAVY = {"pandas", "scikit-learn", "scipy", "skops", "mlflow", "prefect", "evidently", "great-expectations"}


def run(*command: str | Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **env},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def compose(file: Path, *words: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    # A developer's own .env mustn't decide.
    options = ("--env-file", "/dev/null", "--project-directory", folder, "-f", file)
    return run(BIN / "docker-compose", *options, *words, folder=folder, **env)


def secret_names(repository: Path) -> list[str]:
    lines = (repository / ".env.example").read_text("utf-8").splitlines()
    return [line.removesuffix("=") for line in lines if re.fullmatch(r"\w+=", line)]


@pytest.fixture(scope="module")
def secrets(repository: Path) -> dict[str, str]:
    """Every secret of `.env`, each another text."""
    return {name: f"secret{number}" for number, name in enumerate(secret_names(repository))}


@pytest.fixture(scope="module")
def services(repository: Path, secrets: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The compose file's services as Compose itself reads them."""
    told = compose(
        repository / "docker-compose.yml", "config", "--format", "json", folder=repository, **secrets
    )
    assert told.returncode == 0, told.stderr
    # Told on standard error: a variable that isn't set, an attribute that is obsolete.
    assert told.stderr == ""
    found: dict[str, dict[str, Any]] = json.loads(told.stdout)["services"]
    return found


def test_the_dockerfiles_are_clean(repository: Path) -> None:
    """Hadolint finds nothing, not even something to mention."""
    files = [*DOCKERFILES, *sorted((repository / STAND_INS).glob("*.Dockerfile"))]

    judged = run(BIN / "hadolint", "--failure-threshold", "style", *files, folder=repository)

    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FROM python:latest", "DL3007"),
        ("RUN apt-get update && apt-get install -y curl", "DL3008"),
        ("RUN pip install --no-cache-dir requests", "DL3013"),
        ("USER root", "DL3002"),
        ("RUN cd /tmp && sudo make", "DL3004"),
    ],
)
def test_a_planted_fault_of_a_dockerfile_is_caught(
    line: str, rule: str, repository: Path, tmp_path: Path
) -> None:
    """One bad line at the end of the real file is named by its rule."""
    file = tmp_path / "Dockerfile"
    file.write_text((repository / DOCKERFILES[0]).read_text("utf-8") + f"\n{line}\n", "utf-8")

    judged = run(BIN / "hadolint", "--no-color", file, folder=tmp_path)

    assert judged.returncode == 1
    assert rule in judged.stdout


def test_what_an_image_is_built_from_is_copied(repository: Path) -> None:
    """Each COPY finds its source past .dockerignore, which lets nothing else into the builder's hands."""
    kept = {
        line[1:].rstrip("/")
        for line in (repository / ".dockerignore").read_text("utf-8").splitlines()
        if line[:1] == "!"
    }
    copied = set()
    for file in DOCKERFILES:
        for words in re.findall(r"^COPY (?!--from)(.+) \S+$", (repository / file).read_text("utf-8"), re.M):
            copied.update(words.split())
    assert all((repository / name).exists() for name in copied)
    locks = {name for name in copied if name.endswith(".lock")}

    assert copied - locks == kept - {"deployments/*.lock"}
    assert locks == {
        str(path.relative_to(repository)) for path in (repository / "deployments").glob("*.lock")
    }


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────
def pins_of(file: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", file.read_text("utf-8"), re.M):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("name", ["serving", "serving-native", "flows"])
def test_an_image_holds_what_was_tested(name: str, repository: Path) -> None:
    """Each image's lock is a part of the one that the tests run with, and has what its extra asks for."""
    tested, image = (
        pins_of(repository / "requirements.lock"),
        pins_of(repository / f"deployments/{name}.lock"),
    )

    assert image.items() <= tested.items()
    wanted = {"serving": "onnxruntime", "serving-native": "scikit-learn", "flows": "psycopg-binary"}[name]
    assert {wanted, "boto3", "prometheus-client", "setuptools"} <= set(image)


def test_the_serving_image_is_light(repository: Path) -> None:
    """What answers from ONNX brings no control plane, no pandas and no scikit-learn."""
    assert not HEAVY & set(pins_of(repository / "deployments/serving.lock"))


# ── docker-compose.yml ───────────────────────────────────────────────────────────────────────────────────
def test_without_secrets_nothing_starts(repository: Path) -> None:
    """Each missing secret is named with the command that makes them all; none has a default."""
    refused = compose(repository / "docker-compose.yml", "config", "-q", folder=repository)

    assert refused.returncode != 0
    for name in secret_names(repository):
        assert re.search(rf"variable {name} is missing a value: run `make \.env`", refused.stderr), name


def test_a_planted_fault_of_the_compose_file_is_caught(
    repository: Path, secrets: dict[str, str], tmp_path: Path
) -> None:
    """A misspelt key, and a wait for a service that isn't there, are refused."""
    text = (repository / "docker-compose.yml").read_text("utf-8")
    file = tmp_path / "docker-compose.yml"
    for right, wrong in (("mem_limit: 512m", "memory_limit: 512m"), ("mlflow: {cond", "mlfow: {cond")):
        assert right in text
        file.write_text(text.replace(right, wrong, 1), "utf-8")
        assert compose(file, "config", "-q", folder=repository, **secrets).returncode != 0


def test_no_service_has_more_rights_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    """Nobody is root, writes to their image, holds a capability, can gain one, or grows without end."""
    for name, service in services.items():
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert service["read_only"], name
        assert (service["cap_drop"], service.get("cap_add")) == (["ALL"], None), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert min(int(service["mem_limit"]), service["pids_limit"]) > 0, name
        assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service), name


def test_nothing_is_published_beyond_loopback(services: dict[str, dict[str, Any]]) -> None:
    """Ports are open on this machine alone, those of the databases and the store not even there."""
    published = {name for name, service in services.items() if service.get("ports")}

    assert published == {"mlflow", "prefect", "inference", "prometheus"}
    for name in published:
        assert [port["host_ip"] for port in services[name]["ports"]] == ["127.0.0.1"]


def test_only_its_two_users_reach_the_database(services: dict[str, dict[str, Any]]) -> None:
    """PostgreSQL shares a network with MLflow and Prefect, and with nobody else."""
    on = {name for name, service in services.items() if "databases" in service["networks"]}

    assert on == {"postgres", "mlflow", "prefect"}
    assert set(services["postgres"]["networks"]) == {"databases"}


def test_each_service_is_watched_and_waits_for_what_it_needs(services: dict[str, dict[str, Any]]) -> None:
    """All that stay up have a health check; nobody starts before what they wait for is healthy, or done."""
    for name, service in services.items():
        assert ("healthcheck" in service) != (name in ONE_SHOT), name
        assert service["restart"] == ("on-failure" if name in ONE_SHOT else "unless-stopped"), name
        for other, waited in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert waited["condition"] == done, (name, other)


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    """Each image that isn't built here has an exact version."""
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), (name, service["image"])


def test_each_secret_goes_only_where_it_is_needed(
    services: dict[str, dict[str, Any]], secrets: dict[str, str]
) -> None:
    """Who answers callers knows no secret but its own, which can only read."""
    for name, own in (("inference", {"STORE_INFERENCE_SECRET"}), ("worker", {"STORE_WORKER_SECRET"})):
        known = json.dumps(services[name])
        assert {secret for secret, text in secrets.items() if f'"{text}"' in known} == own
    assert (
        "Write"
        not in re.findall(r"identity inference .*", (Path("deployments/store/start.sh")).read_text("utf-8"))[
            0
        ]
    )


def test_the_stand_ins_bear_the_names_of_the_real_images(
    repository: Path, services: dict[str, dict[str, Any]]
) -> None:
    """The check builds what the compose file asks for, neither more nor less."""
    text = (repository / "deployments/compose_check/engines.py").read_text("utf-8")
    built = set(re.findall(r'"docker\.io/(?:library/)?([\w./-]+:[\w.-]+)"', text))
    wanted = {service["image"] for service in services.values() if "build" not in service}
    base = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", (repository / DOCKERFILES[0]).read_text("utf-8"), re.M)

    assert built - {"evertrain-flows:0.1.0"} == wanted | set(base)


@pytest.mark.parametrize("script", ["deployments/postgres/databases.sh", "deployments/store/start.sh"])
def test_the_scripts_of_the_images_are_shell(script: str, repository: Path) -> None:
    """They parse, and may be executed."""
    assert run("sh", "-n", script, folder=repository).returncode == 0
    assert (repository / script).stat().st_mode & 0o111


def test_make_env_writes_secrets_once(repository: Path, tmp_path: Path) -> None:
    """`.env` is the user's alone, each of its secrets another 48 random digits, and never written over."""
    for name in ("Makefile", ".env.example"):
        shutil.copy(repository / name, tmp_path)

    first = run("make", "-s", ".env", folder=tmp_path)
    text = (tmp_path / ".env").read_text("utf-8")
    again = run("make", "-s", ".env", folder=tmp_path)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert (tmp_path / ".env").read_text("utf-8") == text
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    found = dict(re.findall(r"^(\w+)=(.+)$", text, re.M))
    assert set(found) == set(secret_names(repository))
    assert all(re.fullmatch(r"[0-9a-f]{48}", each) for each in found.values())
    assert len(set(found.values())) == len(found)


def test_secrets_are_not_committed(repository: Path) -> None:
    """Git looks past the files that hold them."""
    for name in (".env", "worker.env"):
        assert run("git", "check-ignore", "-q", name, folder=repository).returncode == 0, name
