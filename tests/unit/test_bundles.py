from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from evertrain.bundle_files import MODEL_FILES, Golden, Runtime, copy_bundle, read_bundle, write_bundle
from evertrain.bundles import Bundle, check_golden, load_bundle
from evertrain.canonical import canonical_json
from evertrain.columns import encode_inputs, input_names
from evertrain.errors import BundleRefused, InvalidInput, ModelFailed
from evertrain.native import as_frame, dump_native
from evertrain.packaging.conversion import to_onnx
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from evertrain.storage import Store, open_store
from evertrain.training.preprocessing import build_preprocessor

SIGNATURE = Signature(
    task="binary_classification",
    target="late",
    features=(
        Feature(name="sched dep.", kind="numeric", type="integer"),
        Feature(name="carrier", kind="categorical", type="string"),
    ),
    classes=("No", "Yes"),
    has_probabilities=True,
)
ROWS: dict[str, list[Any]] = {"sched dep.": [700, None, 2100], "carrier": ["AA", "never seen", None]}

LIGHT = """
import sys
from evertrain.bundles import check_golden, load_bundle
from evertrain.storage import open_store
bundle = load_bundle(open_store(sys.argv[1]), sys.argv[2])
check_golden(bundle)
heavy = {"sklearn", "skops", "pandas", "pyarrow", "mlflow", "prefect", "onnx", "skl2onnx", "duckdb"}
print(bundle.runtime, sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def models() -> dict[Runtime, bytes]:
    rng = np.random.default_rng(0)
    columns = {
        "sched dep.": rng.integers(500, 2300, 80),
        "carrier": rng.choice(np.array(["AA", "UA"], dtype=object), 80),
    }
    inputs, specs = encode_inputs(SIGNATURE.features, columns), input_names(SIGNATURE.features)
    model = LogisticRegression()
    pipeline = Pipeline([("inputs", build_preprocessor(model, specs)), ("model", model)])
    pipeline.fit(as_frame(inputs), (columns["sched dep."] > 1500).astype(np.int64))
    return {"onnx": to_onnx(pipeline, specs), "native": dump_native(pipeline)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def pack(runtime: Runtime, models: Mapping[Runtime, bytes], **golden: Any) -> dict[str, bytes]:
    expected = {"codes": [0, 0, 1], **golden}
    recorded = Golden(columns=ROWS, tolerance=1e-5, **expected)
    return {
        MODEL_FILES[runtime]: models[runtime],
        "signature.json": canonical_json(SIGNATURE.model_dump(mode="json")),
        "golden.json": canonical_json(recorded.model_dump(mode="json")),
        "statistics.json": b'{"carrier":{"distinct":2}}',
        "provenance.json": b'{"run_key":"abc"}',
    }


def answer(probabilities: np.ndarray) -> Bundle:
    codes = probabilities.argmax(axis=1)
    prediction = Prediction(codes=codes, probabilities=probabilities)
    golden = Golden(columns=ROWS, tolerance=1e-5, codes=[0, 0, 1], probabilities=[[1, 0], [0.8, 0.2], [0, 1]])
    return Bundle("d" * 64, "onnx", SIGNATURE, golden, {}, {}, 1, lambda _: prediction)


@pytest.mark.parametrize("runtime", ["onnx", "native"])
def test_a_bundle_answers_raw_rows(runtime: Runtime, models: dict[Runtime, bytes], store: Store) -> None:
    """Raw JSON rows go in, labels in the training data's own type come out, missing and unseen ones too."""
    files = pack(runtime, models)
    digest = write_bundle(store, runtime, files, "0.1.0")
    bundle = load_bundle(store, digest)
    prediction = bundle.predict(ROWS)
    assert prediction.labels(bundle.signature) == ["No", "No", "Yes"]
    assert prediction.probabilities.shape == (3, 2)
    assert (bundle.runtime, bundle.digest, bundle.signature) == (runtime, digest, SIGNATURE)
    assert bundle.statistics == {"carrier": {"distinct": 2}}
    assert bundle.provenance == {"run_key": "abc"}
    assert bundle.size_bytes == sum(map(len, files.values()))


def test_both_runtimes_answer_alike(models: dict[Runtime, bytes], store: Store) -> None:
    """The same model in either runtime gives the same probabilities."""
    first, second = (
        load_bundle(store, write_bundle(store, runtime, pack(runtime, models), "0.1.0")).predict(ROWS)
        for runtime in models
    )
    assert np.allclose(first.probabilities, second.probabilities, atol=1e-6)


def test_an_onnx_bundle_answers_without_heavy_libraries(models: dict[Runtime, bytes], store: Store) -> None:
    """Loading and asking a bundle in ONNX imports neither scikit-learn nor pandas nor their like."""
    files = pack("onnx", models)
    digest = write_bundle(store, "onnx", files, "0.1.0")
    command = [sys.executable, "-c", LIGHT, store.where, digest]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    assert child.stdout == "onnx []\n"


def test_the_digest_is_that_of_the_manifest(models: dict[Runtime, bytes], store: Store) -> None:
    """The bundle's name is the SHA-256 of its manifest, and the same files give the same name."""
    files = pack("native", models)
    digest = write_bundle(store, "native", files, "0.1.0")
    manifest = store.get(f"bundles/{digest}/manifest.json")
    assert hashlib.sha256(manifest or b"").hexdigest() == digest
    assert write_bundle(store, "native", files, "0.1.0") == digest
    assert read_bundle(store, digest)[1] == files


@pytest.mark.parametrize("name", ["model.skops", "golden.json", "provenance.json", "manifest.json"])
@pytest.mark.parametrize("change", ["byte", "cut", "gone"])
def test_a_changed_file_is_refused(
    name: str, change: str, models: dict[Runtime, bytes], store: Store
) -> None:
    """One changed byte, a cut tail or a missing file, in any file, is a refusal before anything is loaded."""
    digest = write_bundle(store, "native", pack("native", models), "0.1.0")
    key = f"bundles/{digest}/{name}"
    data = store.get(key) or b""
    if change == "gone":
        store.delete(key)
    else:
        store.put(key, data[:-1] if change == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleRefused, match=digest[:12]):
        load_bundle(store, digest)


@pytest.mark.parametrize("digest", ["", "../journal", "A" * 64, "a" * 63])
def test_what_is_no_digest_is_refused(digest: str, store: Store) -> None:
    """A name that isn't 64 hex digits is refused without looking into the store."""
    with pytest.raises(BundleRefused, match="expected 64 hex digits"):
        load_bundle(store, digest)


def test_a_bundle_that_lacks_a_document_is_refused(models: dict[Runtime, bytes], store: Store) -> None:
    """A manifest may not leave a document out."""
    files = pack("native", models)
    del files["golden.json"]
    digest = write_bundle(store, "native", files, "0.1.0")
    with pytest.raises(BundleRefused, match=r"lacks golden\.json"):
        load_bundle(store, digest)


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        (b'{"format":2,"runtime":"onnx","created_by":"9","files":{}}', "format"),
        (b'{"format":1,"runtime":"tensorflow","created_by":"9","files":{}}', "runtime"),
        (b"not JSON", "the file"),
    ],
)
def test_an_unknown_format_is_refused(manifest: bytes, place: str, store: Store) -> None:
    """A bundle of a later format is refused in words, not half understood."""
    digest = hashlib.sha256(manifest).hexdigest()
    store.put(f"bundles/{digest}/manifest.json", manifest)
    with pytest.raises(BundleRefused, match=f"isn't what this version of evertrain reads: {place}"):
        load_bundle(store, digest)


def test_a_signature_of_another_version_is_refused(models: dict[Runtime, bytes], store: Store) -> None:
    """A signature with an unknown field is refused: it may mean something."""
    signature = SIGNATURE.model_dump(mode="json") | {"new_rule": 1}
    files = pack("native", models) | {"signature.json": canonical_json(signature)}
    with pytest.raises(BundleRefused, match=r"signature\.json.*new_rule"):
        load_bundle(store, write_bundle(store, "native", files, "0.1.0"))


def test_a_bundle_is_never_overwritten(models: dict[Runtime, bytes], store: Store) -> None:
    """Where a file stands with other bytes, writing is refused instead of mending in silence."""
    files = pack("native", models)
    digest = write_bundle(store, "native", files, "0.1.0")
    store.put(f"bundles/{digest}/model.skops", b"other")
    with pytest.raises(BundleRefused, match="exists with other bytes"):
        write_bundle(store, "native", files, "0.1.0")


def test_a_copied_bundle_is_the_same(models: dict[Runtime, bytes], store: Store, tmp_path: Path) -> None:
    """A copy in another store bears the same digest and holds the same bytes."""
    digest = write_bundle(store, "native", pack("native", models), "0.1.0")
    other = open_store(str(tmp_path / "other"))
    copy_bundle(store, other, digest)
    assert read_bundle(other, digest) == read_bundle(store, digest)


def test_an_ill_typed_row_is_the_callers_fault(models: dict[Runtime, bytes], store: Store) -> None:
    """What the column layer refuses names the column and never reaches the model."""
    bundle = load_bundle(store, write_bundle(store, "native", pack("native", models), "0.1.0"))
    with pytest.raises(InvalidInput) as refusal:
        bundle.predict(ROWS | {"sched dep.": ["soon", 1, 2]})
    assert refusal.value.field == "sched dep."


def test_a_number_that_isnt_finite_is_a_failure() -> None:
    """A model that answers NaN has failed; nobody gets the NaN."""
    bundle = answer(np.array([[1, 0], [0.8, 0.2], [np.nan, 1]]))
    with pytest.raises(ModelFailed, match="isn't finite"):
        bundle.predict(ROWS)


def test_golden_rows_pass_within_the_tolerance() -> None:
    """Answers a hair beside the recorded ones are taken for the same."""
    check_golden(answer(np.array([[1, 0], [0.8 + 5e-6, 0.2 - 5e-6], [0, 1]])))


@pytest.mark.parametrize(
    ("third", "said"),
    [([1.0, 0.0], "1 labels differ"), ([0.001, 0.999], "0 labels differ, numbers by up to 0.001")],
)
def test_golden_rows_that_dont_come_out_are_refused(third: list[float], said: str) -> None:
    """Another label, or another number, than when the bundle was made is a refusal."""
    with pytest.raises(BundleRefused, match=said):
        check_golden(answer(np.array([[1, 0], [0.8, 0.2], third])))


def test_golden_rows_that_cant_be_answered_are_refused() -> None:
    """A model that fails on its own golden rows is not served."""
    with pytest.raises(BundleRefused, match="fails on its golden rows"):
        check_golden(answer(np.full((3, 2), np.nan)))
