from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

# Spelt so that this file doesn't hold what it looks for. A place starts a path: /srv/home/ is anybody's.
PLACES = re.compile(rb"(?<![\w.-])/(work|farm|tmp/bash_\w*|root|home|Users)/")
ADDRESSES = re.compile(rb"index[-]url|find[-]links|pypi[.]org|pythonhosted[.]org|[\"]resolved[\"]: [\"]http")
TARGETS = ("demo", "test", "test-all", "lint", "up", "docs", "bench", "full-%", ".venv", "data")


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return normalised(found.group())


def locked_blocks(lock: Path) -> dict[str, str]:
    """The lock's entries by name; each runs to the next line that isn't indented."""
    text = lock.read_text("utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    return {requirement_name(block): block for block in blocks}


@pytest.mark.parametrize("pattern", [PLACES, ADDRESSES], ids=["machine paths", "registry addresses"])
def test_no_committed_file_names_a_machine(pattern: re.Pattern[bytes], committed: tuple[Path, ...]) -> None:
    """What is committed runs anywhere: it names no folder of a machine and no registry."""
    found = [
        f"{path.name}: {match.group().decode()}"
        for path in committed
        if path.suffix not in (".png", ".parquet", ".onnx")
        for match in pattern.finditer(path.read_bytes())
    ]

    assert found == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(PLACES, "cd /" + "work/main"), (PLACES, '"/' + 'home/me/x"'), (ADDRESSES, "--index" + "-url x")],
)
def test_the_search_for_machines_finds_them(pattern: re.Pattern[bytes], text: str) -> None:
    """The rule above can fail."""
    assert pattern.search(text.encode())


def test_the_lock_pins_every_package_by_hash(repository: Path) -> None:
    """Each entry has one exact version and at least one hash, and none an address."""
    blocks = locked_blocks(repository / "requirements.lock")

    assert len(blocks) > 100
    assert [name for name, block in blocks.items() if not re.match(r"\S+==\S+", block)] == []
    assert [name for name, block in blocks.items() if "--hash=sha256:" not in block] == []
    assert "://" not in "".join(blocks.values())


def test_the_lock_covers_every_extra_and_group(repository: Path) -> None:
    """Whatever pyproject.toml asks for, in any extra or group, is locked."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))
    asked = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
    ]

    assert {requirement_name(line) for line in asked} - {"evertrain"} <= set(
        locked_blocks(repository / "requirements.lock")
    )


def test_the_one_makefile_has_its_targets(repository: Path) -> None:
    """The targets that README and CI name are there for ever."""
    rules = re.findall(
        r"^([\w.%-]+(?: [\w.%-]+)*):(?!=)", (repository / "Makefile").read_text("utf-8"), re.MULTILINE
    )

    assert {target for rule in rules for target in rule.split()} >= set(TARGETS)


def test_ci_runs_the_command_that_readme_gives(repository: Path) -> None:
    """.ci/run is executable, calls `make test`, and is what the hosted CI calls."""
    script = repository / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert re.search(r"^make test\b", script.read_text("utf-8"), re.MULTILINE)
    assert ".ci/run" in (repository / ".github" / "workflows" / "ci.yml").read_text("utf-8")


def test_hosted_actions_are_pinned_and_hold_no_rights(repository: Path) -> None:
    """Every action is named by a full commit, and the workflow starts with no permission at all."""
    for workflow in (repository / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text("utf-8")
        used = re.findall(r"uses: \S+?@(\S+)", text)

        assert used != []
        assert [name for name in used if not re.fullmatch(r"[0-9a-f]{40}", name)] == []
        assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)


def test_the_service_s_lock_is_part_of_the_lock(repository: Path) -> None:
    """The image gets the very versions that the tests ran with, and none of the control plane's libraries."""
    pins = re.compile(r"^[\w.-]+==[\w.+!-]+", re.MULTILINE)
    whole = set(pins.findall((repository / "requirements.lock").read_text("utf-8")))
    service = set(pins.findall((repository / "deployments" / "serving.lock").read_text("utf-8")))

    assert "fastapi" in {pin.split("==")[0] for pin in service}
    assert service <= whole
    assert {pin.split("==")[0] for pin in service} & {
        "prefect",
        "mlflow",
        "evidently",
        "great-expectations",
    } == set()
