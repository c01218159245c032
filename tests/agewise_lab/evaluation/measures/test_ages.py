"""Errors of ages, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agewise_lab.evaluation.measures import (
    cumulative_accuracy,
    cumulative_score,
    epsilon_error,
    mean_absolute_error,
    root_mean_square_error,
)


def _array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("estimates", "truths", "rmse"),
    [((30,), (30,), 0), ((30, 40), (33, 44), math.sqrt(12.5)), ((0, 100), (100, 0), 100)],
)
def test_root_mean_square(estimates: tuple[float, ...], truths: tuple[float, ...], rmse: float) -> None:
    a, b = _array(*estimates), _array(*truths)
    assert root_mean_square_error(a, b) == pytest.approx(rmse)
    assert root_mean_square_error(a, b) >= mean_absolute_error(a, b)


def test_cumulative_accuracy_is_the_cumulative_score_unless_strict() -> None:
    truths = np.zeros(6)
    estimates = _array(0, 2.9, 3, 3, -3, 5)
    assert cumulative_accuracy(estimates, truths, 3) == cumulative_score(estimates, truths, 3) == pytest.approx(5 / 6)
    assert cumulative_accuracy(estimates, truths, 3, strict=True) == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("estimate", "error"),
    [(30, 0), (35, 1 - math.exp(-0.5)), (25, 1 - math.exp(-0.5)), (40, 1 - math.exp(-2)), (90, 1)],
)
def test_epsilon_error(estimate: float, error: float) -> None:
    assert epsilon_error(_array(estimate), _array(30), _array(5)) == pytest.approx(error, abs=1e-12)


def test_epsilon_error_of_people_who_agree() -> None:
    assert epsilon_error(_array(30, 30.1), _array(30, 30), _array(0, 0)) == pytest.approx(0.5)
