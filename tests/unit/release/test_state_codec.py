from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.canonical import canonical_json
from evertrain.liveness import ProcessIdentity
from evertrain.release import Claim, PipelineState, VersionState
from evertrain.release.state import Rollout
from evertrain.release.state_codec import state_codec

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
OWNERS = st.builds(ProcessIdentity, started=NUMBERS)
CLAIMS = st.builds(Claim, owner=OWNERS, lease_seconds=NUMBERS)
FACTS = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | NUMBERS | st.text(), max_size=3
)
VERSIONS = st.builds(VersionState, release=st.none() | FACTS)
STATES = st.builds(
    PipelineState,
    claims=st.dictionaries(st.text(), CLAIMS, max_size=2),
    versions=st.dictionaries(st.integers(1, 20), VERSIONS, max_size=12),
    rollout=st.none() | st.builds(Rollout, strategy=FACTS, guardrails=FACTS),
    keep_warm_seconds=NUMBERS,
)


@given(STATES)
def test_any_state_survives_its_spelling(state: PipelineState) -> None:
    """What a checkpoint gives back is what was folded, and it is spelled in one way only."""
    codec = state_codec()
    body = canonical_json(codec.encode(state))
    found = codec.decode(json.loads(body))
    assert found == state
    assert canonical_json(codec.encode(found)) == body


def test_versions_come_back_in_order() -> None:
    """JSON sorts keys as texts; nobody who goes through the versions may see that."""
    versions = {number: VersionState(number, *"abcdef") for number in range(1, 13)}
    codec = state_codec()
    found = codec.decode(json.loads(canonical_json(codec.encode(PipelineState(versions=versions)))))
    assert list(found.versions) == list(range(1, 13))


@pytest.mark.parametrize("spelled", [None, [], {"number": "x"}, {"claims": {"train": {}}}])
def test_what_is_no_state_is_refused(spelled: object) -> None:
    """A checkpoint of something else is as good as none."""
    with pytest.raises(ValueError, match="validation error"):
        state_codec().decode(spelled)


def test_the_rules_are_named_by_a_digest() -> None:
    """One codec for a process; its rules are a SHA-256."""
    assert state_codec() is state_codec()
    assert len(state_codec().rules) == 64
