"""Owns the word for a notice that wasn't taken."""

from __future__ import annotations


class NotSentError(Exception):
    """A notice wasn't taken; says why, in words that hold nothing of the address."""
