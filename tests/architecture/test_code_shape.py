from __future__ import annotations

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

BANNED_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "core",
    "misc",
    "manager",
    "managers",
    "models",
}
LONGEST_FILE_LINES = 350
MEDIAN_FILE_LINES = 150
LONGEST_FUNCTION_LINES = 50


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines below the signature and the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def file_lines(repository: Path, paths: dict[Path, ast.Module]) -> dict[Path, int]:
    return {path: len((repository / path).read_text("utf-8").splitlines()) for path in paths}


def test_no_module_has_a_name_that_explains_nothing(everything: dict[Path, ast.Module]) -> None:
    """A file or folder called utils, helpers, core … is refused."""
    parts = {path: set(path.with_suffix("").parts) & BANNED_NAMES for path in everything}

    assert {str(path): names for path, names in parts.items() if names} == {}


def test_no_file_is_longer_than_a_reader_can_hold(
    repository: Path, everything: dict[Path, ast.Module]
) -> None:
    """No file has over 350 lines."""
    too_long = {str(p): n for p, n in file_lines(repository, everything).items() if n > LONGEST_FILE_LINES}

    assert too_long == {}


def test_most_files_are_short(repository: Path, product: dict[Path, ast.Module]) -> None:
    """The product's median file has at most 150 lines."""
    assert statistics.median(file_lines(repository, product).values()) <= MEDIAN_FILE_LINES


def test_no_function_is_longer_than_a_screen(everything: dict[Path, ast.Module]) -> None:
    """No function's body has over 50 lines."""
    too_long = {
        f"{path}:{function.lineno} {function.name}": body_lines(function)
        for path, tree in everything.items()
        for function in functions_of(tree)
        if body_lines(function) > LONGEST_FUNCTION_LINES
    }

    assert too_long == {}


def test_every_module_says_what_it_owns(product: dict[Path, ast.Module]) -> None:
    """A module's docstring starts with what it owns; a package's may say it in other words."""
    documented = {str(path): ast.get_docstring(tree) or "" for path, tree in product.items()}
    silent = {
        path: text[:60]
        for path, text in documented.items()
        if not text.startswith("Owns ") and not path.endswith(("__init__.py", "__main__.py"))
    }

    assert silent == {}
    assert [path for path, text in documented.items() if not text] == []


def test_every_test_says_what_behaviour_it_shows(everything: dict[Path, ast.Module]) -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in everything.items()
        if path.parts[0] == "tests" and path.name.startswith("test_")
        for function in functions_of(tree)
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]

    assert silent == []


def test_test_modules_have_names_of_their_own(everything: dict[Path, ast.Module]) -> None:
    """No two test modules share a name, and no test folder is a package that could hide a real one."""
    names = [path.name for path in everything if path.parts[0] == "tests" and path.name != "conftest.py"]

    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert "__init__.py" not in names


def test_the_measure_of_a_function_leaves_its_docstring_out() -> None:
    """A long docstring costs nothing, a long body does."""
    (function,) = functions_of(
        ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n')
    )

    assert body_lines(function) == 2
