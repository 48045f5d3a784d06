"""What was answered beside what really happened, read from the prediction log."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.config import PipelineConfig
from evertrain.errors import SourceError, StorageError
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers
from evertrain.realised import Counted, Outcomes, has_labels, measure_realised, read_outcomes
from evertrain.storage import LocalStore
from tests.unit.realised.conftest import FEATURES, HOUR, START, Log

DAY = timedelta(days=1)


def pipeline(labels: dict[str, Any] | None = None, task="binary_classification", **evaluation: Any):
    return PipelineConfig.model_validate(
        {
            "name": "flights",
            "data": {"source": {"type": "files", "uri": "a.csv"}, "target": "late"},
            "labels": labels,
            "training": {"estimator": "a.B"},
            "evaluation": {"task": task, **evaluation},
        }
    )


def read(log: Log, config=None, *, since=START - HOUR, until=START + 7 * DAY, as_of=START + 7 * DAY, **more):
    return read_outcomes(log.store, config or pipeline(), since=since, until=until, as_of=as_of, **more)


def labels_of(found: Outcomes) -> dict[str, Any]:
    names = found.truth.names
    return {
        name: names[code] for name, code in zip(found.prediction_id, found.truth.codes.tolist(), strict=True)
    }


def test_answers_stand_beside_their_labels(log):
    """A row for each labelled prediction, with who answered it, when, for whom, and what came of it."""
    log.answer("r1", [0.25, 0.75, 0.9], entity="flight 7")
    log.answer("r2", [0.8], hour=2, version=2, arm="canary")
    log.answer("other", [0.8], hour=3)
    log.tell({"r1/0": "No", "r1/2": "No"}, hour=4)
    log.tell({"r2/0": "Yes"}, hour=5)

    found = read(log, features=["carrier", "distance", "unheard"])

    assert found.prediction_id.tolist() == ["r1/0", "r1/2", "r2/0"]
    assert (found.version.tolist(), found.arm.tolist()) == ([1, 1, 2], ["stable", "stable", "canary"])
    assert found.request_id.tolist() == ["r1", "r1", "r2"]
    assert found.entity.tolist() == ["flight 7", "flight 7", None]
    assert found.answered_at.tolist() == [START.replace(tzinfo=None) + n * HOUR for n in (0, 0, 2)]
    assert found.lag_seconds.tolist() == [4 * 3600, 4 * 3600, 3 * 3600]
    assert found.truth.names == ("No", "Yes")
    assert isinstance(found.answers, ClassAnswers)
    assert (found.answers.truth.tolist(), found.answers.codes.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert found.answers.probabilities is not None
    assert found.answers.probabilities[:, 1].tolist() == [0.25, 0.9, 0.8]
    assert found.counts == (Counted(1, "stable", 4, 2), Counted(2, "canary", 1, 1))
    assert {name: values.tolist() for name, values in found.features.items()} == {
        "carrier": ["UA"] * 3,
        "distance": [100.0, 102.0, 100.0],
    }
    canary = found.answers_to(np.flatnonzero(found.arm == "canary"))
    assert canary.truth.tolist() == [1]


def test_the_window_holds_what_came_after_since_and_up_to_until(log):
    """The window is open where it begins, closed where it ends, and as-of ends it, too."""
    for hour in range(6):
        log.answer(f"r{hour}", [0.5], hour=hour)
        log.tell({f"r{hour}/0": "No"}, hour=hour)

    found = read(log, since=START + HOUR, until=START + 4 * HOUR)
    earlier = read(log, since=START + HOUR, until=START + 4 * HOUR, as_of=START + 3 * HOUR)

    assert found.request_id.tolist() == ["r2", "r3", "r4"]
    assert earlier.request_id.tolist() == ["r2", "r3"]
    assert read(log, since=START + 3 * DAY).rows == 0


def test_the_label_that_arrived_last_by_as_of_counts(log):
    """Neither the order of the parts nor that of days matters, and no label is used before it arrived."""
    log.answer("r", [0.5])
    log.tell({"r/0": "Yes"}, hour=50)
    log.tell({"r/0": "No"}, hour=1)

    assert [labels_of(read(log, as_of=START + n * HOUR)) for n in (0, 1, 49, 50)] == [
        {},
        {"r/0": "No"},
        {"r/0": "No"},
        {"r/0": "Yes"},
    ]


def test_a_request_id_that_was_given_twice_counts_once(log):
    """Who asks again under one id gets one row: the first answer, whichever version gave the second."""
    log.answer("r", [0.75], hour=1, version=2)
    log.answer("r", [0.25], hour=0, version=1)
    log.tell({"r/0": "No"}, hour=2)

    found = read(log)

    assert (found.version.tolist(), found.counts) == ([1], (Counted(1, "stable", 1, 1),))


def test_labels_of_the_yamls_source_are_joined_too(log, tmp_path):
    """Files tell of answers as the feedback route does; of both the later one counts."""
    log.answer("r", [0.25, 0.5, 0.75])
    log.tell({"r/0": "Yes", "r/1": "Yes"}, hour=2)
    rows = [("r/0", "No", "2024-03-01T13:00:00Z"), ("r/1", "No", "2024-03-01 17:00:00+02:00")]
    rows += [("r/2", "No", "2024-03-01T18:00:00Z"), ("r/2", "Yes", ""), ("else/0", "Yes", "2024-03-01")]
    path = tmp_path / "told.csv"
    pd.DataFrame(rows, columns=["prediction_id", "late", "loaded"]).to_csv(path, index=False)
    labels = {"source": {"type": "files", "uri": str(path)}, "join": "prediction_id", "column": "late"}

    config = pipeline({**labels, "arrived_at": "loaded"})
    delayed = pipeline({**labels, "delay": "3h"})

    assert labels_of(read(log, config)) == {"r/0": "Yes", "r/1": "No", "r/2": "No"}
    assert labels_of(read(log, config, as_of=START + 5.9 * HOUR)) == {"r/0": "Yes", "r/1": "No"}
    assert labels_of(read(log, delayed, as_of=START + 2.9 * HOUR)) == {"r/0": "Yes", "r/1": "Yes"}
    assert labels_of(read(log, delayed)) == {"r/0": "No", "r/1": "No", "r/2": "Yes"}
    with pytest.raises(SourceError, match=r"labels\.join names"):
        read(log, pipeline({**labels, "source": {"type": "files", "uri": str(write_wrong(tmp_path))}}))


def write_wrong(folder):
    (folder / "wrong.csv").write_text("id,late\n1,No\n")
    return folder / "wrong.csv"


def test_versions_may_differ_in_classes_and_features(log):
    """Probabilities and features are those of one order, with none where a version has none."""
    log.answer("old", [0.75], classes=("No", "Yes"))
    more = [*FEATURES, ["wet", "numeric", "boolean"]]
    log.answer(
        "new", [0.75], version=2, classes=("Maybe", "Yes"), features=more, columns=[[1.0], ["B6"], [1]]
    )
    log.tell({"old/0": "Never", "new/0": "Maybe"})

    found = read(log, features=["wet"])

    assert found.truth.names == ("Maybe", "Yes", "No", "Never")
    assert isinstance(found.answers, ClassAnswers)
    assert found.answers.probabilities is not None
    by_name = dict(zip(found.prediction_id, found.answers.probabilities.tolist(), strict=True))
    assert by_name == {"new/0": [0.25, 0.75, 0.0, 0.0], "old/0": [0.0, 0.75, 0.25, 0.0]}
    assert dict(zip(found.prediction_id, found.features["wet"], strict=True)) == {
        "new/0": True,
        "old/0": None,
    }


@pytest.mark.parametrize(
    ("classes", "labels", "names"),
    [((0, 1), {"r/0": 1, "r/1": 0.0}, ("0", "1")), ((False, True), {"r/0": True}, ("false", "true"))],
)
def test_labels_are_compared_by_their_spelling(log, classes, labels, names):
    """1, 1.0 and true are read as what the model's own classes are spelled."""
    log.answer("r", [0.75, 0.25], classes=classes)
    log.tell(labels)

    found = read(log)

    assert found.truth.names == names
    assert isinstance(found.answers, ClassAnswers)
    assert (found.answers.truth == found.answers.codes).all()


def test_a_regressions_outcomes_are_numbers(log, tmp_path):
    """Numbers stand beside numbers; a label that is none is no label."""
    log.answer("r", [1.5, 2.5, 4.0], classes=None)
    log.tell({"r/0": 1, "r/1": 3.0})
    (tmp_path / "told.csv").write_text("prediction_id,late\nr/2,far too late\nr/1,\n")
    source = {"type": "files", "uri": str(tmp_path / "told.csv")}
    labels = {"source": source, "join": "prediction_id", "column": "late"}

    found = read(log, pipeline(labels, task="regression"))

    assert isinstance(found.answers, ValueAnswers)
    assert (found.answers.truth.tolist(), found.answers.values.tolist()) == ([1.0, 3.0], [1.5, 2.5])
    assert found.counts == (Counted(1, "stable", 3, 2),)


def test_a_part_that_cannot_be_read_is_named(log):
    """Half a file in the store is told with its key, not as a fault of the labels."""
    log.answer("r", [0.5])
    (key,) = log.store.list("predictions/")
    log.store.put(key, b"PAR1")

    with pytest.raises(StorageError, match=key):
        read(log)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), look=st.floats(1, 40))
def test_late_labels_give_the_sorted_streams_outcomes_and_none_too_early(tmp_path_factory, seed, look):
    """Late, missing, doubled and out of order: what the sorted stream gives, at any as-of (D9)."""
    draw = random.Random(seed)
    days = draw.sample(range(30), 8)
    told = [
        (f"r/{row % 40}", draw.choice(["No", "Yes"]), 24 * draw.choice(days) + draw.uniform(0, 24))
        for row in range(80)
        if draw.random() < 0.6
    ]
    as_of = START + look * DAY
    found = []
    for stream in (sorted(told, key=lambda each: each[2]), draw.sample(told, len(told))):
        log = Log(LocalStore(tmp_path_factory.mktemp("log")))
        log.answer("r", [draw.random() for _ in range(40)])
        # A segment holds some seconds; in which order, and which is shipped first, is left to chance.
        for day in dict.fromkeys(hour // 24 for _, _, hour in stream):
            log.tell_all(each for each in stream if each[2] // 24 == day)
        found.append(read(log, until=as_of, as_of=as_of))

    known = {name: label for name, label, hour in sorted(told, key=lambda each: each[2]) if hour <= look * 24}
    assert labels_of(found[0]) == labels_of(found[1]) == known
    assert (found[0].arrived <= np.datetime64(as_of.replace(tzinfo=None))).all()


def test_realised_metrics_are_told_by_version_arm_and_slice(log):
    """Each with its interval, how many rows are labelled, and how long labels took."""
    draw = np.random.default_rng(0)
    for n in range(40):
        good = n % 2 == 0
        scores = draw.uniform(0, 1, 10)
        truth = draw.uniform(0, 1, 10) < (scores if good else 1 - scores)
        arm = {"version": 1, "arm": "stable"} if good else {"version": 2, "arm": "canary"}
        columns = [[float(n)] * 10, ["UA" if n % 4 < 3 else None] * 10]
        log.answer(f"r{n}", scores.tolist(), hour=n, columns=columns, **arm)
        log.tell({f"r{n}/{row}": ["No", "Yes"][int(late)] for row, late in enumerate(truth[:6])}, hour=n + 10)
        log.tell({f"r{n}/6": "Yes"}, hour=n + 1000)
    config = pipeline(metrics=["roc_auc", "log_loss"], slices=["carrier", "distance", "not a feature"])

    found = measure(log, config, as_of=START + 5 * DAY)

    assert found is not None
    assert (found.total.rows, found.total.labelled, found.total.coverage) == (400, 240, 0.6)
    assert found.total.lag is not None
    assert (found.total.lag.median_seconds, found.total.lag.p90_seconds) == (36_000, 36_000)
    stable, canary = found.version(1), found.version(2)
    assert stable is not None
    assert canary is not None
    good, bad = stable.metrics["roc_auc"], canary.metrics["roc_auc"]
    assert bad.low < bad.value < bad.high < 0.5 < good.low < good.value < good.high
    assert set(stable.metrics) == {"roc_auc", "log_loss"}
    assert {part.name: part.metrics for part in found.arms} == {
        "stable": stable.metrics,
        "canary": canary.metrics,
    }
    carriers = [(part.name, part.rows, part.labelled) for part in found.slices if part.column == "carrier"]
    assert carriers == [("UA", 300, 180), ("__missing__", 100, 60)]
    assert (found.slices_total, sum(part.rows for part in found.slices)) == (7, 800)
    assert found.version(3) is None


def test_a_check_looks_into_the_log_only_where_labels_can_be(log):
    """Answers alone are no reason to read them; labels of these days are, and so is a source of some."""
    source = {"type": "files", "uri": "told.csv"}
    by_id = pipeline({"source": source, "join": "prediction_id", "column": "late"})
    log.answer("r", [0.5])

    assert not has_labels(log.store, pipeline(), START, START + 7 * DAY)
    assert has_labels(log.store, by_id, START, START + 7 * DAY)
    log.tell({"r/0": "No"})
    assert has_labels(log.store, pipeline(), START, START + 7 * DAY)
    assert not has_labels(log.store, pipeline(), START + 30 * DAY, START + 37 * DAY)


def test_what_cannot_be_measured_is_counted_and_said(log):
    """Without labels there is coverage of 0, of one class no ranking, and of no rows nothing at all."""
    assert measure(log, pipeline()) is None
    log.answer("r", [0.5] * 3)

    unlabelled = measure(log, pipeline())
    log.tell({"r/0": "No"})
    one_class = measure(log, pipeline(slices=["carrier"]))

    assert unlabelled is not None
    assert unlabelled.total.model_dump(exclude={"name", "column"}) == {
        "rows": 3,
        "labelled": 0,
        "coverage": 0.0,
        "metrics": {},
        "missing": ("no label has arrived",),
        "lag": None,
    }
    assert one_class is not None
    assert list(one_class.total.metrics) == ["log_loss"]
    assert one_class.total.missing == ("roc_auc needs labels of two classes",)
    assert one_class.slices[0].missing == ("1 labelled rows of 30",)


def measure(log: Log, config: PipelineConfig, as_of: datetime = START + DAY):
    return measure_realised(log.store, config, since=START - HOUR, until=as_of, as_of=as_of)
