"""The page of a pipeline: written anew by each train and each check."""

from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.settings import read_settings
from flows.up.record import service_address, write_up
from tests.orchestration.test_drift_check import CHANGED, STEADY, Check, check, loans, trained

__all__ = ["check", "loans", "trained"]
pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]


def test_the_page_goes_with_each_train_and_each_check(loans: Path, check: Check) -> None:
    """After a train it tells of its version, after each check of that too, without data or with a retrain."""
    page = loans.parent / "home/store/reports/loans/index.html"

    def told() -> str:
        return " ".join(page.read_text().split())

    assert "Version 1 is the champion since" in told()
    assert '<a href="1.html">v1</a>' in told()
    assert "No drift check yet, so nothing was decided." in told()

    code, steady = check(STEADY)
    assert (code, f'<a href="{Path(steady["report"]).name}">check</a>' in told()) == (0, True)
    assert "The last check, as of 2024-02-05: steady; nothing" in told()

    check("2024-02-06", replace=("min_rows: 50", "min_rows: 50000"))
    assert "The last check, as of 2024-02-06: too little data; nothing" in told()

    _, changed = check(CHANGED, replace=("min_rows: 50000", "min_rows: 50"))
    version, decision = changed["train"]["version"], changed["train"]["decision"]
    assert f"retrained: v{version} {decision}" in told()


def test_the_link_leads_to_the_service_of_this_homes_up(tmp_path: Path) -> None:
    """The address is known while an ``up`` of the home runs; not while it starts, nor without one."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    assert service_address(settings) is None

    write_up(tmp_path, {}, serves_prefect=True)
    assert service_address(settings) is None

    write_up(tmp_path, {"service": "http://127.0.0.1:8080"}, serves_prefect=True)
    assert service_address(settings) == "http://127.0.0.1:8080"
