"""Measures: tables worked by hand, and what must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation import measures
from agewise_lab.evaluation.measures import AGE_BANDS, bootstrap_interval, expected_calibration_error


def _array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("estimates", "truths", "mae", "bias", "cs5"),
    [
        ((30,), (30,), 0, 0, 1),
        ((30, 40), (33, 41), 2, -2, 1),
        ((30, 40), (25, 46), 5.5, -0.5, 0.5),  # exactly five years away is within five years
        ((0, 100), (100, 0), 100, 0, 0),
        ((20.5, 21.5, 22.5), (20, 20, 20), 1.5, 1.5, 1),
    ],
)
def test_ages(estimates: tuple[float, ...], truths: tuple[float, ...], mae: float, bias: float, cs5: float) -> None:
    a, b = _array(*estimates), _array(*truths)
    assert measures.mean_absolute_error(a, b) == pytest.approx(mae)
    assert measures.bias(a, b) == pytest.approx(bias)
    assert measures.cumulative_score(a, b, 5) == pytest.approx(cs5)


@pytest.mark.parametrize(
    ("low", "high", "truths", "share"),
    [
        ((10,), (20,), (10,), 1),  # the ends are inside
        ((10,), (20,), (20,), 1),
        ((10,), (20,), (20.01,), 0),
        ((10, 30), (20, 40), (9, 35), 0.5),
    ],
)
def test_coverage(low: tuple[float, ...], high: tuple[float, ...], truths: tuple[float, ...], share: float) -> None:
    assert measures.coverage(_array(*low), _array(*high), _array(*truths)) == share


@pytest.mark.parametrize(
    ("female", "labels", "accuracy"),
    [((0.5,), (True,), 1), ((0.4999,), (True,), 0), ((0.9, 0.1, 0.8, 0.2), (True, False, False, True), 0.5)],
)
def test_accuracy(female: tuple[float, ...], labels: tuple[bool, ...], accuracy: float) -> None:
    assert measures.accuracy(_array(*female), np.array(labels)) == accuracy


@pytest.mark.parametrize(
    ("female", "labels", "error"),
    [
        ((1.0, 0.0), (True, False), 0.0),  # sure and right
        ((1.0, 0.0), (False, True), 1.0),  # sure and wrong
        ((0.5, 0.5), (True, False), 0.0),  # one of two right at 0.5
        ((0.75,) * 4, (True, True, True, False), 0.0),
        ((0.75, 0.25, 0.75, 0.25), (True, False, True, True), 0.0),  # male at 0.75 counts alike
        ((0.72,) * 4, (True, True, True, False), 0.03),
        ((0.95, 0.95, 0.55, 0.55), (True, False, True, True), 0.45),  # two bins, 0.45 each
        ((0.52, 0.57), (True, False), 0.525),  # bins are 0.05 wide
    ],
)
def test_calibration_error(female: tuple[float, ...], labels: tuple[bool, ...], error: float) -> None:
    assert expected_calibration_error(_array(*female), np.array(labels)) == pytest.approx(error)


def test_what_is_calibrated_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    female = rng.random(50_000)
    labels = rng.random(50_000) < female
    assert expected_calibration_error(female, labels) < 0.01
    overconfident = np.where(female > 0.5, 0.5 + (female - 0.5) / 2 + 0.25, (female / 2))
    assert expected_calibration_error(overconfident, labels) > 0.1


def test_measures_do_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(1)
    estimates, truths, order = rng.random(50) * 80, rng.random(50) * 80, rng.permutation(50)
    for measure in (measures.mean_absolute_error, measures.bias):
        assert measure(estimates, truths) == pytest.approx(measure(estimates[order], truths[order]))
    assert abs(measures.bias(estimates, truths)) <= measures.mean_absolute_error(estimates, truths)
    scores = [measures.cumulative_score(estimates, truths, years) for years in range(0, 90, 5)]
    assert scores == sorted(scores)
    assert scores[-1] == 1


def test_every_age_has_one_band() -> None:
    for age in (0, 1, 3, 3.9, 4, 12.5, 17, 18, 60, 61, 75, 76, 100, 116):
        assert sum(first <= age < last + 1 for _, first, last in AGE_BANDS) == 1, age


def test_bootstrap_interval() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)
    assert bootstrap_interval(values) == (low, high)
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow[0] < narrow[1] < high
