"""How far estimated ages are off. All functions take years (n,), n above 0, and give a plain number."""

from __future__ import annotations

import numpy as np

from agewise.types import FloatArray


def mean_absolute_error(estimates: FloatArray, truths: FloatArray) -> float:
    """MAE: mean of |estimate − truth|, in years.

    Source: Geng, Zhou, Smith-Miles, «Automatic age estimation based on facial aging patterns», IEEE TPAMI 2007.

    >>> mean_absolute_error(np.array([30.0, 42.0]), np.array([33.0, 41.0]))
    2.0
    """
    return float(np.abs(estimates - truths).mean())


def root_mean_square_error(estimates: FloatArray, truths: FloatArray) -> float:
    """RMSE: root of the mean of (estimate − truth)², in years. Never less than the MAE; far misses weigh more.

    Source: the second moment about the truth; e.g. Bishop, «Pattern Recognition and Machine Learning», 2006, eq. 1.3.

    >>> root_mean_square_error(np.array([30.0, 42.0]), np.array([37.0, 41.0]))
    5.0
    """
    return float(np.sqrt(np.square(estimates - truths).mean()))


def bias(estimates: FloatArray, truths: FloatArray) -> float:
    """Mean of estimate − truth, in years: above zero, the model says too old.

    Source: Hanaoka et al., NIST IR 8525, 2024, which reports signed errors beside absolute ones.

    >>> bias(np.array([30.0, 42.0]), np.array([33.0, 41.0]))
    -1.0
    """
    return float((estimates - truths).mean())


def cumulative_score(estimates: FloatArray, truths: FloatArray, years: float) -> float:
    """CS@years: share of estimates at most `years` away from the truth.

    Source: Geng, Zhou, Smith-Miles, IEEE TPAMI 2007.

    >>> cumulative_score(np.array([30.0, 42.0, 10.0]), np.array([33.0, 47.0, 17.0]), 5.0)
    0.6666666666666666
    """
    return float((np.abs(estimates - truths) <= years).mean())


def cumulative_accuracy(estimates: FloatArray, truths: FloatArray, years: float, *, strict: bool = False) -> float:
    """CA(years), MegaAge's name for the cumulative score; reported for 3, 5 and 7 years.

    CA and CS are one formula, as agewise and most who publish count them: at most `years` away. MegaAge's text
    speaks of errors *smaller* than n: `strict` counts those. Between whole years the two differ by the share of
    faces that are exactly n off, so say which one a figure is; for estimates that are no whole years they agree.

    Source: Zhang, Liu, Li, Loy, «Quantifying facial age by posterior of age comparisons», BMVC 2017, section 4.

    >>> estimates, truths = np.array([23.0, 29.0, 44.0]), np.array([20.0, 30.0, 40.0])
    >>> round(cumulative_accuracy(estimates, truths, 3), 4), round(cumulative_score(estimates, truths, 3), 4)
    (0.6667, 0.6667)
    >>> round(cumulative_accuracy(estimates, truths, 3, strict=True), 4)
    0.3333
    """
    if strict:
        return float((np.abs(estimates - truths) < years).mean())
    return cumulative_score(estimates, truths, years)


def epsilon_error(estimates: FloatArray, apparent: FloatArray, apparent_std: FloatArray) -> float:
    """ε-error: mean of 1 − exp(−(estimate − μ)² / 2σ²), for people's guesses of mean μ and deviation σ.

    0 where all estimates are people's mean, near 1 where they are far outside what people say.

    Source: Escalera et al., «ChaLearn Looking at People 2015», ICCV workshops 2015, eq. 1; used for APPA-REAL.

    >>> round(epsilon_error(np.array([30.0, 25.0]), np.array([30.0, 30.0]), np.array([5.0, 5.0])), 4)
    0.1967
    """
    return float(epsilon_errors(estimates, apparent, apparent_std).mean())


def epsilon_errors(estimates: FloatArray, apparent: FloatArray, apparent_std: FloatArray) -> FloatArray:
    """The ε-error of each face, 0 to 1: (n,). A deviation of 0 is taken as 1e-6 years: right or wrong."""
    spread = np.maximum(apparent_std, 1e-6)
    errors: FloatArray = 1.0 - np.exp(-0.5 * np.square((estimates - apparent) / spread))
    return errors
