"""Owns what the architecture tests look at: the repository's root, its files and its Python."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("evertrain", "tasks", "flows", "serving")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def committed(repository: Path) -> tuple[Path, ...]:
    """Every file that is committed, or would be: nothing that git ignores."""
    command = [
        "git",
        "-c",
        f"safe.directory={repository}",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True, timeout=60)
    paths = [repository / name for name in sorted(set(listed.stdout.split("\0"))) if name]
    return tuple(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def product(committed: tuple[Path, ...], repository: Path) -> dict[Path, ast.Module]:
    """The product's modules, parsed, by path from the root."""
    return parse(committed, repository, PACKAGES)


@pytest.fixture(scope="session")
def everything(committed: tuple[Path, ...], repository: Path) -> dict[Path, ast.Module]:
    """All Python here, parsed, by path from the root."""
    return parse(committed, repository, (*PACKAGES, "tests", "benchmarks"))


def parse(paths: tuple[Path, ...], repository: Path, tops: tuple[str, ...]) -> dict[Path, ast.Module]:
    relative = [path.relative_to(repository) for path in paths if path.suffix == ".py"]
    return {
        path: ast.parse((repository / path).read_text("utf-8"), filename=str(path))
        for path in relative
        if path.parts[0] in tops
    }
