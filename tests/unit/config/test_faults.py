"""What is said of a wrong configuration."""

from __future__ import annotations

import pytest

from evertrain.config.faults import Fault, fault_at, name_known, refuse, spell_path, spell_value
from evertrain.errors import ConfigError


def test_a_path_is_spelled_as_it_is_read():
    """Dots for keys, brackets for places, quotes for odd keys."""
    assert spell_path(("promotion", "strategy", "steps", 2)) == "promotion.strategy.steps[2]"
    assert spell_path(("space", "a b", "low")) == 'space["a b"].low'


def test_a_fault_is_one_line():
    """Where, what was found, what is allowed."""
    fault = fault_at(("training", "seed"), "-1", "a whole number")

    assert fault.line == "training.seed: -1; expected a whole number"


def test_all_faults_are_refused_as_one():
    """The message lists them, the attribute holds them, each once."""
    first, second = Fault(path="a", found="1", expected="2"), Fault(path="b", found="3", expected="4")

    with pytest.raises(ConfigError) as caught:
        refuse("x.yaml", [first, second, first])

    assert caught.value.message == "x.yaml: 2 faults\n  a: 1; expected 2\n  b: 3; expected 4"
    assert caught.value.attributes["faults"] == [first.model_dump(), second.model_dump()]
    assert caught.value.exit_code == 2


def test_no_faults_refuse_nothing():
    """A sound configuration goes on."""
    refuse("x.yaml", [])


def test_one_fault_is_one_fault():
    """The head counts."""
    with pytest.raises(ConfigError, match=r"^x.yaml: 1 fault\n"):
        refuse("x.yaml", [Fault(path="a", found="1", expected="2")])


def test_what_was_found_is_short_and_keeps_secrets():
    """A long value is cut, a URL's user and password are not shown."""
    assert len(spell_value("x" * 1000)) == 80
    assert spell_value("postgresql://me:secret@host/db") == '"postgresql://…@host/db"'


def test_known_names_are_listed_with_the_nearest():
    """A list that is too long is only hinted at."""
    assert name_known("tagret", ["source", "target"]) == "one of source, target (did you mean target?)"
    assert name_known("zzz", ["source", "target"]) == "one of source, target"
    assert name_known("n7x", [f"n{n}" for n in range(30)]).startswith(
        "one of 30 names, from n0 to n9 (did you mean n"
    )
    assert name_known("a", []) == "none here"
