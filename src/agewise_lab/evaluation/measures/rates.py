"""Shares of faces with the binomial interval of Clopper and Pearson."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of faces: `hits` of `count`, and the interval that holds the true share.

    `value`, `low` and `high` are NaN where `count` is 0.
    """

    hits: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.hits / self.count if self.count else float("nan")


def binomial_interval(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """The «exact» interval of a share: it holds the true one with probability `level` or more, however few there are.

    From the level (1 − `level`) / 2 quantiles of beta distributions: B(hits, count − hits + 1) below,
    B(hits + 1, count − hits) above; 0 and 1 at the ends. Faces are taken as independent.

    Raises:
        ValueError: not 0 <= hits <= count.

    Source: Clopper, Pearson, Biometrika 26(4), 1934.

    >>> [round(end, 4) for end in binomial_interval(0, 10)], [round(end, 4) for end in binomial_interval(8, 10)]
    ([0.0, 0.3085], [0.4439, 0.9748])
    """
    if not 0 <= hits <= count:
        raise ValueError(f"expected 0 <= hits <= count, got {hits} of {count}")
    if count == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, count - hits + 1, tail))
    high = 1.0 if hits == count else float(betaincinv(hits + 1, count - hits, 1 - tail))
    return low, high


def rate(events: npt.NDArray[np.bool_], level: float = 0.95) -> Rate:
    """The share of true values, with its binomial interval.

    >>> r = rate(np.array([True, False, True, True]))
    >>> r.value, round(r.low, 4), round(r.high, 4)
    (0.75, 0.1941, 0.9937)
    """
    hits, count = int(np.count_nonzero(events)), len(events)
    low, high = binomial_interval(hits, count, level)
    return Rate(hits=hits, count=count, low=low, high=high)
