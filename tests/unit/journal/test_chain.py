from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.journal.chain import (
    ORIGIN,
    Entry,
    Fold,
    Illegal,
    encode_entry,
    entry_key,
    find_break,
    hash_of,
    parse_entry,
    parse_head,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DATA = st.dictionaries(TEXT, st.none() | st.integers() | TEXT | st.lists(TEXT, max_size=3), max_size=4)


def entry(**changes) -> Entry:
    fields = {
        "number": 1,
        "entry_id": "e",
        "previous": ORIGIN,
        "kind": "noted",
        "pipeline": "flights",
        "at": "2024-01-01T00:00:00+00:00",
        "actor": "me",
        "reason": "",
        "fence": None,
        "data": {},
        "hash": "",
    }
    return Entry(**{**fields, **changes})


@settings(max_examples=50)
@given(TEXT, DATA, st.none() | st.integers(), st.integers(min_value=1))
def test_an_entry_survives_its_bytes(reason: str, data: dict, fence: int | None, number: int) -> None:
    """Reading gives back what was written, with the hash of its bytes; writing that gives the same bytes."""
    body = encode_entry(entry(reason=reason, data=data, fence=fence, number=number))
    found = parse_entry(body)
    assert found == entry(reason=reason, data=data, fence=fence, number=number, hash=hash_of(body))
    assert encode_entry(found) == body


@pytest.mark.parametrize(
    "changes",
    [{"number": "1"}, {"number": True}, {"fence": "1"}, {"fence": False}, {"kind": None}, {"data": []}],
)
def test_an_entry_with_an_ill_typed_field_can_not_be_read(changes: dict) -> None:
    """Each field has one type; a boolean isn't a number."""
    with pytest.raises(ValueError, match="wrong type"):
        parse_entry(encode_entry(entry(**changes)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"null", b"[" * 100_000])
def test_what_is_no_entry_can_not_be_read(body: bytes) -> None:
    """Garbage is a ValueError, whatever the parser makes of it."""
    with pytest.raises(ValueError, match=r"."):
        parse_entry(body)


def test_another_spelling_of_an_entry_is_not_an_entry() -> None:
    """One space, another order or a repeated key changes the hash, so none of them is accepted."""
    body = encode_entry(entry())
    found = json.loads(body)
    spaced = json.dumps(found, sort_keys=True).encode()
    turned = json.dumps(dict(reversed(found.items())), separators=(",", ":")).encode()
    twice = body.replace(b'"actor":"me"', b'"actor":"me","actor":"me"')
    for other in (spaced, turned, twice):
        assert other != body
        with pytest.raises(ValueError, match="canonical"):
            parse_entry(other)


@pytest.mark.parametrize("body", [b'{"hash":1,"number":1}', b'{"hash":"x","number":"1"}', b'{"number":1}'])
def test_what_is_no_head_can_not_be_read(body: bytes) -> None:
    """A head is a number and a hash."""
    with pytest.raises(ValueError, match=r"."):
        parse_head(body)


def test_an_entry_must_stand_where_it_says_after_what_it_says() -> None:
    """Another number, another pipeline or another predecessor breaks the chain; an unknown one can't."""
    assert find_break(entry(), "flights", 1, ORIGIN) is None
    assert find_break(entry(), "flights", 1, None) is None
    assert "entry 2" in (find_break(entry(), "flights", 2, ORIGIN) or "")
    assert "of flights" in (find_break(entry(), "trips", 1, ORIGIN) or "")
    assert "doesn't follow" in (find_break(entry(), "flights", 1, "f" * 64) or "")


def test_a_fold_passes_over_what_is_not_legal() -> None:
    """Illegal entries change nothing, wherever the fold begins."""

    def add(total: int, one: Entry) -> int:
        if one.number == 2:
            raise Illegal("two")
        return total + one.number

    fold = Fold(0, add)
    entries = [entry(number=number) for number in (1, 2, 3)]
    assert fold.over(entries) == 4
    assert fold.over(entries, 10) == 14


def test_keys_sort_as_numbers() -> None:
    """A list of keys is in the order of the entries."""
    assert entry_key("flights", 9) < entry_key("flights", 10) == "journal/flights/000000000010.json"
