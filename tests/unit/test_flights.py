from __future__ import annotations

import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evertrain import flights
from evertrain.errors import SourceError


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    flights.main(["--to", str(folder)])
    return folder


def test_every_row_of_the_year_lands_in_exactly_one_month(examples: Path) -> None:
    """Twelve files a table hold together what the package holds."""
    rows = {
        table: sum(pq.read_metadata(path).num_rows for path in sorted((examples / table).iterdir()))
        for table in ("flights", "weather")
    }

    assert rows == {"flights": 336_776, "weather": 26_115}
    assert len(list((examples / "flights").iterdir())) == 12


def test_missing_values_and_times_are_typed(examples: Path) -> None:
    """NA is missing and time_hour is a moment in UTC."""
    january = pq.read_table(examples / "flights" / "2013-01.parquet")

    assert january["arr_delay"].null_count > 0
    assert str(january.schema.field("arr_delay").type) == "int64"
    assert january["time_hour"][0].as_py().isoformat() == "2013-01-01T10:00:00+00:00"


def test_cutting_again_gives_the_same_bytes_and_leaves_nothing_else(examples: Path, tmp_path: Path) -> None:
    """Two cuts agree byte for byte, and no temporary file stays."""
    again = flights.cut_examples(tmp_path)

    assert [path.relative_to(tmp_path) for path in again] == sorted(
        path.relative_to(examples) for path in examples.rglob("*.*")
    )
    assert all(path.read_bytes() == (examples / path.relative_to(tmp_path)).read_bytes() for path in again)


def test_an_uninstalled_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says which one, and how to get it."""
    monkeypatch.setattr(flights, "PACKAGE", "no_such_package_here")

    with pytest.raises(SourceError, match=r"no_such_package_here.*make \.venv"):
        flights.find_package_data()


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    """A file that is no zip file is named with its cause kept."""
    broken = tmp_path / "flights.csv.zip"
    broken.write_bytes(b"not a zip")

    with pytest.raises(SourceError, match=r"flights\.csv\.zip") as caught:
        flights.zipped_member(broken)

    assert isinstance(caught.value.__cause__, zipfile.BadZipFile)
