"""Tests of when Prefect's own heartbeat of a flow run is left out."""

from __future__ import annotations

import pytest
from prefect.settings import get_current_settings

from flows.heartbeats import ASKED_BY, without_heartbeats


def test_no_heartbeat_is_started_for_a_block() -> None:
    """Within the block Prefect's setting says none, after it what it said before."""
    before = get_current_settings().flows.heartbeat_frequency

    with without_heartbeats():
        assert get_current_settings().flows.heartbeat_frequency is None

    assert get_current_settings().flows.heartbeat_frequency == before == 180


@pytest.mark.parametrize("name", ASKED_BY)
def test_a_heartbeat_that_a_user_asked_for_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who set how often wants it: an automation of his may wait for it."""
    monkeypatch.setenv(name, "60")

    with without_heartbeats():
        assert get_current_settings().flows.heartbeat_frequency is not None
