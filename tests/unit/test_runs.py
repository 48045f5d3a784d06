from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from evertrain.runs import StepRecords, _version_of, code_digest, digest_sources, run_key
from evertrain.storage import LocalStore


class Trained(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    digest: str
    rows: int


class TrainedLater(Trained):
    seconds: float


def test_a_step_s_record_is_read_back(tmp_path: Path) -> None:
    """What a step gave is found by the same run, and by no other."""
    records = StepRecords(LocalStore(tmp_path), "k1")
    assert records.read("train", Trained) is None
    records.write("train", Trained(digest="d", rows=3))
    records.write("train", Trained(digest="d", rows=4))
    assert records.read("train", Trained) == Trained(digest="d", rows=4)
    assert StepRecords(LocalStore(tmp_path), "k2").read("train", Trained) is None
    assert (tmp_path / "runs" / "k1" / "train.json").exists()


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"digest": "d"}', b'{"digest": "d", "rows": 1, "old": 2}', b"\xff"]
)
def test_a_record_that_can_not_be_used_counts_as_absent(tmp_path: Path, body: bytes) -> None:
    """Garbage and records of an older shape make the step run again, not fail."""
    store = LocalStore(tmp_path)
    store.put("runs/k1/train.json", body)
    assert StepRecords(store, "k1").read("train", Trained) is None


def test_a_newer_shape_is_not_fed_an_older_record(tmp_path: Path) -> None:
    """A record that lacks a field of the present shape is absent."""
    records = StepRecords(LocalStore(tmp_path), "k1")
    records.write("train", Trained(digest="d", rows=3))
    assert records.read("train", TrainedLater) is None


@given(st.lists(st.text(), min_size=4, max_size=4), st.lists(st.text(), min_size=4, max_size=4))
def test_run_keys_are_equal_only_where_all_parts_are(one: list[str], other: list[str]) -> None:
    """The key is a function of its four parts and tells apart what differs, however the parts are cut."""
    assert (run_key(*one) == run_key(*other)) == (one == other)
    assert len(run_key(*one)) == 64


def test_the_code_s_digest_follows_the_library_not_the_command_line(tmp_path: Path) -> None:
    """A changed, added or renamed source changes the digests; the command line's sources don't count."""
    (tmp_path / "gates").mkdir()
    (tmp_path / "cli").mkdir()
    for name in ("a.py", "gates/b.py", "cli.py", "cli/c.py", "notes.txt"):
        (tmp_path / name).write_text(name)
    before = digest_sources(tmp_path)
    assert sorted(before) == ["a.py", "gates/b.py"]
    (tmp_path / "gates" / "b.py").write_text("changed")
    assert digest_sources(tmp_path)["gates/b.py"] != before["gates/b.py"]


def test_the_code_s_digest_is_one_number_per_process() -> None:
    """It is a SHA-256, the same at each call; a package that isn't installed has no version."""
    assert code_digest() == code_digest()
    assert len(code_digest()) == 64
    assert _version_of("no-such-package-anywhere") is None
