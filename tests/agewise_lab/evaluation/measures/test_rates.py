"""Clopper and Pearson's interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from agewise_lab.evaluation.measures import binomial_interval, rate


@pytest.mark.parametrize(("hits", "count"), [(1, 10), (5, 10), (9, 10), (3, 200), (199, 200)])
def test_the_ends_are_where_the_tails_are_25_thousandths(hits: int, count: int) -> None:
    low, high = binomial_interval(hits, count)
    assert binom.sf(hits - 1, count, low) == pytest.approx(0.025)
    assert binom.cdf(hits, count, high) == pytest.approx(0.025)


def test_nobody_and_everybody() -> None:
    assert binomial_interval(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert binomial_interval(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert all(map(math.isnan, binomial_interval(0, 0)))
    with pytest.raises(ValueError, match="expected 0 <= hits <= count, got 3 of 2"):
        binomial_interval(3, 2)


def test_a_rate() -> None:
    found = rate(np.array([True] * 8 + [False] * 2))
    assert (found.hits, found.count, found.value) == (8, 10, 0.8)
    assert (found.low, found.high) == binomial_interval(8, 10)
    assert math.isnan(rate(np.array([], dtype=bool)).value)
