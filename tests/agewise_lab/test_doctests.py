"""The worked numbers in the laboratory's docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("datasets.utkface", 2),
        ("evaluation.calibration", 3),
        ("evaluation.chain", 1),
        ("evaluation.gate", 5),
        ("evaluation.job", 1),
        ("evaluation.measures.abstain", 5),
        ("evaluation.measures.aev", 16),
        ("evaluation.measures.ages", 8),
        ("evaluation.measures.bootstrap", 6),
        ("evaluation.measures.classes", 5),
        ("evaluation.measures.faces", 2),
        ("evaluation.measures.gender", 8),
        ("evaluation.measures.grid", 1),
        ("evaluation.measures.intervals", 4),
        ("evaluation.measures.paired", 3),
        ("evaluation.measures.rates", 3),
        ("evaluation.predictions", 1),
        ("evaluation.protocols.base", 1),
        ("evaluation.protocols.classes", 5),
        ("evaluation.protocols.utkface", 1),
        ("evaluation.tables", 2),
        ("losses.label_distribution", 6),
    ],
)
def test_worked_numbers(module: str, least: int) -> None:
    result = doctest.testmod(importlib.import_module(f"agewise_lab.{module}"))
    assert result.failed == 0
    assert result.attempted >= least
