"""Owns the rules on promotion, drift, batches and schedules."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from itertools import pairwise

from evertrain.config.cron import explain_cron
from evertrain.config.faults import Fault, fault_at, spell_value
from evertrain.config.rules.raw import Raw, is_number, pick, pick_numbers, pick_text
from evertrain.drift_records import MOST_CHECKS
from evertrain.settings import Settings

SCHEDULES = (("schedule", "train"), ("drift", "schedule"), ("batch", "schedule"))


def canary_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find canary steps that don't rise to all requests."""
    path = ("promotion", "strategy", "steps")
    steps = pick_numbers(raw, *path)
    if pick(raw, "promotion", "strategy", "type") != "canary" or not steps or max(steps) > 100:
        return
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield fault_at(path, spell_value(pick(raw, *path)), "steps that rise")
    elif steps[-1] != 100:
        yield fault_at(path, spell_value(pick(raw, *path)), "100 as the last step")


def ab_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find an A/B test whose verdict nothing could rest on: labels are joined to logged predictions."""
    if pick(raw, "promotion", "strategy", "type") != "ab":
        return
    for key, nothing in (("log_predictions", False), ("sample", 0)):
        if pick(raw, "serving", key) == nothing:
            found = f"ab, and serving.{key} is {spell_value(nothing)}"
            wanted = "another strategy, or predictions in the log: their labels decide an A/B test"
            yield fault_at(("promotion", "strategy", "type"), found, wanted)
            return


def confirm_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find a confirmation that no number of checks could give."""
    checks, of = pick(raw, "drift", "confirm", "checks"), pick(raw, "drift", "confirm", "of")
    of = 1 if of is None else of
    if is_number(checks) and is_number(of) and checks > of:
        yield fault_at(("drift", "confirm", "checks"), spell_value(checks), f"at most of ({spell_value(of)})")
    if is_number(of) and of > MOST_CHECKS:
        told = f"at most {MOST_CHECKS}, the checks that are remembered"
        yield fault_at(("drift", "confirm", "of"), spell_value(of), told)


def clock_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find a retraining policy that asks how new rows are, of data whose rows bear no time."""
    if pick(raw, "data", "timestamp") is not None:
        return
    for key in ("min_new_labels", "max_age"):
        value = pick(raw, "drift", key)
        if value not in (None, 0):
            yield fault_at(("drift", key), spell_value(value), "nothing, for it needs data.timestamp")


def timezone_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find a time zone that the time zone database doesn't know."""
    name = pick_text(raw, "schedule", "timezone")
    if name is not None and name != "UTC" and not _is_timezone(name):
        yield fault_at(
            ("schedule", "timezone"), spell_value(name), "an IANA time zone, such as Europe/Berlin or UTC"
        )


def _is_timezone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def batch_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find a batch of which one end is missing."""
    named = {key: pick(raw, "batch", key) for key in ("input", "output", "schedule")}
    if not any(named.values()):
        return
    for key in ("input", "output"):
        if named[key] is None:
            yield fault_at(("batch", key), "nothing", "an address, for batch needs input and output")


def schedule_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find schedules that are not cron's five fields."""
    for path in SCHEDULES:
        text = pick_text(raw, *path)
        problem = explain_cron(text) if text is not None else None
        if problem:
            yield fault_at(path, spell_value(text), problem)
