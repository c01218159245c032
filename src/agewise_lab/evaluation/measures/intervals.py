"""What intervals are worth: how many truths they hold, and how wide they are."""

from __future__ import annotations

import numpy as np

from agewise.types import FloatArray


def coverage(low: FloatArray, high: FloatArray, truths: FloatArray) -> float:
    """Share of truths inside their intervals, both ends included.

    Source: Vovk, Gammerman, Shafer, «Algorithmic Learning in a Random World», 2005, section 2.2.

    >>> coverage(np.array([20.0, 30.0]), np.array([30.0, 40.0]), np.array([30.0, 41.0]))
    0.5
    """
    return float(((low <= truths) & (truths <= high)).mean())


def mean_width(low: FloatArray, high: FloatArray) -> float:
    """Mean of high − low, in years: at equal coverage, narrower is better.

    Source: Gneiting, Balabdaoui, Raftery, «Probabilistic forecasts, calibration and sharpness», JRSS B 2007.

    >>> mean_width(np.array([20.0, 30.0]), np.array([30.0, 44.0]))
    12.0
    """
    return float((high - low).mean())


def interval_score(low: FloatArray, high: FloatArray, truths: FloatArray, level: float) -> float:
    """Winkler's score, in years: the width, and for a truth outside 2 / (1 − level) times its distance. Less is better.

    It is least for the interval between the (1 − level) / 2 quantiles, so it weighs width against coverage fairly.

    Source: Gneiting, Raftery, «Strictly proper scoring rules, prediction, and estimation», JASA 2007, eq. 43.

    >>> round(interval_score(np.array([20.0, 20.0]), np.array([30.0, 30.0]), np.array([25.0, 32.0]), 0.9), 6)
    30.0
    """
    return float(interval_scores(low, high, truths, level).mean())


def interval_scores(low: FloatArray, high: FloatArray, truths: FloatArray, level: float) -> FloatArray:
    """Winkler's score of each interval, in years: (n,)."""
    outside = np.maximum(low - truths, 0.0) + np.maximum(truths - high, 0.0)
    scores: FloatArray = high - low + 2.0 / (1.0 - level) * outside
    return scores
