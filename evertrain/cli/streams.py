"""Owns standard output and standard error of a command that goes on when whoever reads them has gone."""

from __future__ import annotations

import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)


class LastingFile(FileIO):
    """The file under a standard stream: once its reader has gone, what is written goes nowhere."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write *data*; returns how many bytes were taken."""
        try:
            return super().write(data)
        except BrokenPipeError:
            # The descriptor itself: what libraries and children write there can't fail either.
            _open_nowhere(self.fileno())
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Have nothing fail for want of a reader: `| head` changes neither a command's work nor its exit code.

    A standard stream that was closed is opened on nothing: a database could else be opened under its number.
    """
    for descriptor in (STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            _open_nowhere(descriptor)
    sys.stdout = _lasting(STANDARD_OUTPUT, sys.stdout)
    sys.stderr = _lasting(STANDARD_ERROR, sys.stderr)


def _lasting(descriptor: int, stream: TextIO | None) -> TextIO:
    file = BufferedWriter(LastingFile(descriptor, "w", closefd=False))
    if not isinstance(stream, TextIOWrapper):
        return TextIOWrapper(file, encoding="utf-8")
    at_once = stream.line_buffering or stream.write_through
    return TextIOWrapper(file, encoding=stream.encoding, errors=stream.errors, line_buffering=at_once)


def _open_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    os.set_inheritable(descriptor, True)
