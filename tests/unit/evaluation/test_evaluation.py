from __future__ import annotations

import numpy as np
import pytest

from evertrain.config import DriftConfig, PerformanceConfig, PipelineConfig
from evertrain.errors import DataRefused, InvalidInput, ModelFailed, TrainingError
from evertrain.evaluation import evaluate, judge, wanted_gains, wanted_metrics
from evertrain.predictions import Prediction
from evertrain.records import Feature, GateEvidence, Signature

ROWS = 400
BOTH = (False, True)
COLOURS = ("blue", "green", "red")


class FakeBundle:
    """Answers its ``score`` column: as the probability of the last class, one a class, or as the value."""

    def __init__(self, task, classes=None, *, column="score", error=None, has_probabilities=True):
        self.signature = Signature(
            task=task,
            target="y",
            features=(Feature(name=column, kind="numeric", type="float"),),
            classes=classes,
            has_probabilities=has_probabilities,
        )
        self.column, self.error, self.has_probabilities = column, error, has_probabilities

    def predict(self, columns):
        assert set(columns) == {self.column}, "a model is asked its own features, and no others"
        if self.error:
            raise self.error
        score = columns[self.column]
        if self.signature.classes is None:
            return Prediction(values=score)
        spread = np.linspace(0, 1, len(self.signature.classes))
        raw = np.exp(-np.square(score[:, None] - spread))
        probabilities = raw / raw.sum(axis=1, keepdims=True)
        return Prediction(
            codes=probabilities.argmax(axis=1),
            probabilities=probabilities if self.has_probabilities else None,
        )


def make_config(task="binary_classification", **evaluation):
    return PipelineConfig.model_validate(
        {
            "name": "pipeline",
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y"},
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {"task": task, **evaluation},
        }
    )


def binary_rows(seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random(ROWS) < 0.4
    return {"score": target + rng.normal(0, 0.7, ROWS), "noise": rng.normal(size=ROWS)}, target


def coloured_rows():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, ROWS)
    return {"score": codes / 2 + rng.normal(0, 0.3, ROWS)}, np.array(COLOURS, dtype=object)[codes]


def test_first_candidate_has_metrics_and_no_comparison():
    """Without a champion there are metrics within their intervals, and nothing is compared."""
    columns, target = binary_rows()
    candidate = FakeBundle("binary_classification", BOTH)
    found = evaluate(make_config(), candidate, None, columns, target, BOTH, seed=0)
    assert list(found.metrics) == ["roc_auc", "log_loss"]
    assert all(each.low < each.value < each.high for each in found.metrics.values())
    assert (found.rows, found.resamples) == (ROWS, 1000)
    assert (found.champion, found.champion_missing, found.gains) == (None, None, ())
    assert [curve.label for curve in found.curves] == ["challenger"]


def test_equal_models_gain_exactly_nothing():
    """A candidate equal to the champion gains 0, from 0 to 0: it doesn't beat it and isn't worse."""
    columns, target = binary_rows()
    bundle, config = FakeBundle("binary_classification", BOTH), make_config()
    found = evaluate(config, bundle, (3, bundle), columns, target, BOTH, seed=0)
    assert [(gain.gain, gain.low, gain.high) for gain in found.gains] == [(0, 0, 0)] * 2
    assert not any(np.signbit([gain.gain, gain.low, gain.high]).any() for gain in found.gains)
    assert found.champion.version == 3
    assert found.champion.metrics == found.metrics
    evidence = GateEvidence(evaluation=found, signature=bundle.signature, champion_signature=bundle.signature)
    assert [result.verdict for result in judge(config, evidence)] == ["fail", "pass", "pass"]


def test_gain_is_in_the_good_direction():
    """A better candidate gains in a score to raise and in a loss to lower alike."""
    columns, target = binary_rows()
    pair = (
        FakeBundle("binary_classification", BOTH),
        FakeBundle("binary_classification", BOTH, column="noise"),
    )
    found = evaluate(make_config(), pair[0], (1, pair[1]), columns, target, BOTH, seed=0)
    assert [gain.metric for gain in found.gains] == ["roc_auc", "log_loss"]
    assert all(0 < gain.low < gain.gain < gain.high for gain in found.gains)
    assert [curve.label for curve in found.curves] == ["challenger", "champion"]


def test_same_inputs_same_evaluation():
    """An evaluation can be replayed: the same rows, models and seed give an equal record."""
    columns, target = binary_rows()
    pair = (
        FakeBundle("binary_classification", BOTH),
        FakeBundle("binary_classification", BOTH, column="noise"),
    )
    first, again = (
        evaluate(make_config(), pair[0], (1, pair[1]), columns, target, BOTH, seed=7) for _ in range(2)
    )
    assert first.model_dump_json() == again.model_dump_json()


def test_metrics_that_only_gates_name_are_computed_too():
    """What is computed is the union of the named metrics, the gates' and the drift check's, primary first."""
    gates = [
        {"type": "threshold", "metric": "accuracy", "min": 0.1},
        {"type": "beats_champion", "metric": "f1", "confidence": 0.9},
        {"type": "not_worse", "metric": "f1", "confidence": 0.9},
        {"type": "not_worse", "metric": "f1"},
        {"type": "signature"},
    ]
    config = make_config(metrics=["log_loss"], gates=gates)
    assert wanted_metrics(config) == ("log_loss", "accuracy", "f1")
    drift = DriftConfig(performance=PerformanceConfig(metric="roc_auc", max_drop=0.1))
    watched = config.model_copy(update={"drift": drift})
    assert wanted_metrics(watched) == ("log_loss", "accuracy", "f1", "roc_auc")
    assert wanted_gains(config) == (("f1", 0.9), ("f1", 0.95))


@pytest.mark.parametrize(
    ("champion", "words"),
    [
        (FakeBundle("binary_classification", BOTH, column="gone"), "needs 'gone'"),
        (FakeBundle("binary_classification", ("no", "yes")), "answers no, yes, these rows hold false, true"),
        (FakeBundle("regression"), "answers regression"),
        (FakeBundle("binary_classification", BOTH, error=InvalidInput("odd", field="score")), "odd"),
        (FakeBundle("binary_classification", BOTH, error=ModelFailed("not finite")), "not finite"),
    ],
)
def test_champion_that_cannot_be_asked(champion, words):
    """A champion that can't be scored on these rows stops nothing: the evaluation says why it is missing."""
    columns, target = binary_rows()
    candidate = FakeBundle("binary_classification", BOTH)
    found = evaluate(make_config(), candidate, (2, champion), columns, target, BOTH, seed=0)
    alone = evaluate(make_config(), candidate, None, columns, target, BOTH, seed=0)
    assert found.champion is None
    assert words in found.champion_missing
    assert found.metrics == alone.metrics


def test_champion_without_probabilities_is_compared_where_it_can_be():
    """A champion without probabilities is compared by labels; the gate on a loss says why it isn't shown."""
    columns, target = binary_rows()
    gates = [{"type": "not_worse", "metric": name} for name in ("accuracy", "log_loss")]
    config = make_config(metrics=["accuracy"], gates=gates)
    candidate = FakeBundle("binary_classification", BOTH)
    champion = FakeBundle("binary_classification", BOTH, has_probabilities=False)
    found = evaluate(config, candidate, (1, champion), columns, target, BOTH, seed=0)
    assert list(found.champion.metrics) == ["accuracy"]
    results = judge(config, GateEvidence(evaluation=found, signature=candidate.signature))
    assert [result.verdict for result in results] == ["pass", "not_shown"]
    assert "no probabilities" in results[1].reason


def test_champion_of_another_class_order_is_turned():
    """A champion that has the same two classes in the other order is laid beside the candidate's."""
    columns, target = binary_rows()
    turned = {**columns, "turned": 1 - columns["score"]}
    candidate = FakeBundle("binary_classification", BOTH)
    champion = FakeBundle("binary_classification", BOTH[::-1], column="turned")
    found = evaluate(make_config(), candidate, (1, champion), turned, target, BOTH, seed=0)
    for metric, estimate in found.metrics.items():
        assert found.champion.metrics[metric].value == pytest.approx(estimate.value)


def test_champion_that_lacks_a_class_is_held_to_it():
    """Where a class is new, the champion is scored all the same, and wrong on that class."""
    columns, target = coloured_rows()
    config = make_config("multiclass_classification", metrics=["log_loss", "accuracy", "roc_auc"])
    candidate = FakeBundle("multiclass_classification", COLOURS)
    champion = FakeBundle("multiclass_classification", ("red", "blue", "black"))
    found = evaluate(config, candidate, (1, champion), columns, target, COLOURS, seed=0)
    green = (target == "green").mean()
    assert found.champion.metrics["accuracy"].value <= 1 - green
    assert found.champion.metrics["log_loss"].value > 36 * green
    assert found.gains[0].low > 0


def test_label_that_no_class_covers_counts_as_wrong():
    """A held-out label outside the classes is a row the model gets wrong, not an error."""
    columns, target = coloured_rows()
    candidate = FakeBundle("multiclass_classification", COLOURS[:2])
    config = make_config("multiclass_classification")
    found = evaluate(config, candidate, None, columns, target, COLOURS[:2], seed=0)
    assert found.metrics["accuracy"].value <= 1 - (target == "red").mean()


def test_labels_are_compared_by_spelling():
    """Labels of 1 and 0 as whole numbers are the classes "1" and "0" of another type."""
    columns, target = binary_rows()
    candidate = FakeBundle("binary_classification", (0, 1))
    champion = FakeBundle("binary_classification", ("0", "1"))
    found = evaluate(
        make_config(), candidate, (1, champion), columns, target.astype(np.int64), (0, 1), seed=0
    )
    assert found.champion.metrics == found.metrics


def test_regression_is_measured():
    """A regression has its errors, its r2, a gain in the good direction, and a sample of residuals."""
    rng = np.random.default_rng(0)
    target = rng.normal(50, 9, 800)
    columns = {"score": target + rng.normal(0, 1, 800), "worse": target + rng.normal(0, 2, 800)}
    pair = FakeBundle("regression"), FakeBundle("regression", column="worse")
    found = evaluate(make_config("regression"), pair[0], (1, pair[1]), columns, target, None, seed=0)
    assert found.metrics["mean_absolute_error"].value == pytest.approx(
        np.abs(columns["score"] - target).mean()
    )
    assert all(gain.low > 0 for gain in found.gains)
    assert (found.curves[0].kind, len(found.curves), len(found.curves[0].x)) == ("residuals", 1, 500)


def test_curves_of_many_classes_are_few_and_short():
    """Of many classes the ten most frequent get a curve, each of at most 200 points that ends at (1, 1)."""
    rng = np.random.default_rng(0)
    classes = tuple(range(12))
    target = np.append(np.repeat(np.arange(12), 60), rng.integers(2, 12, 2000))
    columns = {"score": target / 11 + rng.normal(0, 0.2, target.size)}
    candidate = FakeBundle("multiclass_classification", classes)
    config = make_config("multiclass_classification")
    found = evaluate(config, candidate, None, columns, target, classes, seed=0)
    assert [curve.label for curve in found.curves] == [f"class {code}" for code in range(2, 12)]
    for curve in found.curves:
        assert 50 < len(curve.x) <= 200
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
        assert list(curve.x) == sorted(curve.x)


def test_no_curve_without_probabilities():
    """Labels alone draw no ROC curve."""
    columns, target = coloured_rows()
    candidate = FakeBundle("multiclass_classification", COLOURS, has_probabilities=False)
    config = make_config("multiclass_classification", metrics=["accuracy"])
    assert evaluate(config, candidate, None, columns, target, COLOURS, seed=0).curves == ()


def test_one_class_in_the_hold_out_is_refused_in_words():
    """An AUC asked of rows of one class is refused with the class and what to do."""
    columns, target = coloured_rows()
    config = make_config("multiclass_classification", metrics=["roc_auc"])
    candidate = FakeBundle("multiclass_classification", COLOURS)
    target[:] = "red"
    with pytest.raises(DataRefused, match=r"'red'.*data\.window\.holdout"):
        evaluate(config, candidate, None, columns, target, COLOURS, seed=0)


def test_candidate_without_probabilities_is_refused_in_words():
    """A metric that needs probabilities which the candidate hasn't is a training error that names it."""
    columns, target = binary_rows()
    candidate = FakeBundle("binary_classification", BOTH, has_probabilities=False)
    with pytest.raises(
        TrainingError, match="DummyClassifier gives no probabilities, which roc_auc, log_loss"
    ):
        evaluate(make_config(), candidate, None, columns, target, BOTH, seed=0)
