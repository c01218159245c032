"""The worked numbers in the laboratory's docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("architectures.count", 2),
        ("architectures.layers", 1),
        ("architectures.ssrnet", 2),
        ("datasets._imdb_wiki", 3),
        ("datasets._tables", 2),
        ("datasets.adience", 1),
        ("datasets.fairface", 1),
        ("datasets.morph2", 1),
        ("datasets.own", 3),
        ("datasets.registry", 1),
        ("datasets.utkface", 2),
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
        ("evaluation.measures.intervals", 3),
        ("evaluation.measures.paired", 3),
        ("evaluation.measures.rates", 3),
        ("evaluation.predictions", 1),
        ("evaluation.protocols.base", 1),
        ("evaluation.protocols.classes", 5),
        ("evaluation.protocols.utkface", 1),
        ("evaluation.tables", 2),
        ("evaluation.thresholds", 2),
        ("heads.ordinal", 1),
        ("heads.stagewise", 1),
        ("losses.bins", 5),
        ("losses.classification", 14),
        ("losses.distribution", 8),
        ("losses.gender", 5),
        ("losses.label_distribution", 6),
        ("losses.ordinal", 10),
        ("losses.regression", 8),
        ("losses.targets", 10),
        ("losses.tasks", 4),
        ("training.teacher", 1),
    ],
)
def test_worked_numbers(module: str, least: int) -> None:
    result = doctest.testmod(importlib.import_module(f"agewise_lab.{module}"))
    assert result.failed == 0
    assert result.attempted >= least
