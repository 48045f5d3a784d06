"""Owns what a batch has done so far: chunks of answers on this machine's disk, and how far they reach."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.errors import StorageError
from evertrain.failpoints import failpoint
from evertrain.locks import locked

if TYPE_CHECKING:
    import pyarrow as pa

FORGOTTEN_SECONDS = 7 * 24 * 3600
"""A batch that was given up is cleared away by the next one of its pipeline after a week."""
_STATE = "state.json"


@dataclass(frozen=True)
class State:
    """How far a batch has come."""

    chunks: int = 0
    rows: int = 0
    is_whole: bool = False
    unseen: Mapping[str, int] = field(default_factory=dict)


class Workplace:
    """The folder of one batch. A chunk counts once the state says so: one that a kill cut off doesn't."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state = _read_state(folder / _STATE)

    def keep(self, answers: pa.Table, unseen: Mapping[str, int]) -> None:
        """Keep the next chunk.

        Raises:
            OSError: It can't be written.
        """
        import pyarrow as pa

        path = str(self._chunk(self.state.chunks))
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, answers.schema) as writer:
            writer.write_table(answers)
        counted = Counter(self.state.unseen) + Counter(unseen)
        self._set(State(self.state.chunks + 1, self.state.rows + answers.num_rows, False, counted))
        failpoint("after-batch-chunk")

    def finish(self) -> None:
        """Say that all rows are scored."""
        self._set(State(self.state.chunks, self.state.rows, True, self.state.unseen))

    def tables(self) -> Iterator[pa.Table]:
        """The chunks in their order, one at a time."""
        import pyarrow as pa

        for number in range(self.state.chunks):
            with pa.memory_map(str(self._chunk(number))) as file, pa.ipc.open_file(file) as reader:
                yield reader.read_all()

    def remove(self) -> None:
        """Clear it away: the answers are where they were wanted."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _chunk(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrow"

    def _set(self, state: State) -> None:
        path = self._folder / _STATE
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(vars(state) | {"unseen": dict(state.unseen)}))
        beside.replace(path)
        self.state = state


@contextmanager
def open_workplace(folder: Path) -> Iterator[Workplace]:
    """Open the folder of one batch; whoever wants the same batch meanwhile, waits.

    Raises:
        StorageError: The folder can't be made or written.
    """
    try:
        with locked(folder.with_suffix(".lock")):
            _clear_forgotten(folder)
            folder.mkdir(exist_ok=True)
            yield Workplace(folder)
    except OSError as cause:
        raise StorageError(
            f"Can't keep the batch's answers in {folder}: {cause.strerror or cause}. Free some space there, "
            "or set EVERTRAIN_HOME to another disk, and run the same command again: it goes on from there."
        ) from cause


def _read_state(path: Path) -> State:
    try:
        return State(**json.loads(path.read_text()))
    except FileNotFoundError:
        return State()
    except (ValueError, TypeError):
        # A machine that lost power may leave half a file: the rows are scored again.
        return State()


def _clear_forgotten(folder: Path) -> None:
    before = time.time() - FORGOTTEN_SECONDS
    for other in folder.parent.iterdir():
        if other != folder and other.is_dir() and other.stat().st_mtime < before:
            shutil.rmtree(other, ignore_errors=True)
