from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.bundles import check_golden, load_bundle
from evertrain.records import TrainOutcome
from evertrain.settings import read_settings
from evertrain.storage import open_store
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(training: TrainingFlow, home: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingFlow:
    """The training flow in a home of its own, where the examples and their data lie."""
    monkeypatch.chdir(ROOT)
    return training


def answer_gaps(outcome: TrainOutcome) -> object:
    """What the promoted bundle says of a row in which everything is missing."""
    bundle = load_bundle(open_store(read_settings().store), outcome.bundle.digest)
    check_golden(bundle)
    (answer,) = bundle.predict({feature.name: [None] for feature in bundle.signature.features}).labels(
        bundle.signature
    )
    return answer


@pytest.mark.parametrize("name", ["arrivals", "flights", "weather"])
def test_every_example_passes_its_check(name: str, evertrain, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` finds no fault in any YAML that is shown."""
    monkeypatch.chdir(ROOT)

    assert evertrain("check", f"configs/{name}.yaml") == 0


def test_the_regression_example_sets_a_broken_reading_aside(example: TrainingFlow) -> None:
    """The weather of 2013: better than guessing the mean, and not learnt from a wind of 1,048 mph."""
    outcome = example("configs/weather.yaml", as_of="2013-04-01")

    assert (outcome.decision, outcome.snapshot.quarantined) == ("promoted", 1)
    assert -30 < answer_gaps(outcome) < 110
    assert outcome.metrics["r2"] > 0.8


@pytest.mark.slow
def test_the_four_class_example_takes_the_title_with_newer_flights(example: TrainingFlow) -> None:
    """Arrivals: the first model passes its gates in ONNX, and two months later a newer one beats it."""
    first = example("configs/arrivals.yaml", as_of="2013-04-01")
    later = example("configs/arrivals.yaml", as_of="2013-06-01")

    assert (first.decision, first.bundle.runtime) == ("promoted", "onnx")
    assert answer_gaps(first) in {"early", "on_time", "late", "very_late"}
    assert (later.decision, later.version) == ("promoted", 2)
    assert {gate.verdict for gate in later.gates} == {"pass"}
