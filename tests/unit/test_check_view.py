"""Tests of how a plan looks in a terminal."""

from __future__ import annotations

from evertrain.cli.check_view import spell_parameters


def test_a_parameter_that_is_gone_is_not_shown() -> None:
    """scikit-learn marks what it no longer takes by a word that looks like a value; nobody set it."""
    assert spell_parameters({"C": 1.0, "penalty": "deprecated", "tol": None}) == ["C=1.0", "tol=None"]
