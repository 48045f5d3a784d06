"""Owns how DuckDB's faults in reading and querying are told to a user."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evertrain.errors import SourceError

LINES = 3
_FILE = re.compile(r"file = (.+)")
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_ADVICE = re.compile(r"\n\nLINE |Possible fixes:|Try setting|Try auto-detecting")
_ROW = re.compile(r"Original Line: .*\n")
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


def explain(message: str, query: str | None, names: Sequence[str]) -> SourceError:
    """Tell a fault by whose it is: a file's or the query's.

    Args:
        message: DuckDB's own.
        query: The pipeline's, if it has one.
        names: The columns of ``source``; none if the files couldn't be opened.
    """
    if "CSV Error" in message or "CSV Parser" in message:
        return _explain_csv(message)
    if query is None or not names or "Malformed JSON" in message:
        return SourceError(f"The source can't be read: {first_lines(message)} Mend the file or leave it out.")
    hint = ""
    if message.startswith("Binder Error"):
        hint = f" `source` has the columns {', '.join(map(repr, names))}."
    return SourceError(f"data.query fails: {first_lines(message)}{hint}")


def first_lines(message: str) -> str:
    """The first lines of a vendor's message, as one sentence without its advice and the place in the SQL."""
    text = _ADVICE.split(message, maxsplit=1)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    sentence = " ".join(lines[:LINES])
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def refuse_repeated(names: Sequence[str], path: Path) -> None:
    """Refuse a file that has a column twice.

    Raises:
        SourceError: Two names are equal, or differ only in case, which SQL doesn't tell apart.
    """
    counts = Counter(name.casefold() for name in names)
    twice = [name for name in names if counts[name.casefold()] > 1]
    if twice:
        raise SourceError(
            f"{str(path)!r} has several columns called {twice[0]!r} (in SQL, case makes no difference): "
            f"{', '.join(map(repr, twice))}. Rename one of them.",
            file=str(path),
        )


def _explain_csv(message: str) -> SourceError:
    # A row can be of any length, and hold any words.
    message = _ROW.sub("", message)
    file, line, width = _FILE.search(message), _LINE.search(message), _WIDTH.search(message)
    name = file[1] if file else "a file of the source"
    where = f"{name!r}, line {line[1]}" if line else f"{name!r}"
    if width:
        reason = f"expected {width[1]} fields as in the header, found {width[2]}. Mend that line."
    elif "unicode" in message or "utf-8" in message:
        reason = "it is not UTF-8. Save the file as UTF-8."
    elif "Maximum line size" in message:
        reason = "the line is longer than 2 MB. Shorten it, or save the data as Parquet."
    elif "unterminated quote" in message:
        reason = "a quote is opened and never closed. Mend that line."
    else:
        reason = f"it can't be read as CSV: {first_lines(message)}"
    return SourceError(f"{where}: {reason}", file=name)
