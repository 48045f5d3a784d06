"""Owns the one spelling of JSON that digests are taken over."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Spell *value* as UTF-8 JSON with sorted keys, no spaces and no NaN.

    Raises:
        ValueError: *value* holds a number that JSON has no word for.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """SHA-256, in hex, of *value*'s canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
