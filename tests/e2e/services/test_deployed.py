from __future__ import annotations

import shlex
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.services,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("services"),
]

DUE_EACH_MINUTE = 'drift: {schedule: "* * * * *", current: {from: source, window: 5d, min_rows: 50}}'
DEPLOYS = 3


def facts(answer: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on where things are kept."""
    gates = [(gate["type"], gate["verdict"]) for gate in answer["gates"]]
    digests = {name: answer[name]["digest"] for name in ("snapshot", "bundle")}
    return {"decision": answer["decision"], "metrics": answer["metrics"], "gates": gates, **digests}


def test_the_same_yaml_is_the_same_run_embedded_and_on_services(
    a_user: Any, services: Any, await_true: Any
) -> None:
    """Only the environment differs: one decision, run key, snapshot, bundle; files in S3, no key on disk."""
    embedded, served = a_user("loans", on_services=False), a_user("loans")
    before = services.keys("runs/")

    embedded_code, embedded_answer = embedded.type("train loans --as-of 2024-01-31")
    code, answer = served.type("train loans --as-of 2024-01-31")

    assert (embedded_code, code) == (0, 0), (embedded.said(), served.said())
    assert facts(answer) == facts(embedded_answer)
    local = {path.name for path in (embedded.home / "store" / "runs").iterdir()}
    assert local == {key.split("/")[1] for key in services.keys("runs/") if key not in before}
    artifacts = services.s3.client().list_objects_v2(Bucket="mlflow", Prefix="artifacts/")
    assert artifacts["KeyCount"] > 0
    assert not [path for path in served.kept() if services.s3.secret_key.encode() in path.read_bytes()]
    assert not [path for path in served.kept() if path.name in ("mlflow.db", "prefect.db")]
    with served.running("evertrain serve --port 0", **services.environment(reads_only=True)):
        await_true(lambda: served.served_version() == 1)


def test_a_worker_and_the_runner_run_what_was_deployed(a_user: Any, services: Any, await_true: Any) -> None:
    """A form's run on a worker, a scheduled check that retrains, a form's run on the runner; all served."""
    # Its runs begin a second after they are due; others wait for up to a minute.
    user = a_user("sales")
    create, deploy, work, deploy_for_runner, run = documented_commands(services)

    def do(line: str) -> None:
        assert user.begin(line).wait(900) == 0, user.said()

    def complete(**parameters: Any) -> None:
        run_id = user.start_by_form("training", **parameters)
        ended = await_true(lambda: services.find_end(run_id))
        assert ended["type"] == "COMPLETED", (ended, user.said())

    do(create)
    do(deploy)
    with user.running("evertrain serve --port 0", **services.environment(reads_only=True)):
        with user.running(work):
            complete(as_of="2024-01-31T00:00:00Z")
            await_true(lambda: user.served_version() == 1)
            user.write(DUE_EACH_MINUTE)
            do(deploy)
            await_true(lambda: user.served_version() == 2)
            user.write()
            do(deploy_for_runner)
        with user.running(run):
            deeper = ["training.params.max_depth=2"]
            complete(as_of="2024-02-20T00:00:00Z", overrides=deeper)
            await_true(lambda: user.served_version() == 3)

    [*_, check] = user.flow_runs("drift_check")
    assert check["auto_scheduled"]
    assert user.processes() == []
    _, shown = user.type("audit show sales")
    assert [row["kind"] for row in shown["entries"]].count("promoted") == 3


def documented_commands(services: Any) -> list[str]:
    """The lines of operations.md that deploy and run."""
    lines = services.block(DEPLOYS).splitlines()
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]
