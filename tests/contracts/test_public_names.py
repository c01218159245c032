"""The public names of agewise. To add or remove one is a decision: change the list here, and CHANGELOG.md."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import agewise

PUBLIC_NAMES = [
    "AgewiseError",
    "Analyzer",
    "Detection",
    "Estimator",
    "Face",
    "Gender",
    "ModelCard",
    "Prediction",
    "Quality",
    "QualityThresholds",
    "Verdict",
    "draw_faces",
    "make_detector",
    "read_image",
]


def test_the_list_is_the_golden_one() -> None:
    assert list(agewise.__all__) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_name_loads_and_is_documented(name: str) -> None:
    value = getattr(agewise, name)
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert text, f"agewise.{name} has no docstring"
    assert not text.startswith(f"{name}("), f"agewise.{name} has only the docstring that dataclass wrote"
    assert name in dir(agewise)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Analyser'"):
        _ = agewise.Analyser


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(agewise.__file__).read_text(encoding="utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    aliases = [alias for node in ast.walk(guarded[0]) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert [alias.asname for alias in aliases] == [alias.name for alias in aliases], "each `as` itself: a re-export"
    assert sorted(alias.name for alias in aliases) == PUBLIC_NAMES
