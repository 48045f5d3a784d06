"""YAML 1.2's core schema, bounded, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.config.yaml_reader import parse_value, read_yaml
from evertrain.errors import ConfigError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    # What no YAML file may hold unescaped isn't what is tested here.
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_é:#", max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_json_reads_as_itself(value):
    """JSON is YAML 1.2, and means the same."""
    assert parse_value(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("False", False),
        *(
            (word, word)
            for word in ("yes", "Yes", "NO", "on", "off", "y", "tRUE", "nULL", "1_000", "1:30", "2013-01-31")
        ),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+12", 12),
        ("-0", 0),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("|\n  5", "5"),
        ("99999999999999999999", 99999999999999999999),
    ],
)
def test_scalars_are_of_the_core_schema(text, value):
    """Only the core schema's words are more than text."""
    read = parse_value(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\na: 2", 2, 1, "'a' stands here twice"),
        ("{a: {b: 1, b: 2}}", 1, 12, "'b' stands here twice"),
        ("a: !!int '5'", 1, 4, "the tag tag:yaml.org,2002:int is not taken"),
        ("a: !python/name:os.system x", 1, 4, "the tag"),
        ("a: ! x", 1, 4, "the tag !"),
        ("- !!map {}", 1, 3, "the tag"),
        ("x: &x {a: 1}\n<<: *x", 2, 1, "merge keys"),
        ("1: x", 1, 1, "a key is a number; expected text: put it in quotes"),
        ("true: x", 1, 1, "a key is a truth value"),
        ("? [a]\n: x", 1, 3, "a key is a list"),
        ("null: x", 1, 1, "a key is nothing"),
        ("a: .nan", 1, 4, "expected a finite number"),
        ("a: -.inf", 1, 4, "expected a finite number"),
        ("a: 1e999", 1, 4, "too large"),
        ("a: " + "9" * 301, 1, 4, "301 digits"),
        ("a: &a [*a]", 1, 8, "no complete anchor"),
        ("a: *b", 1, 4, "no complete anchor"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document"),
        ("[" * 60, 1, 52, "nested over 50 deep"),
        ("a: [1, 2", 1, 9, "check quotes, brackets and indentation"),
        ("a: b: c", 1, 5, "a second ': ' on one line"),
        ("a:\n\tb: 1", 2, 1, "indent with spaces"),
        ('"\\ud83d"', 1, 1, "half of a surrogate pair"),
    ],
)
def test_what_could_surprise_is_refused_where_it_stands(text, line, column, words):
    """A fault names its line, its column and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        parse_value(text)

    assert words in caught.value.message
    assert (caught.value.attributes["line"], caught.value.attributes["column"]) == (line, column)


def test_escaped_surrogate_pairs_are_one_character():
    """JSON's spelling of a character beyond the first 65,536 is read as that character."""
    assert parse_value('"\\ud83d\\ude00"') == "😀"


def test_an_unprintable_character_is_refused_by_line():
    """YAML has no place for control characters."""
    with pytest.raises(ConfigError, match="line 2: holds an unprintable character"):
        parse_value("a: 1\nb: \x01")


def test_aliases_are_counted_as_what_they_stand_for():
    """A few lines of aliases may not stand for a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(ConfigError, match="over 100,000 values"):
        parse_value("\n".join(lines))


def test_an_alias_means_what_its_anchor_holds():
    """An alias within bounds is fine."""
    assert parse_value("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


def test_a_file_is_read_with_its_byte_order_mark(tmp_path):
    """An editor's byte order mark is no part of the first key."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: \xc3\xa9\n")

    assert read_yaml(path) == {"name": "é"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds nothing"),
        (b"- a", "holds a list"),
        (b"a", "holds text"),
        (b"5", "holds a number"),
        (b"a: 1\nb: \xff\n", "line 2: isn't UTF-8"),
        (b"a: '" + b"x" * 1024 * 1024 + b"'", "over 1 MiB"),
        (b"a: 1\na: 2", "line 2, column 1"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content, words):
    """The message names the file."""
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(path)

    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("name", "words"), [("none.yaml", "no such file"), ("", "can't be read"), ("\0", "can't be read")]
)
def test_a_file_that_cannot_be_read_is_a_wrong_configuration(tmp_path, name, words):
    """No file, a folder and an impossible name are faults of what the user typed."""
    with pytest.raises(ConfigError, match=words):
        read_yaml(tmp_path / name)
