"""Reading JSON strictly: what is read fast is read as what is read key by key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.errors import InvalidInput
from serving.strict_json import MANY_OBJECTS, read_json

TEXTS = st.text('ab"\\{}[]:, é\n', max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(
    st.dictionaries(TEXTS, VALUES, max_size=4), min_size=MANY_OBJECTS, max_size=2 * MANY_OBJECTS
)


@given(records=RECORDS, ascii_only=st.booleans())
@settings(max_examples=200, deadline=None)
def test_many_objects_are_read_as_they_are(records, ascii_only):
    """Whatever texts, escapes and nesting they hold."""
    body = json.dumps({"dataframe_records": records}, ensure_ascii=ascii_only).encode()
    assert read_json(body) == ({"dataframe_records": records}, False)


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
