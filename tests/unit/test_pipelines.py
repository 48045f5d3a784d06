from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from evertrain.errors import ConfigError
from evertrain.liveness import identify_process
from evertrain.pipelines import config_path, open_existing_journal, parse_as_of
from evertrain.release import decide_claimed, open_journal
from evertrain.settings import read_settings
from evertrain.storage import open_store


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2013-05-01", datetime(2013, 5, 1, tzinfo=UTC)),
        ("2013-05-01T06:30:00Z", datetime(2013, 5, 1, 6, 30, tzinfo=UTC)),
        ("2013-05-01T06:30:00", datetime(2013, 5, 1, 6, 30, tzinfo=UTC)),
        ("2013-05-01T06:30:00+02:00", datetime(2013, 5, 1, 6, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_as_of_is_iso_time_and_utc_without_a_zone(text: str, time: datetime) -> None:
    """A date alone is its first moment."""
    found = parse_as_of(text)

    assert found == time
    assert found.tzinfo is UTC


def test_no_as_of_is_none() -> None:
    """Whoever asks for none gets now, which the data decides."""
    assert parse_as_of(None) is None


def test_as_of_that_is_no_time_is_refused() -> None:
    """The message shows what a time looks like."""
    with pytest.raises(ConfigError, match="2013-05-01T06:00:00Z"):
        parse_as_of("soon")


def test_a_pipeline_may_be_named_without_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`flights` is `configs/flights.yaml` where that exists; a path stays what it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "flights.yaml").write_text("")

    assert config_path("flights") == Path("configs/flights.yaml")
    assert config_path("weather") == Path("weather")
    assert config_path("configs/flights.yaml") == Path("configs/flights.yaml")


def test_a_pipeline_that_never_trained_is_told_so(tmp_path: Path) -> None:
    """An empty store names no pipeline to choose from; a look leaves nothing behind."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})

    with pytest.raises(ConfigError, match="there is none yet"):
        open_existing_journal("flights", settings)

    assert not list(tmp_path.iterdir())


def test_a_journal_that_was_wiped_is_not_taken_for_none(tmp_path: Path) -> None:
    """Where the entries are gone and the head still names one, somebody took them away."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    owner = identify_process()
    journal = open_journal(open_store(settings.store), "flights", "me")
    journal.append(decide_claimed("train", owner, 15.0))
    (entry,) = (tmp_path / "store" / "journal" / "flights").iterdir()
    entry.unlink()

    found = open_existing_journal("flights", settings).verify()

    assert any("the tail was cut" in problem for problem in found.problems)
