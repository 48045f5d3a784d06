"""Owns the measurement of how many kinds of models are served through ONNX, and that none is served wrong.

``python benchmarks/conversion.py [synth|flights …] [--only TEXT]`` writes its part of the README and
``benchmarks/results/conversion.json``. What was tried with this very code before is taken from ``.bench``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from many_pipelines.pipelines import Entry, all_entries, prepare
from many_pipelines.world import World, flights, synth
from measuring.processes import ROOT, keep, tell_circumstances
from measuring.tables import spell_table, write_section

WORLDS = {"synth": synth, "flights": flights}
LIMIT_SECONDS = 150
UNDECIDED = 1e-5
KEPT = ROOT / ".bench" / "conversion"
CODE = ("evertrain/packaging", "evertrain/native.py", "evertrain/sessions.py", "benchmarks/many_pipelines")


@dataclass(frozen=True)
class Outcome:
    """What became of one pipeline.

    Attributes:
        runtime: ``onnx``, ``native``, or ``none`` where it isn't served.
        wrong: Rows that the packed model answers otherwise than scikit-learn, of those the gate didn't see.
        reason: Why it isn't in ONNX, or isn't served.
        stock: What plain skl2onnx makes of it: ``right``, ``wrong``, ``fails``.
    """

    runtime: str
    wrong: int
    reason: str | None
    stock: str


def main(arguments: Sequence[str]) -> None:
    """Try each pipeline on each table, and write down what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="*", help=f"of {', '.join(WORLDS)}; default: all")
    parser.add_argument("--only", default="", help="only pipelines whose name holds this; writes nothing")
    options = parser.parse_args(arguments)
    circumstances = tell_circumstances()
    outcomes = {name: try_all(name, options.only) for name in options.worlds or [*WORLDS]}
    if options.only:
        for world, found in outcomes.items():
            for name, outcome in found.items():
                print(world, name, asdict(outcome))
        return
    figures = {**circumstances, "tables": {name: summarize(found) for name, found in outcomes.items()}}
    keep("conversion", figures)
    write_section("conversion", spell_section(figures))


def try_all(world: str, only: str) -> dict[str, Outcome]:
    """Try the whole list on one table; each in a fork of its own, since some conversions never end."""
    table = WORLDS[world]()
    entries = [entry for entry in all_entries() if only in entry.name]
    found = {}
    for number, entry in enumerate(entries, start=1):
        print(
            f"\r{world}: {number} of {len(entries)}  {entry.name:60.60}", end="", file=sys.stderr, flush=True
        )
        found[entry.name] = _recall_or_try(world, table, entry)
    print(file=sys.stderr)
    return found


def _recall_or_try(world: str, table: World, entry: Entry) -> Outcome:
    path = KEPT / _code_digest() / world / f"{hashlib.sha256(entry.name.encode()).hexdigest()[:16]}.json"
    if path.exists():
        return Outcome(**json.loads(path.read_text()))
    outcome = _try_apart(table, entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(outcome)))
    return outcome


def _code_digest() -> str:
    digest = hashlib.sha256()
    for place in CODE:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _try_apart(table: World, entry: Entry) -> Outcome:
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: sending.send(_try(table, entry)), daemon=True)
    child.start()
    sending.close()
    try:
        if not receiving.poll(LIMIT_SECONDS):
            return Outcome("none", 0, f"took over {LIMIT_SECONDS} s", "fails")
        outcome: Outcome = receiving.recv()
    except EOFError:
        return Outcome("none", 0, "the process died", "fails")
    finally:
        child.kill()
        child.join()
    return outcome


def _try(table: World, entry: Entry) -> Outcome:
    from evertrain.errors import EvertrainError
    from evertrain.native import dump_native, load_native, native_runner
    from evertrain.packaging import pack_model
    from evertrain.packaging.parity import tolerance_for
    from evertrain.predictions import compare_predictions

    warnings.simplefilter("ignore")
    pipeline, signature = _fit(table, entry)
    half = len(next(iter(table.asked.values()))) // 2
    gate = {name: values[:half] for name, values in table.asked.items()}
    unseen = {name: values[half:] for name, values in table.asked.items()}
    stock = _try_stock(pipeline, signature, unseen)
    try:
        data = dump_native(pipeline)
        tolerance = tolerance_for(signature)
        packed = pack_model(load_native(data), data, signature, gate, tolerance, _convert_here)
    except EvertrainError as error:
        return Outcome("none", 0, error.message, stock)
    reference = native_runner(pipeline, signature)(unseen)
    found = packed.run(unseen)
    difference = compare_predictions(*_decided(pipeline, unseen, reference, found), tolerance)
    wrong = difference.labels_different + int(difference.largest > 10 * tolerance)
    return Outcome(packed.runtime, wrong, packed.reason, stock)


def _decided(pipeline: Any, rows: Mapping[str, np.ndarray], reference: Any, found: Any) -> tuple[Any, Any]:
    """Both answers, without rows that scikit-learn itself leaves undecided and no probability tells of.

    A score that lies within rounding of its cut has no right side.
    """
    from evertrain.native import as_frame
    from evertrain.predictions import Prediction

    if (
        reference.codes is None
        or reference.probabilities is not None
        or not hasattr(pipeline, "decision_function")
    ):
        return reference, found
    scores = np.asarray(pipeline.decision_function(as_frame(rows)), dtype=np.float64)
    ordered = np.sort(scores, axis=1) if scores.ndim == 2 else np.column_stack([-scores, scores])
    margins = np.abs(ordered[:, -1] - ordered[:, -2])
    clear = margins > UNDECIDED * max(1.0, float(np.abs(scores).max()))
    return Prediction(codes=reference.codes[clear]), Prediction(codes=found.codes[clear])


def _convert_here(model: bytes, inputs: Sequence[Any]) -> Any:
    """Convert in this process, which is a fork already and imports nothing anew."""
    from evertrain.native import load_native
    from evertrain.packaging.conversion import Conversion, to_onnx

    try:
        return Conversion(to_onnx(load_native(model), inputs))
    except Exception as cause:  # whatever a converter raises is a reason to go native
        line = next(iter(str(cause).splitlines()), "")
        return Conversion(None, f"{type(cause).__name__}: {line[:200]}")


def _fit(table: World, entry: Entry) -> tuple[Any, Any]:
    from sklearn.pipeline import Pipeline

    from evertrain.columns import input_names
    from evertrain.native import as_frame
    from evertrain.records import Signature

    specs = input_names(table.features)
    numbers = [spec.name for spec in specs if spec.kind == "float"]
    texts = [spec.name for spec in specs if spec.kind == "string"]
    pipeline = Pipeline([("columns", prepare(entry.before, numbers, texts)), ("estimator", entry.build())])
    frame = as_frame({name: values[: entry.rows] for name, values in table.learnt.items()})
    target = _target(table, entry.task)[: entry.rows]
    pipeline.fit(frame, target)
    classes = None if entry.task == "regression" else tuple(f"class {code}" for code in np.unique(target))
    signature = Signature(
        task={"binary": "binary_classification", "three": "multiclass_classification"}.get(
            entry.task, "regression"
        ),
        target="y",
        features=table.features,
        classes=classes,
        has_probabilities=classes is not None and hasattr(pipeline, "predict_proba"),
    )
    return pipeline, signature


def _target(table: World, task: str) -> np.ndarray:
    if task == "regression":
        return table.number - table.number.min() + 1.0
    return (table.target == 0).astype(np.int64) if task == "binary" else table.target


def _try_stock(pipeline: Any, signature: Any, rows: Mapping[str, np.ndarray]) -> str:
    """Convert as skl2onnx's own pages say, and compare."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    from evertrain.columns import input_names
    from evertrain.native import native_runner
    from evertrain.predictions import compare_predictions
    from evertrain.sessions import open_onnx

    kinds = {"float": FloatTensorType, "string": StringTensorType}
    types = [(spec.name, kinds[spec.kind]([None, 1])) for spec in input_names(signature.features)]
    options = {} if signature.classes is None else {id(pipeline): {"zipmap": False}}
    few = {name: values[:5_000] for name, values in rows.items()}
    try:
        made = convert_sklearn(pipeline, initial_types=types, options=options)
        answers = open_onnx(made.SerializeToString(), signature)(few)
    except Exception:  # any way to fail is the same to whoever wants to serve it
        return "fails"
    difference = compare_predictions(native_runner(pipeline, signature)(few), answers, 1e-4)
    return "right" if not difference.labels_different and difference.largest <= 1e-3 else "wrong"


def summarize(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Count, over all and by family; name what isn't in ONNX, and why."""
    families = {entry.name: entry.family for entry in all_entries()}
    by_family: dict[str, Counter[str]] = {}
    for name, outcome in outcomes.items():
        by_family.setdefault(families[name], Counter()).update([outcome.runtime])
    runtimes = Counter(outcome.runtime for outcome in outcomes.values())
    stock = Counter(outcome.stock for outcome in outcomes.values())
    served = runtimes["onnx"] + runtimes["native"]
    return {
        "pipelines": len(outcomes),
        "onnx": runtimes["onnx"],
        "onnx_share": round(runtimes["onnx"] / len(outcomes), 3),
        "native": runtimes["native"],
        "served_share": round(served / len(outcomes), 3),
        "wrong": sum(outcome.wrong > 0 for outcome in outcomes.values()),
        "stock": dict(stock),
        "families": {family: dict(counts) for family, counts in sorted(by_family.items())},
        "not_onnx": {name: each.reason for name, each in outcomes.items() if each.runtime != "onnx"},
    }


def spell_section(figures: Mapping[str, Any]) -> str:
    """Spell the README's part."""
    tables = figures["tables"]
    head = [
        "table",
        "pipelines",
        "in ONNX",
        "native",
        "served",
        "served wrong",
        "stock skl2onnx: right, wrong, fails",
    ]
    rows = [
        [
            name,
            each["pipelines"],
            f"{each['onnx']} ({each['onnx_share']:.0%})",
            each["native"],
            f"{each['served_share']:.0%}",
            each["wrong"],
            ", ".join(str(each["stock"].get(word, 0)) for word in ("right", "wrong", "fails")),
        ]
        for name, each in tables.items()
    ]
    families = sorted({family for each in tables.values() for family in each["families"]})
    lines = [
        [family, *(_spell_family(each["families"].get(family, {})) for each in tables.values())]
        for family in families
    ]
    said = f"`python benchmarks/conversion.py`, commit {figures['commit']}, {figures['date']}."
    by_family = spell_table(["family", *(f"{name}: ONNX of all" for name in tables)], lines)
    return f"{said}\n\n{spell_table(head, rows)}\n\n{by_family}"


def _spell_family(counts: Mapping[str, int]) -> str:
    return f"{counts.get('onnx', 0)} of {sum(counts.values())}"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1:])
