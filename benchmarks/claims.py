"""Owns the table of claims that were proved at full size; ``python benchmarks/claims.py`` writes it.

It measures nothing: each line is a result file that a proof of ``benchmarks/full`` wrote.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from measuring.tables import spell_table, write_section

RESULTS = Path(__file__).parent / "results"
IDENTITY = re.compile(r"([A-Z]+)(\d+)")


def read_claims() -> list[dict[str, Any]]:
    """The result files of proofs, by id."""
    found = [json.loads(path.read_text("utf-8")) for path in RESULTS.glob("[A-Z]*.json")]
    return sorted(found, key=lambda each: _order(each["id"]))


def _order(identity: str) -> tuple[str, int]:
    match = IDENTITY.fullmatch(identity)
    assert match is not None, identity
    return match[1], int(match[2])


def spell_section(claims: Iterable[Mapping[str, Any]]) -> str:
    """Spell the README's part."""
    rows = [
        [
            each["id"],
            each["claim"],
            f"{each['n']:,}",
            each["failures"],
            "; ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in each["figures"].items()),
            f"{each['commit']}, {each['date']}",
        ]
        for each in claims
    ]
    return spell_table(["id", "claim", "trials", "parts that fail", "figures", "commit"], rows)


if __name__ == "__main__":
    write_section("claims", spell_section(read_claims()))
    sys.stdout.write(f"{len(read_claims())} claims stand in benchmarks/README.md.\n")
