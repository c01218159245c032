"""Guard rails, not goals: files and functions stay small enough to read in one go."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

FILE_P90_LINES = 350
FUNCTION_P90_LINES = 40
FUNCTION_MOST_LINES = 80


def _p90(sizes: list[int]) -> float:
    return statistics.quantiles(sizes, n=10, method="inclusive")[-1]


def _functions(files: list[Path]) -> list[tuple[int, str]]:
    """(lines, where) of each function, its decorators left out."""
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                found.append((node.end_lineno - node.lineno + 1, f"{file.name}:{node.lineno} {node.name}"))
    return found


def test_files(source_files: list[Path]) -> None:
    sizes = [(len(file.read_text(encoding="utf-8").splitlines()), file.name) for file in source_files]
    sizes = [(lines, name) for lines, name in sizes if lines >= 5]
    assert _p90([lines for lines, _ in sizes]) <= FILE_P90_LINES, sorted(sizes)[-5:]


def test_functions(source_files: list[Path]) -> None:
    functions = _functions(source_files)
    assert [row for row in functions if row[0] > FUNCTION_MOST_LINES] == []
    assert _p90([lines for lines, _ in functions]) <= FUNCTION_P90_LINES, sorted(functions)[-5:]


def test_the_measure_itself(tmp_path: Path) -> None:
    file = tmp_path / "long.py"
    file.write_text("def f():\n" + "    x = 1\n" * 80)
    assert _functions([file]) == [(81, "long.py:1 f")]
    assert _p90([1] * 8 + [100] * 3) == 100
