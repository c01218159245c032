"""Which packages the light code may import, and how. import-linter holds the order of agewise's own modules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LIGHT = {"PIL", "agewise", "cv2", "numpy", "onnxruntime", "pydantic", "rich", "typer"}
# extras: inside functions, with MissingExtraError where absent
LAZY_ONLY = {"av", "dlib", "fsspec", "pyarrow", "pygame", "ray", "skimage", "sqlalchemy"}


def _imports(tree: ast.AST, *, inside_function: bool = False) -> Iterator[tuple[str, bool]]:
    """(top-level package, whether inside a function) of each import below `tree`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], inside_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0], inside_function
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(node, inside_function=inside_function or function)


def _wrong(source: str, name: str) -> list[str]:
    found = []
    for package, inside in _imports(ast.parse(source)):
        allowed = package in LIGHT or package in sys.stdlib_module_names or (inside and package in LAZY_ONLY)
        if not allowed:
            found.append(f"{name}: {package}" + (" (only inside a function)" if package in LAZY_ONLY else ""))
    return found


def test_agewise_imports_only_what_the_light_install_has(repository: Path, source_files: list[Path]) -> None:
    light = [file for file in source_files if file.is_relative_to(repository / "src" / "agewise")]
    wrong = [line for file in light for line in _wrong(file.read_text(encoding="utf-8"), str(file))]
    assert wrong == []


def test_the_check_itself() -> None:
    assert _wrong("import torch\ndef f():\n    import dlib, numpy.linalg\n", "x") == ["x: torch"]
    assert _wrong("import dlib", "x") == ["x: dlib (only inside a function)"]
