"""Owns what makes a function a step: a Prefect task without Prefect's cache, retried on transient faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from evertrain.errors import Transient

P = ParamSpec("P")
R = TypeVar("R")
RETRY_DELAYS_SECONDS = [1.0, 5.0]


def retry_if_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a step that failed may be tried again: only where its error says that it may go away."""
    return isinstance(state.result(raise_on_failure=False), Transient)


def step_task(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a Prefect task that shows as *name* in Prefect's UI."""
    return task(
        name=name,
        task_run_name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_condition_fn=retry_if_transient,
    )
