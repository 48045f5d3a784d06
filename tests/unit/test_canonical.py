"""The one spelling of JSON that digests are taken over."""

from __future__ import annotations

import hashlib

import pytest

from evertrain.canonical import canonical_json, digest_of


def test_keys_are_sorted_and_nothing_is_escaped():
    """Two equal values have one spelling."""
    assert canonical_json({"b": [1, 1.5, None], "a": "é"}) == '{"a":"é","b":[1,1.5,null]}'.encode()


def test_a_digest_is_sha_256_of_the_spelling():
    """Anybody can recompute it."""
    assert digest_of({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_what_json_cannot_say_has_no_digest():
    """NaN would make a digest that no other reader agrees on."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
