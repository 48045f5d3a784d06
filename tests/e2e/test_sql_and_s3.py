"""The flights pipeline on other people's sources, by changing its YAML alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from evertrain.config.files import load_config
from evertrain.datasets import ingest
from evertrain.settings import read_settings
from evertrain.storage import LocalStore

# Two runs, the first with an embedded Prefect: minutes on a busy machine.
pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FILES = '{type: files, uri: "data/flights/*.parquet"}'
TYPES = {"int64": "bigint", "double": "double precision", "string": "text", "large_string": "text"}


class Laptop:
    """A folder with the flights pipeline and a home; types commands as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.yaml = folder / "configs" / "flights.yaml"
        self.yaml.parent.mkdir()
        shutil.copy(ROOT / "configs" / "flights.yaml", self.yaml)
        self.said = ""

    def read_from(self, source: str) -> None:
        """Change the source in the YAML, and nothing else."""
        text = (ROOT / "configs" / "flights.yaml").read_text()
        assert FILES in text
        self.yaml.write_text(text.replace(FILES, source))

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "evertrain.cli", *arguments, "configs/flights.yaml", "--json"],
            cwd=self.folder,
            env={**os.environ, "EVERTRAIN_HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        self.said += done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    def everything_kept(self) -> str:
        """All that was said, logged and stored, databases included."""
        files = [path for path in (self.folder / "home").rglob("*") if path.is_file()]
        return self.said + "".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """With every tenth flight of three months."""
    (tmp_path / "data" / "flights").mkdir(parents=True)
    for month in ("01", "02", "03"):
        whole = pq.read_table(ROOT / "data" / "flights" / f"2013-{month}.parquet")
        tenth = whole.take(pa.array(range(0, whole.num_rows, 10)))
        pq.write_table(tenth, tmp_path / "data" / "flights" / f"2013-{month}.parquet")
    return Laptop(tmp_path)


def fill_postgres(url: str, files: list[Path]) -> None:
    """Have the rows as the table ``flights``, its columns in the files' own types."""
    schema = pq.read_schema(files[0])
    columns = ", ".join(f'"{field.name}" {TYPES.get(str(field.type), "timestamptz")}' for field in schema)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS flights; CREATE TABLE flights ({columns})")
        with cursor.copy("COPY flights FROM STDIN (FORMAT csv)") as copy:
            for path in files:
                buffer = pa.BufferOutputStream()
                csv.write_csv(pq.read_table(path), buffer, csv.WriteOptions(include_header=False))
                copy.write(buffer.getvalue().to_pybytes())


def test_postgres_and_s3_give_what_files_give(
    laptop: Laptop, postgres_url: str, s3_bucket: str, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One snapshot from three sources; an unchanged database is seen to be; no password is kept anywhere."""
    files = sorted((laptop.folder / "data" / "flights").glob("*.parquet"))
    fill_postgres(postgres_url, files)
    for path in files:
        s3_server.client().upload_file(str(path), s3_bucket, f"flights/{path.name}")
    monkeypatch.setenv("WAREHOUSE_URL", postgres_url)

    monkeypatch.chdir(laptop.folder)
    from_files = ingest(
        load_config(laptop.yaml, read_settings()),
        LocalStore(laptop.folder / "files"),
        as_of=None,
        now=datetime.now(UTC),
    )
    shutil.rmtree(laptop.folder / "data")
    laptop.read_from('{type: sql, url_env: WAREHOUSE_URL, query: "SELECT * FROM flights"}')
    code, from_postgres = laptop.run("train")
    again_code, again = laptop.run("train")
    laptop.read_from(f'{{type: files, uri: "s3://{s3_bucket}/flights/*.parquet"}}')
    s3_code, from_s3 = laptop.run("check", "--data")

    assert (code, from_postgres["decision"]) == (0, "promoted")
    assert from_postgres["snapshot"]["digest"] == from_files.snapshot.digest
    assert (again_code, again["cached"], again["version"]) == (0, True, 1)
    assert s3_code == 0
    assert from_s3["data"]["snapshot"]["digest"] == from_files.snapshot.digest
    kept = laptop.everything_kept()
    assert "WAREHOUSE_URL" in kept
    assert "pg-made-up-secret" not in kept
    assert s3_server.secret_key not in kept
