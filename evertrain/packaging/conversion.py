"""Owns the way from scikit-learn to ONNX by skl2onnx and our mends, in a child process that may not hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, NamedTuple

from evertrain.columns import InputSpec
from evertrain.native import load_native
from evertrain.orphans import end_with_parent
from evertrain.packaging.mends import find_flaw, mend_graph, mended, stand_in

LIMIT_SECONDS = 60.0
# About a million tree nodes, half a minute. By size, for time alone would let the machine's load choose.
LIMIT_BYTES = 20_000_000
OPSETS = {"": 18, "ai.onnx.ml": 3}
REFUSED = 3

COARSE = "32-bit numbers are too coarse for it"
TIES = "ONNX Runtime breaks its distance ties otherwise"
NO_THRESHOLD = "its decision threshold would get lost"

# skl2onnx converts these without a word into models that answer wrongly, or can't convert them.
NOT_EXACT: Mapping[str, str] = {
    "KNeighborsMixin": TIES,
    "RadiusNeighborsMixin": TIES,
    "GaussianProcessClassifier": COARSE,
    "GaussianProcessRegressor": COARSE,
    "TunedThresholdClassifierCV": NO_THRESHOLD,
    "FixedThresholdClassifier": NO_THRESHOLD,
}


class Conversion(NamedTuple):
    """The model in ONNX, or in words why there is none."""

    model: bytes | None
    reason: str | None = None


def convert_apart(
    model: bytes, inputs: Sequence[InputSpec], limit_seconds: float = LIMIT_SECONDS
) -> Conversion:
    """Convert in a child process, since some conversions never end; the child ends with its parent.

    Args:
        model: A pipeline as ``dump_native`` wrote it.
        inputs: The column layer's inputs, in order.
        limit_seconds: Then the child is killed and there is no model in ONNX.

    Returns:
        The model, or the reason why there is none: no converter, too large, too slow.
    """
    if len(model) > LIMIT_BYTES:
        found, limit = (round(size / 1e6) for size in (len(model), LIMIT_BYTES))
        return Conversion(None, f"at {found} MB it is too large to convert in time (at most {limit} MB)")
    command = [sys.executable, "-W", "ignore", "-m", "evertrain.packaging.conversion", str(os.getpid())]
    try:
        child = subprocess.run(  # noqa: S603 - this very interpreter, on this very module
            [*command, json.dumps(inputs)],
            input=model,
            capture_output=True,
            timeout=limit_seconds,
            check=False,
            # skl2onnx walks over sets of text: unless they are hashed alike, the bytes differ by run.
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    except subprocess.TimeoutExpired:
        return Conversion(None, f"the conversion took over {limit_seconds:.0f} seconds")
    if child.returncode == 0:
        return Conversion(child.stdout)
    if child.returncode == REFUSED:
        return Conversion(None, child.stdout.decode())
    last = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
    return Conversion(None, f"the conversion ended with exit code {child.returncode}: {last[0][:300]}")


def find_inexact(pipeline: Any) -> str | None:
    """Say why *pipeline* would be wrong in ONNX although it may convert; None if no reason is known."""
    for part in _parts(pipeline[-1]):
        if getattr(part, "method", None) == "isotonic":
            return "isotonic calibration is not exact in ONNX: it would jump where scikit-learn interpolates"
        names = [kind.__name__ for kind in type(part).__mro__]
        reason = next((NOT_EXACT[name] for name in names if name in NOT_EXACT), None)
        if reason is not None:
            return f"{type(part).__name__} is not exact in ONNX: {reason}"
    flaw = find_flaw(pipeline)
    return None if flaw is None else f"{type(pipeline[-1]).__name__} is not exact in ONNX: {flaw}"


def to_onnx(pipeline: Any, inputs: Sequence[InputSpec]) -> bytes:
    """Convert by skl2onnx, with the mends of what it gets wrong; raises whatever skl2onnx raises.

    Args:
        pipeline: Fitted; its last step is the estimator.
        inputs: Each becomes an input of shape (n, 1), float32 or string.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.base import is_classifier
    from sklearn.svm import LinearSVC

    pipeline = stand_in(pipeline)
    kinds = {"float": FloatTensorType, "string": StringTensorType}
    options: dict[Any, dict[str, bool]] = {}
    if isinstance(pipeline[-1], LinearSVC):
        options = {LinearSVC: {"raw_scores": True}}
    elif is_classifier(pipeline):
        options = {id(pipeline): {"zipmap": False}}
    with mended(pipeline):
        found = convert_sklearn(
            pipeline,
            # Without a name skl2onnx makes one up, and no two conversions are alike.
            name="evertrain",
            initial_types=[(spec.name, kinds[spec.kind]([None, 1])) for spec in inputs],
            options=options,
            target_opset=OPSETS,
        )
    mend_graph(pipeline, found.graph)
    return bytes(found.SerializeToString())


def main(arguments: Sequence[str]) -> int:
    """Convert standard input to standard output; exit 3 with the reason there if that can't be done."""
    parent, inputs = int(arguments[0]), [InputSpec(*each) for each in json.loads(arguments[1])]
    end_with_parent(parent)
    with redirect_stdout(sys.stderr):
        answer, code = _try_converting(load_native(sys.stdin.buffer.read()), inputs)
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    return code


def _try_converting(pipeline: Any, inputs: Sequence[InputSpec]) -> tuple[bytes, int]:
    try:
        return to_onnx(pipeline, inputs), 0
    except Exception as cause:
        return _explain(cause).encode(), REFUSED


def _explain(cause: Exception) -> str:
    if type(cause).__name__ in ("MissingConverter", "MissingShapeCalculator"):
        return "skl2onnx has no converter for it"
    line = next(iter(str(cause).strip().splitlines()), "")
    return f"skl2onnx can't convert it: {type(cause).__name__}: {line[:300]}"


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    for part in estimator.get_params(deep=False).values():
        if hasattr(part, "get_params") and not isinstance(part, type):
            yield from _parts(part)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
