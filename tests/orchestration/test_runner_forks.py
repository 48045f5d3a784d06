"""What a fork could break: locks, threads and connections of the libraries that a zygote has imported."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path

import pytest

from flows.runner.warm_start import Child, Order, Zygote

FORKS = 40
AT_ONCE = 4
SCRIPT = '''
import json, os, sys, threading
from pathlib import Path
from flows.runner import zygote


def fit(run_id, say_started, around):
    """Fit with several threads, log to MLflow, answer by onnxruntime's side of a run; two work beside it."""
    with around:
        work(run_id, say_started)
    os._exit(0)


def work(run_id, say_started):
    say_started()
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_info
    import mlflow

    random = np.random.default_rng(0)
    rows = random.normal(size=(20_000, 10))
    labels = (rows[:, 0] + rows[:, 1] > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(rows, labels)
    product = rows @ rows.T[:, :500]
    folder = Path(os.environ["WORD"])
    client = mlflow.MlflowClient(os.environ["STORE"])
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "score", float(model.score(rows, labels)))
    facts = {"score": model.score(rows, labels), "sum": float(product.sum()), "draw": np.random.random()}
    (folder / str(run_id)).write_text(json.dumps(facts))


zygote.be_run = fit
zygote.main(int(sys.argv[-1]))
'''


@pytest.mark.slow
def test_many_forks(tmp_path):
    """Forty children of one zygote fit with threads, use BLAS, log to MLflow, and all come to an end."""
    script = tmp_path / "zygote.py"
    script.write_text(SCRIPT)
    words = tmp_path / "words"
    words.mkdir()
    store = make_store(tmp_path)

    async def body() -> list[int | None]:
        lifeline, held = os.pipe()
        zygote = await Zygote.start(lifeline, (str(script),))
        while not zygote.is_ready:
            assert zygote.fault is None, zygote.fault
            await asyncio.sleep(0.1)
        room = asyncio.Semaphore(AT_ONCE)

        async def fork(number: int) -> int | None:
            async with room, asyncio.timeout(200):
                folder = tmp_path / f"folder-{number}"
                folder.mkdir()
                variables = {"WORD": str(words), "STORE": store}
                child = Child()
                await zygote.fork(Order(uuid.uuid4(), variables, folder), child, 100)
                return await child.ended

        found = await asyncio.gather(*(fork(number) for number in range(FORKS)))
        zygote.retire()
        await zygote.over
        os.close(held)
        os.close(lifeline)
        return list(found)

    assert asyncio.run(body()) == [0] * FORKS
    told = [json.loads(file.read_text()) for file in words.iterdir()]
    assert len(told) == FORKS
    assert len({facts["score"] for facts in told}) == 1
    # Each draws its own random numbers.
    assert len({facts["draw"] for facts in told}) == FORKS


def make_store(folder: Path) -> str:
    """Make MLflow's tables, in a process of its own."""
    import subprocess

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    made = f"import mlflow; mlflow.MlflowClient({uri!r}).search_experiments()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", made], check=True, timeout=200)
    return uri
