from __future__ import annotations

import ast
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel, TypeAdapter

from evertrain import errors
from evertrain.config import PipelineConfig
from evertrain.config.files import load_config
from evertrain.gates import Gate
from evertrain.notifiers import Notifier
from evertrain.records import Evaluation, GateEvidence, Signature
from evertrain.settings import read_settings
from evertrain.sources import Source
from evertrain.strategies import Strategy

REPOSITORY = Path(__file__).resolve().parents[2]
PIPELINES = sorted((REPOSITORY / "configs").glob("*.yaml"))


def readme(repository: Path) -> str:
    return (repository / "README.md").read_text("utf-8")


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of *language* in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands_of(command: typing.Any, path: str) -> Iterator[str]:
    """Every command below *command* (a group has members), as a user types it."""
    members = getattr(command, "commands", {})
    if not members:
        yield path
    for name, member in members.items():
        yield from commands_of(member, f"{path} {name}")


def kinds_of(family: typing.Any) -> tuple[type[BaseModel], ...]:
    """The members of a union that a ``type`` tells apart."""
    union: types.UnionType = typing.get_args(family)[0]
    return typing.get_args(union)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_here_loads_and_bears_its_file_s_name(path: Path) -> None:
    """Each YAML under configs/ is a sound pipeline."""
    assert load_config(path, read_settings({})).name == path.stem


def test_the_readme_s_first_pipeline_loads(repository: Path, tmp_path: Path) -> None:
    """What a newcomer copies out of the README is sound."""
    sample, *_ = fenced(readme(repository), "yaml")
    path = tmp_path / "churn.yaml"
    path.write_text(sample, "utf-8")

    assert load_config(path, read_settings({})).data.target == "churned"


def test_every_setting_is_documented(repository: Path, product: dict[Path, ast.Module]) -> None:
    """Each environment variable that settings.py reads stands in README's table."""
    settings = {
        node.value
        for node in ast.walk(product[Path("evertrain/settings.py")])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Z_]+", node.value)
    }

    assert "EVERTRAIN_HOME" in settings
    assert {name for name in settings if f"`{name}`" not in readme(repository)} == set()


def test_every_command_is_documented(repository: Path) -> None:
    """Each command of the command line stands in the README as it is typed."""
    from evertrain.cli.app import app

    commands = set(commands_of(typer.main.get_command(app), "evertrain"))

    assert "evertrain audit verify" in commands
    assert {name for name in commands if not re.search(rf"`{name}[ `]", readme(repository))} == set()


def test_every_exit_code_is_documented(repository: Path) -> None:
    """Each error's exit code stands in README's table."""
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.EvertrainError)
    }

    assert codes <= {int(code) for code in re.findall(r"^\| (\d+) \|", readme(repository), re.MULTILINE)}


@pytest.mark.parametrize(
    "family", [Gate, Notifier, Source, Strategy], ids=["gates", "notifiers", "sources", "strategies"]
)
def test_every_kind_has_its_manual(family: typing.Any) -> None:
    """A kind's docstring is what the schema says of it."""
    kinds = kinds_of(family)

    assert len(kinds) >= 3
    assert [kind.__name__ for kind in kinds if not (kind.__doc__ or "").strip().endswith(".")] == []
    assert "description" in str(TypeAdapter(family).json_schema())


def test_the_example_of_a_new_gate_works(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate that how-to-extend.md writes can be copied as it stands."""
    (source,) = fenced((repository / "docs" / "how-to-extend.md").read_text("utf-8"), "python")
    module = types.ModuleType("enough_rows")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, "enough_rows.py", "exec"), module.__dict__)
    signature = Signature(task="regression", target="y", features=())
    evidence = GateEvidence(evaluation=Evaluation(rows=10, metrics={}), signature=signature)

    verdicts = [module.EnoughRows(type="enough_rows", min_rows=n).check(evidence).verdict for n in (10, 11)]

    assert verdicts == ["pass", "fail"]


def test_every_link_between_documents_leads_somewhere(committed: tuple[Path, ...], repository: Path) -> None:
    """No document points to a file that isn't here."""
    broken = [
        f"{path.relative_to(repository)}: {target}"
        for path in committed
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]

    assert broken == []


def test_readme_names_the_schema_and_it_is_there(repository: Path) -> None:
    """Editors find the schema where the README says, and it describes a pipeline."""
    assert "configs/schema.json" in readme(repository)
    assert (repository / "configs" / "schema.json").is_file()
    assert set(PipelineConfig.model_fields) <= set(
        (repository / "configs" / "schema.json").read_text("utf-8").split('"')
    )
