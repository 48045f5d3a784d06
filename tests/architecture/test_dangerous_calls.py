from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Calls that wait for another machine; without a timeout they can wait for ever.
WAITING = {
    *(
        f"{library}.{verb}"
        for library in ("requests", "httpx")
        for verb in ("get", "post", "put", "head", "request")
    ),
    "httpx.Client",
    "httpx.AsyncClient",
    "urllib.request.urlopen",
    "request.urlopen",
    "urlopen",
    "http.client.HTTPConnection",
    "http.client.HTTPSConnection",
    "HTTPConnection",
    "HTTPSConnection",
    "socket.create_connection",
}


def imported_tops(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    return ((ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def waits_for_ever(name: str, call: ast.Call) -> bool:
    return name in WAITING and not any(keyword.arg == "timeout" for keyword in call.keywords)


def test_nothing_here_is_pickled(product: dict[Path, ast.Module]) -> None:
    """No module of the product imports a library that pickles: loading one runs whatever it holds."""
    found = {str(path): sorted(set(imported_tops(tree)) & PICKLERS) for path, tree in product.items()}

    assert {path: names for path, names in found.items() if names} == {}


def test_no_model_is_loaded_through_mlflow(product: dict[Path, ast.Module]) -> None:
    """``mlflow.*.load_model`` unpickles: it is called nowhere."""
    found = [
        f"{path}:{call.lineno}"
        for path, tree in product.items()
        for name, call in calls(tree)
        if name.endswith(".load_model")
    ]

    assert found == []


def test_nothing_is_evaluated(product: dict[Path, ast.Module]) -> None:
    """No eval, no exec: what users write is data."""
    found = [
        f"{p}:{c.lineno}"
        for p, tree in product.items()
        for name, c in calls(tree)
        if name in ("eval", "exec")
    ]

    assert found == []


def test_every_call_over_the_network_has_a_timeout(product: dict[Path, ast.Module]) -> None:
    """A request to another machine says how long it waits."""
    found = [
        f"{path}:{call.lineno} {name}"
        for path, tree in product.items()
        for name, call in calls(tree)
        if waits_for_ever(name, call)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("httpx.get(url)", True),
        ("httpx.get(url, timeout=5)", False),
        ("urllib.request.urlopen(url)", True),
        ("client.get(url)", False),
    ],
)
def test_the_search_for_missing_timeouts_finds_them(source: str, caught: bool) -> None:
    """The rule above can fail."""
    assert any(waits_for_ever(name, call) for name, call in calls(ast.parse(source))) is caught


def test_the_search_for_picklers_finds_them() -> None:
    """An import inside a function counts."""
    assert "pickle" in imported_tops(ast.parse("def f():\n    from pickle import loads\n"))
