"""Owns a bundle as MLflow's own kind of model: a folder that any MLflow can load, nothing in it pickled."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evertrain.records import Feature, Label, Signature

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType

    from evertrain.run_facts import RunFacts

LOADER = "evertrain.pyfunc_model"
STORE = "store"
BUILDERS = ("pip", "setuptools", "wheel")


def write_mlflow_model(folder: Path, facts: RunFacts, model_id: str) -> None:
    """Write the bundle as an MLflow model whose loader is ours; no code is copied.

    ``mlflow.pyfunc.save_model`` would write the same after a second's look through all that is installed: it
    compares requirements with the very versions that they were read from.

    Args:
        folder: Receives the files; empty.
        facts: Say which bundle, what it is asked with and what it answers.
        model_id: The logged model's, of MLflow.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import add_to_model

    data = folder / "data" / STORE
    shutil.copytree(facts.bundle_folder, data / "bundles" / facts.bundle.digest)
    model = Model(
        model_id=model_id,
        signature=_model_signature(facts.trained.signature),
        metadata={"evertrain.bundle": facts.bundle.digest},
        model_size_bytes=sum(path.stat().st_size for path in data.rglob("*") if path.is_file()),
    )
    files = _environment_files(_requirements(facts.bundle.runtime))
    add_to_model(  # type: ignore[no-untyped-call]
        model,
        loader_module=LOADER,
        data=f"data/{STORE}",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        streamable=False,
    )
    model.save(str(folder / "MLmodel"))
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def _requirements(runtime: str) -> list[str]:
    extra = "serving-native" if runtime == "native" else "serving"
    others = [f"{name}=={installed(name)}" for name in ("mlflow", "pandas")]
    return [f"evertrain[{extra}]=={installed('evertrain')}", *others]


def _environment_files(requirements: Sequence[str]) -> Mapping[str, str]:
    """What an environment for the model is made from: by pip, by virtualenv and by conda."""
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": list(requirements)}],
    }
    virtualenv = {
        "python": python,
        "build_dependencies": list(BUILDERS),
        "dependencies": ["-r requirements.txt"],
    }
    return {
        "requirements.txt": "".join(f"{line}\n" for line in requirements),
        "conda.yaml": _to_yaml(conda),
        "python_env.yaml": _to_yaml(virtualenv),
    }


def _to_yaml(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(content), sort_keys=False)
    return text


def _model_signature(signature: Signature) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    answer = DataType.double if signature.classes is None else _label_type(signature.classes[0])
    probabilities = ParamSpec("probabilities", DataType.boolean, False)
    return ModelSignature(
        inputs=Schema([_column(feature) for feature in signature.features]),
        outputs=Schema([ColSpec(answer)]),
        params=ParamSchema([probabilities]),
    )


def _column(feature: Feature) -> ColSpec:
    from mlflow.types import ColSpec, DataType
    from mlflow.types.schema import AnyType

    # MLflow would refuse numbers and times that the service takes: 1 for 1.0, integers with gaps, time zones.
    exact = {"string": DataType.string, "boolean": DataType.boolean}
    return ColSpec(exact.get(feature.type) or AnyType(), feature.name)  # type: ignore[no-untyped-call]


def _label_type(label: Label) -> DataType:
    from mlflow.types import DataType

    kinds = {bool: DataType.boolean, int: DataType.long, float: DataType.double, str: DataType.string}
    return kinds[type(label)]
