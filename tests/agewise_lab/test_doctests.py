"""The worked numbers in the laboratory's docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("datasets.utkface", 2),
        ("evaluation.metrics", 7),
        ("evaluation.thresholds", 2),
        ("losses.label_distribution", 6),
    ],
)
def test_worked_numbers(module: str, least: int) -> None:
    result = doctest.testmod(importlib.import_module(f"agewise_lab.{module}"))
    assert result.failed == 0
    assert result.attempted >= least
