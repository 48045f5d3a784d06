"""Owns what the process in which a registrar works beside a run answers: each of its methods, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from evertrain.child_process import serve_parent
from evertrain.failpoints import kill_too
from evertrain.mlflow_client import import_mlflow, open_mlflow
from evertrain.registrar import RegistrarHere, ReportFacts
from evertrain.registry import Aliases
from evertrain.reports.plots import import_matplotlib
from evertrain.run_facts import load_facts
from evertrain.settings import Settings, load_settings

HERE = RegistrarHere()


def answer(asked: Mapping[str, Any]) -> Any:
    """Do what a registrar was asked for.

    Args:
        asked: ``what`` (the method) and ``facts`` (its arguments).

    Raises:
        EvertrainError: See the method.
    """
    facts = dict(asked["facts"])
    if "settings" in facts:
        facts["settings"] = load_settings(facts["settings"])
    return _METHODS[asked["what"]](**facts)


def _open(settings: Settings) -> None:
    import_matplotlib()
    open_mlflow(settings)


def _mirror(settings: Settings, name: str, wanted: Aliases) -> list[dict[str, Any]]:
    return [repair._asdict() for repair in HERE.mirror(settings, name, wanted)]


def _record(settings: Settings, facts: Mapping[str, Any]) -> dict[str, Any]:
    version, url = HERE.record(settings, load_facts(facts))
    return {"version": version.model_dump(mode="json"), "url": url}


def _draw_report(facts: Mapping[str, Any]) -> str:
    return HERE.draw_report(ReportFacts.model_validate(facts))


_METHODS: Mapping[str, Callable[..., Any]] = {
    "open": _open,
    "mirror": _mirror,
    "record": _record,
    "draw_report": _draw_report,
    "keep_page": HERE.keep_page,
}


def work_for(parent: int) -> None:
    """Answer the process *parent*, which started this one."""
    kill_too(parent)
    serve_parent(parent, import_mlflow, answer)


if __name__ == "__main__":
    work_for(int(sys.argv[1]))
