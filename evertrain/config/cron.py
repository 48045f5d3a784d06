"""Owns what a schedule may look like: cron's five fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LONGEST = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

# Each field's name, least and greatest value, and the words that stand for values.
FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(MONTHS, start=1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(DAYS)}),
)
ITEM = re.compile(r"(?:\*|(?P<low>[0-9A-Z]+)(?:-(?P<high>[0-9A-Z]+))?)(?:/(?P<step>[0-9]{1,4}))?", re.ASCII)


def explain_cron(text: str) -> str | None:
    """Say what a schedule must look like where *text* doesn't; None: it does."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        return 'cron\'s five fields: minute, hour, day of month, month, day of week, such as "0 3 * * 1"'
    for field, (name, least, most, words) in zip(fields, FIELDS, strict=True):
        if not all(_is_item(item, least, most, words) for item in field.upper().split(",")):
            forms = f"*, a value from {least} to {most}, a range a-b, a step */n or a list of these"
            return f"{name} as {forms}, not {field}"
    return None if _ever_comes(fields) else "a day that its months have: this one never comes"


def _ever_comes(fields: list[str]) -> bool:
    """Whether there is a day on which the schedule is due; 30 February is none."""
    _, _, days, months, weekday = (field.upper() for field in fields)
    # Where both days are given, cron takes either.
    if weekday != "*":
        return True
    longest = max(LONGEST[month] for month in _values(months, 12, dict(FIELDS[3][3])))
    return min(_values(days, 31, {})) <= longest


def _values(field: str, most: int, words: dict[str, int]) -> Iterator[int]:
    """List the values, counted from 1, that a sound *field* stands for."""
    for item in field.split(","):
        match = ITEM.fullmatch(item)
        assert match is not None
        low = _number(match["low"] or "1", words) or 1
        step = int(match["step"] or 0)
        last = match["high"] or (None if step or match["low"] is None else match["low"])
        yield from range(low, (_number(last, words) or most if last else most) + 1, step or 1)


def _is_item(item: str, least: int, most: int, words: dict[str, int]) -> bool:
    match = ITEM.fullmatch(item)
    if not match or (match["step"] is not None and int(match["step"]) == 0):
        return False
    ends = [_number(text, words) for text in (match["low"], match["high"]) if text is not None]
    in_range = all(end is not None and least <= end <= most for end in ends)
    return in_range and ends == sorted(end for end in ends if end is not None)


def _number(text: str, words: dict[str, int]) -> int | None:
    return int(text) if text.isdigit() else words.get(text)
