"""Reading JSON strictly: what is read fast is read as what is read key by key."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evertrain.errors import InvalidInput
from serving.problems import Refusal
from serving.strict_json import read_json

TEXTS = st.text('ab"\\{}[]:, é\n', max_size=4)
INTEGERS = st.integers() | st.integers(-(2**70), 2**70) | st.integers(10**17, 10**20)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=12)
PIECES = st.sampled_from(
    [
        *'{}[],:" \\\n-.0159eE',
        *('"a"', '"a":', '"b": ', '"a" :', '":"', '":a"', '"é"', "true", "null", "NaN", "-Infinity"),
        *("1e400", "1e5", "-0", "0.", '"\\u0022"', '"\\ud800"', '"\\""', "1" + "0" * 18, "0." + "3" * 19),
        *("0" * 19, "\ufeff", "\ud800", "\x00", '{"a":1}', '[{"a":1},{"a":2}]', '{"a":1,"a":2}', "9" * 5000),
    ]
)


def slowly(body):
    """What the standard library reads with an eye on each key; the kind of refusal where it doesn't."""

    def refuse_repeated(pairs):
        if len(dict(pairs)) < len(pairs):
            raise InvalidInput("more than once", field="")
        return dict(pairs)

    try:
        return repr(json.loads(body.decode(), object_pairs_hook=refuse_repeated))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return Refusal
    except (InvalidInput, ValueError):
        return InvalidInput


def strictly(body):
    try:
        return repr(read_json(body)[0])
    except (Refusal, InvalidInput) as error:
        return type(error)


@given(pieces=st.lists(PIECES, max_size=14), around=st.sampled_from(["%s", "[%s]", "{%s}", '[{"a":%s}]']))
@example(pieces=['"a" :1,"a":"', ':"'], around="{%s}")
@example(pieces=["18446744073709551616"], around="[%s]")
@example(pieces=["0." + "3" * 19 + ",", "9" * 38], around="[%s]")
@settings(max_examples=1000, deadline=None)
def test_whatever_stands_there_is_read_as_key_by_key(pieces, around):
    """The same value, with the same types to the last bit, or the same refusal."""
    body = (around % "".join(pieces)).encode("utf-8", "surrogatepass")

    assert strictly(body) == slowly(body)


@given(records=RECORDS, ascii_only=st.booleans())
@settings(max_examples=200, deadline=None)
def test_objects_are_read_as_they_are(records, ascii_only):
    """Whatever texts, escapes, numbers and nesting they hold."""
    body = json.dumps({"dataframe_records": records}, ensure_ascii=ascii_only).encode()

    assert read_json(body) == ({"dataframe_records": records}, False)
    assert strictly(body) == slowly(body)


@given(records=RECORDS, place=st.integers(0, 10_000), key=TEXTS, first=VALUES, second=VALUES)
@settings(max_examples=200, deadline=None)
def test_a_repeated_key_is_found_among_many_objects(records, place, key, first, second):
    """Wherever it stands, and whatever its two values are: texts bring quotation marks of their own."""
    spelled = [json.dumps(record, ensure_ascii=False) for record in records]
    pairs = ", ".join(
        f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value)}" for value in (first, second)
    )
    spelled.insert(place % (len(spelled) + 1), f"{{{pairs}}}")
    body = f'{{"dataframe_records": [{", ".join(spelled)}]}}'.encode()

    with pytest.raises(InvalidInput, match="more than once") as found:
        read_json(body)
    assert found.value.field == key


def test_constants_are_noticed_among_many_objects():
    """NaN and Infinity are told of, however the body was read."""
    row = '{"x": "a", "y": %s}'
    for last, noticed in (("NaN", True), ("-Infinity", True), ("1", False)):
        body = f"[{', '.join([row % 1] * 20 + [row % last])}]"
        assert read_json(body.encode())[1] is noticed
