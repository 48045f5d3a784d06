"""Owns how the status page spells numbers: rates, times, shares and ages, to what a reader can use."""

from __future__ import annotations

NOTHING = "–"


def spell_rate(rate: float) -> str:
    """Requests a second: 0, 0.05, 1.2, 37, 1,240."""
    if rate < 0.01:
        return "0" if rate == 0 else "< 0.01"
    if rate < 1:
        return f"{rate:.2f}"
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def spell_seconds(seconds: float | None) -> str:
    """A latency, to two or three digits: 0.84 ms, 12.4 ms, 120 ms, 1.2 s; None: a dash."""
    if seconds is None:
        return NOTHING
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    digits = 2 if milliseconds < 1 else 1 if milliseconds < 100 else 0
    return f"{milliseconds:.{digits}f} ms"


def spell_share(share: float | None) -> str:
    """A share of [0, 1] in per cent: 0 %, < 0.1 %, 2.5 %, 40 %; None: a dash."""
    if share is None:
        return NOTHING
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def mark_rate(rate: float) -> str:
    """An axis' end in requests a second: 1, 50, 2,000."""
    return f"{rate:,g}"


def mark_seconds(seconds: float) -> str:
    """An axis' end in time: 0.5 ms, 20 ms, 2 s."""
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def mark_share(share: float) -> str:
    """An axis' end of shares, in per cent: 1 %, 100 %."""
    return f"{share * 100:g} %"


def spell_age(seconds: float) -> str:
    """How long something has lasted: 4 seconds, 1 minute, 3 hours, 12 days."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return spell_count(int(seconds // length), unit)
    return spell_count(int(seconds), "second")


def spell_count(number: int, unit: str) -> str:
    """So many of something: 1 model, 2 models, 1,240 requests."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
