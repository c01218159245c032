"""The worked numbers in the docstrings of what an answer is to be believed by."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "least"), [("calibrate", 6), ("decode", 9), ("density", 1), ("quality", 1), ("verdicts", 2)]
)
def test_worked_numbers(module: str, least: int) -> None:
    result = doctest.testmod(importlib.import_module(f"agewise.{module}"))
    assert result.failed == 0
    assert result.attempted >= least
