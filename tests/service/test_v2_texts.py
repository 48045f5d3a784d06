"""Texts of V2's binary extension: each after its length."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.errors import InvalidInput
from serving.protocols.v2_tensors import read_bytes, write_bytes

TEXTS = st.text(st.sampled_from("aZ\0\x01\x03é\x7f"), max_size=5) | st.just("x" * 130)
PLAIN = st.text(st.sampled_from("aZ\x01\x03\x7f"), min_size=1, max_size=5)


@given(texts=st.lists(TEXTS, min_size=1, max_size=12) | st.lists(PLAIN, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_texts_are_read_whatever_they_hold(texts):
    """Short ones are read without looking at each; zeros, accents, empty and long ones come out the same."""
    assert read_bytes("x", "BYTES", write_bytes("BYTES", texts), len(texts)) == texts


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=12) | st.lists(PLAIN, min_size=1, max_size=12),
    flaw=st.sampled_from([b"", b"\0", b"a", b"\0\0\0\0", b"\1\0\0\0a"]),
    cut=st.integers(0, 3),
    place=st.integers(0, 40),
)
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_no_such_texts_are_refused(texts, flaw, cut, place):
    """What was cut or added to is refused, unless it happens to be texts: they are given as they are."""
    whole = write_bytes("BYTES", texts)
    raw = whole[:place] + flaw + whole[place : len(whole) - cut]
    try:
        found = read_bytes("x", "BYTES", raw, len(texts))
    except InvalidInput:
        return
    assert write_bytes("BYTES", found) == raw
