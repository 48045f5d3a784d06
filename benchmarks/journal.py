"""Owns the journal's figures: an append's time alone, beside others and in a long journal, on disk and on S3.

``python benchmarks/journal.py [APPENDS]`` writes ``benchmarks/results/journal.json``. With ``BENCH_S3=1`` an
S3 server (SeaweedFS) is started on this machine and measured too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evertrain.release import decide_alias_repaired, open_journal
from evertrain.storage import open_store

RESULTS = Path(__file__).parent / "results" / "journal.json"
WRITERS = 4
# Each a few entries past a checkpoint, so that their fresh writers read the same number of entries.
LENGTHS = (510, 5010)


def main() -> None:
    """Measure, print and keep the figures."""
    appends = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        raw = time_each(lambda number: write_and_sync(Path(folder) / f"raw-{number}"), appends)
        alone = append_many(f"{folder}/alone", appends)
        started = time.perf_counter()
        verification = open_journal(open_store(f"{folder}/alone"), "bench", "bench").verify()
        verify_seconds = time.perf_counter() - started
        started = time.perf_counter()
        beside = append_beside_others(f"{folder}/beside", appends)
        beside_seconds = time.perf_counter() - started
    figures = {
        "commit": ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "load_1m": round(load, 2), "system": platform.system()},
        "n": appends,
        "raw_write_and_fsync_ms": summarise(raw),
        "append_alone_ms": summarise(alone),
        f"append_with_{WRITERS}_writers_ms": summarise(beside),
        f"appends_per_second_with_{WRITERS}_writers": round(len(beside) / beside_seconds, 1),
        "verify_entries": verification.entries,
        "verify_seconds": round(verify_seconds, 4),
        "local": measure_store(tempfile.mkdtemp(dir=Path.cwd(), prefix=".bench-")),
    }
    if os.environ.get("BENCH_S3"):
        figures["s3_on_this_machine"] = measure_s3()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def measure_store(where: str) -> dict[str, Any]:
    """What one request takes on the store at *where*, and an append in a short and in a long journal."""
    store = open_store(where)
    journal = open_journal(store, "bench", "bench")
    store.put("polled", b"1")
    tag = store.get_if_changed("polled", None)
    figures: dict[str, Any] = {
        "put_ms": summarise(time_each(lambda number: store.put(f"k/{number}", b"x" * 400), 200)),
        "get_ms": summarise(time_each(lambda number: store.get(f"k/{number}"), 200)),
        "poll_unchanged_ms": summarise(
            time_each(lambda _: store.get_if_changed("polled", tag[1] if tag else None), 200)
        ),
    }
    for length in LENGTHS:
        append_many(where, length - journal.catch_up().number)
        figures[f"append_by_a_fresh_writer_at_{length}_entries_ms"] = summarise(
            time_each(lambda _: append_many(where, 1), 9)
        )
    figures["append_alone_ms"] = summarise(append_many(where, 100))
    figures["verify_5000_entries_seconds"] = round(time_each(lambda _: journal.verify(), 1)[0], 2)
    if not where.startswith("s3://"):
        shutil.rmtree(where)
    return figures


def measure_s3() -> dict[str, Any]:
    """As ``measure_store``, on a SeaweedFS that ends with this."""
    conftest = Path(__file__).parents[1] / "tests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("evertrain_test_servers", conftest)
    servers = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = servers
    spec.loader.exec_module(servers)
    with tempfile.TemporaryDirectory() as folder, servers.run_s3_server(Path(folder)) as server:
        os.environ.update(server.environment())
        server.client().create_bucket(Bucket="bench")
        return measure_store("s3://bench/loop")


def append_many(where: str, appends: int) -> list[float]:
    """Seconds for each of *appends* appends by this process."""
    journal = open_journal(open_store(where), "bench", str(os.getpid()))
    decide = decide_alias_repaired(alias="champion", found=None, repaired_to=1, reason="benchmark")
    return time_each(lambda _: journal.append(decide), appends)


def append_beside_others(where: str, appends: int) -> list[float]:
    """Seconds for each append of WRITERS processes that share *appends* of them."""
    command = [sys.executable, __file__, str(appends // WRITERS), where]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WRITERS)]
    return [seconds for writer in writers for seconds in json.loads(writer.communicate()[0])]


def write_and_sync(path: Path) -> None:
    """What the disk takes for one small durable file; an append needs four syncs (two files, two folders)."""
    with path.open("xb") as file:
        file.write(b"x" * 400)
        file.flush()
        os.fsync(file.fileno())


def time_each(act: Callable[[int], object], times: int) -> list[float]:
    """Seconds that each call of *act* took."""
    seconds = []
    for number in range(times):
        started = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - started)
    return seconds


def summarise(seconds: list[float]) -> dict[str, float]:
    """Mean, median and 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    return {
        "mean": round(1000 * sum(ordered) / len(ordered), 3),
        "p50": round(1000 * ordered[len(ordered) // 2], 3),
        "p99": round(1000 * ordered[int(len(ordered) * 0.99)], 3),
    }


def ask_git(*words: str) -> str:
    """What git answers."""
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(append_many(sys.argv[2], int(sys.argv[1]))))
    else:
        main()
