from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from evertrain.bundles import check_golden, load_bundle
from evertrain.columns import InputSpec
from evertrain.config import PipelineConfig, TrainingConfig
from evertrain.datasets import ingest, read_side, to_columns
from evertrain.errors import BundleRefused
from evertrain.native import as_frame, dump_native, load_native
from evertrain.packaging import package
from evertrain.settings import read_settings
from evertrain.storage import open_store
from evertrain.training import train
from evertrain.training.fitting import fit_pipeline, make_estimator
from evertrain.training.rows import TrainingRows, find_newest_fifth

CLASSIFIERS = (LGBMClassifier, XGBClassifier, XGBRFClassifier)
REGRESSORS = (LGBMRegressor, XGBRegressor, XGBRFRegressor)


def rows(classes: int | None) -> TrainingRows:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=300).astype(np.float32)
    target = numbers + rng.normal(size=300)
    return TrainingRows(
        inputs={
            "in_000": np.where(np.arange(300) % 17 == 0, np.nan, numbers).astype(np.float32),
            "in_001": rng.choice(np.array(["a", "b"], dtype=object), 300),
        },
        specs=(InputSpec("in_000", "float"), InputSpec("in_001", "string")),
        target=target if classes is None else np.digitize(target, [0.0, 1.0][: classes - 1]),
        is_classification=classes is not None,
        weights=np.linspace(0.5, 1.5, 300),
        newest=find_newest_fifth(None, 300),
    )


def config(**options: Any) -> TrainingConfig:
    return TrainingConfig(estimator="a.Booster", params={"n_estimators": 5}, **options)


@pytest.mark.parametrize(
    ("kind", "classes", "options"),
    [
        *((kind, 2, {"class_weight": "balanced", "calibration": "sigmoid"}) for kind in CLASSIFIERS),
        *((kind, 3, {}) for kind in CLASSIFIERS),
        *((kind, None, {}) for kind in REGRESSORS),
    ],
)
def test_boosters_are_kept_and_answer_alike(
    kind: type[Any], classes: int | None, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Weighed, balanced or calibrated, what was kept answers to the last bit, and all in silence."""
    learnt = rows(classes)
    fitted, again = (fit_pipeline(kind, config(**options), learnt) for _ in range(2))
    data = dump_native(fitted)
    loaded = load_native(data)
    frame = as_frame(learnt.inputs)
    assert np.array_equal(loaded.predict(frame), fitted.predict(frame))
    if classes:
        assert np.array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))
    assert dump_native(again) == data == dump_native(loaded)
    assert capfd.readouterr() == ("", "")


def test_a_user_may_ask_lightgbm_to_talk() -> None:
    """Silence is ours to choose only where the YAML says nothing."""
    assert make_estimator(LGBMClassifier, config()).get_params()["verbosity"] == -1
    loud = config().model_copy(update={"params": {"verbose": 1}})
    assert "verbosity" not in make_estimator(LGBMClassifier, loud).get_params()


@pytest.mark.parametrize("estimator", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
def test_a_searched_booster_is_served_from_onnx(tmp_path: Path, estimator: str) -> None:
    """From rows by a search to a bundle that answers as the fitted model does."""
    lines = ["number,text,answer"]
    rng = np.random.default_rng(0)
    for _ in range(300):
        number = rng.normal()
        lines.append(f"{number:.5f},{rng.choice(['a', 'b'])},{'Yes' if number + rng.normal() > 0 else 'No'}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    space = {"learning_rate": {"type": "float", "low": 0.01, "high": 0.5, "log": True}}
    pipeline = PipelineConfig.model_validate(
        {
            "name": "boosted",
            "data": {
                "source": {"type": "files", "uri": str(tmp_path / "rows.csv")},
                "target": "answer",
                "features": {"numeric": ["number"], "categorical": ["text"]},
            },
            "training": {
                "estimator": estimator,
                "params": {"n_estimators": 5},
                "search": {"trials": 3, "space": space},
            },
            "evaluation": {"task": "binary_classification"},
        }
    )
    store = open_store(str(tmp_path / "store"))
    ingested = ingest(pipeline, store, as_of=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    trained = train(pipeline, ingested, store, read_settings({}))
    assert trained.search is not None
    assert [trial.state for trial in trained.search.trials] == ["complete"] * 3

    reference = package(pipeline, ingested, trained, store, {})
    bundle = load_bundle(store, reference.digest)
    check_golden(bundle)
    assert bundle.runtime == "onnx"
    assert any(name.startswith(estimator.partition(".")[0]) for name in bundle.provenance)
    held_out = to_columns(read_side(store, ingested.snapshot, "holdout", target="answer"), ["number", "text"])
    fitted = load_native(store.get(trained.key) or b"")
    frame = as_frame({"in_000": held_out["number"].astype(np.float32), "in_001": held_out["text"]})
    answered = bundle.predict(held_out).probabilities
    assert answered is not None
    np.testing.assert_allclose(answered, fitted.predict_proba(frame), atol=1e-6)


def tamper(data: bytes, change: Any) -> bytes:
    """Write a skops file anew, with what *change* makes of its schema and its parts."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    change(schema, files)
    files["schema.json"] = json.dumps(schema).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return written.getvalue()


def find_node(node: Any, name: str) -> dict[str, Any]:
    """Find the first node of a skops schema whose class bears *name*."""
    if isinstance(node, dict):
        if node.get("__class__") == name:
            return node
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        found = find_node(each, name)
        if found:
            return found
    return {}


def swap_class(schema: Any, _files: dict[str, bytes]) -> None:
    find_node(schema, "Booster").update({"__class__": "system", "__module__": "os"})


def swap_handle_for_callable(schema: Any, _files: dict[str, bytes]) -> None:
    content = find_node(schema, "Booster")["content"]["content"]
    place = next(name for name in ("_handle", "handle") if name in content)
    content[place] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "__id__": 987654,
        "content": {"module_path": "os", "function": "system"},
    }


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
@pytest.mark.parametrize("change", [swap_class, swap_handle_for_callable])
def test_a_booster_that_names_code_is_refused(kind: type[Any], change: Any) -> None:
    """What is outside the list, in the booster's place or within it, is named and never loaded."""
    data = tamper(dump_native(fit_pipeline(kind, config(), rows(2))), change)
    with pytest.raises(BundleRefused, match=r"os\.system|posix\.system"):
        load_native(data)


SPOILT_HANDLE = """
import sys
from pathlib import Path
from evertrain.errors import BundleRefused
from evertrain.native import load_native
for path in sys.argv[1:]:
    try:
        load_native(Path(path).read_bytes())
    except BundleRefused as refusal:
        print(refusal.message)
"""


def test_a_booster_of_rubbish_is_refused(tmp_path: Path) -> None:
    """What a booster's own parser can't read is a refusal, and ends no process."""

    def spoil(schema: Any, files: dict[str, bytes]) -> None:
        content = find_node(schema, "Booster")["content"]["content"]
        handle = content.get("_handle") or content["handle"]
        if "file" in handle:
            files[handle["file"]] = b"rubbish" * 9
        else:
            handle["content"] = json.dumps("rubbish")

    paths = [tmp_path / f"{kind.__name__}.skops" for kind in (LGBMClassifier, XGBClassifier)]
    for path, kind in zip(paths, (LGBMClassifier, XGBClassifier), strict=True):
        path.write_bytes(tamper(dump_native(fit_pipeline(kind, config(), rows(2))), spoil))
    command = [sys.executable, "-c", SPOILT_HANDLE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The native model can't be read") == 2
