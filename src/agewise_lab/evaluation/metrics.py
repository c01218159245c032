"""Measures of age and gender estimates. Pure numpy, each with its definition and a worked example."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray

BoolArray = npt.NDArray[np.bool_]

AGE_BANDS: tuple[tuple[str, float, float], ...] = (
    ("0-3", 0, 3),
    ("4-8", 4, 8),
    ("9-12", 9, 12),
    ("13-17", 13, 17),
    ("18-30", 18, 30),
    ("31-45", 31, 45),
    ("46-60", 46, 60),
    ("61-75", 61, 75),
    ("76+", 76, 200),
)
"""Name, first and last whole year."""


def mean_absolute_error(estimates: FloatArray, truths: FloatArray) -> float:
    """Mean of |estimate − truth|, in years.

    >>> mean_absolute_error(np.array([30.0, 42.0]), np.array([33.0, 41.0]))
    2.0
    """
    return float(np.abs(estimates - truths).mean())


def bias(estimates: FloatArray, truths: FloatArray) -> float:
    """Mean of estimate − truth, in years: above zero, the model says too old.

    >>> bias(np.array([30.0, 42.0]), np.array([33.0, 41.0]))
    -1.0
    """
    return float((estimates - truths).mean())


def cumulative_score(estimates: FloatArray, truths: FloatArray, years: float) -> float:
    """CS@years: share of estimates at most `years` away from the truth (Geng et al., IEEE TPAMI 2007).

    >>> cumulative_score(np.array([30.0, 42.0, 10.0]), np.array([33.0, 47.0, 17.0]), 5.0)
    0.6666666666666666
    """
    return float((np.abs(estimates - truths) <= years).mean())


def coverage(low: FloatArray, high: FloatArray, truths: FloatArray) -> float:
    """Share of truths inside their intervals, both ends included.

    >>> coverage(np.array([20.0, 30.0]), np.array([30.0, 40.0]), np.array([30.0, 41.0]))
    0.5
    """
    return float(((low <= truths) & (truths <= high)).mean())


def accuracy(female_probability: FloatArray, is_female: BoolArray) -> float:
    """Share of faces whose likelier label is the data set's.

    >>> accuracy(np.array([0.9, 0.4, 0.6]), np.array([True, False, False]))
    0.6666666666666666
    """
    return float(((female_probability >= 0.5) == is_female).mean())


def expected_calibration_error(female_probability: FloatArray, is_female: BoolArray, bins: int = 10) -> float:
    """Mean |accuracy − confidence| over equal bins of confidence 0.5 to 1, weighted by their sizes.

    Source: Guo et al., «On Calibration of Modern Neural Networks», ICML 2017, eq. 3.

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.1, 0.9]), np.array([True, True, False, False])), 4)
    0.15
    """
    confidence = np.maximum(female_probability, 1 - female_probability)
    right = (female_probability >= 0.5) == is_female
    bin_of = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    gaps = [
        abs(float(right[bin_of == b].mean() - confidence[bin_of == b].mean())) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    ]
    return float(sum(gaps))


def bootstrap_interval(
    values: FloatArray, *, level: float = 0.95, rounds: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean.

    >>> bootstrap_interval(np.array([1.0, 1.0, 1.0]))
    (1.0, 1.0)
    """
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(rounds)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
