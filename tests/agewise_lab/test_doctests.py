"""The worked numbers in the laboratory's docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("datasets._imdb_wiki", 3),
        ("datasets._tables", 2),
        ("datasets.adience", 1),
        ("datasets.fairface", 1),
        ("datasets.morph2", 1),
        ("datasets.own", 3),
        ("datasets.registry", 1),
        ("datasets.utkface", 2),
        ("evaluation.calibration", 3),
        ("evaluation.metrics", 8),
        ("losses.label_distribution", 6),
    ],
)
def test_worked_numbers(module: str, least: int) -> None:
    result = doctest.testmod(importlib.import_module(f"agewise_lab.{module}"))
    assert result.failed == 0
    assert result.attempted >= least
