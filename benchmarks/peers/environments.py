"""Owns the peers' environments: one each, pinned, byte-compiled, kept in ``.bench`` between runs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"


class NotInstalled(Exception):
    """A peer's environment can't be made here; the message says why."""


def python_of(peer: str, kept: Path = ROOT / ".bench", requirements: Path = REQUIREMENTS) -> Path:
    """Give the interpreter of *peer*'s environment; makes it if its requirements are new.

    Args:
        peer: Names ``<requirements>/<peer>.txt``.
        kept: The folder of environments.
        requirements: The folder of requirements.

    Raises:
        NotInstalled: pip can't install them.
    """
    wanted, folder = requirements / f"{peer}.txt", kept / peer
    stamp, python = folder / "installed.sha256", folder / "bin" / "python"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    print(f"making the environment of {peer}: some minutes, once", file=sys.stderr)
    _run(peer, sys.executable, "-m", "venv", "--clear", str(folder))
    _run(peer, str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r", str(wanted))
    # Some packages ship files for other Pythons, which can't be compiled and aren't imported.
    command = [str(python), "-W", "ignore", "-m", "compileall", "-q", "-q", "-j", "0", str(folder / "lib")]
    subprocess.run(command, check=False)
    stamp.write_text(digest)
    return python


def _run(peer: str, *words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join(errors) or done.stderr[-500:]
        raise NotInstalled(f"{peer} can't be installed here: {reason}")
