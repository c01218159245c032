"""Age classes as data sets have them, and how ages and distributions over ages become classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AgeClasses:
    """Classes of whole years, each (first, last), both included, rising; gaps are allowed, as Adience has them."""

    years: tuple[tuple[int, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """For people: "0-2", "60+"."""
        return tuple(f"{first}+" if last >= 100 else f"{first}-{last}" for first, last in self.years)

    @property
    def boundaries(self) -> FloatArray:
        """Where one class ends for a predicted age and the next begins, years (classes − 1,).

        Half way between the end of a class, last + 1, and the beginning of the next.

        >>> AgeClasses(((0, 2), (4, 6), (8, 12))).boundaries.tolist()
        [3.5, 7.5]
        """
        pairs = zip(self.years[:-1], self.years[1:], strict=True)
        return np.array([(before[1] + 1 + after[0]) / 2 for before, after in pairs])

    def of_years(self, years: FloatArray) -> IntArray:
        """The class of each predicted age, -1 where it is NaN: (n,).

        >>> AgeClasses(((0, 2), (4, 6), (8, 12))).of_years(np.array([3.4, 3.5, 90.0, np.nan])).tolist()
        [0, 1, 2, -1]
        """
        places = np.searchsorted(self.boundaries, years, side="right")
        return np.where(np.isnan(years), -1, places).astype(np.int64)

    def of_label(self, low: float, high: float) -> int:
        """The class that holds at least half of a label's whole years, -1 where none does.

        A label whose ends are reversed, such as Adience's (25, 23), goes by its first year.

        >>> adience = AgeClasses(((25, 32), (38, 43), (48, 53)))
        >>> [adience.of_label(*label) for label in ((27, 32), (38, 48), (35, 35), (25, 23))]
        [0, 1, -1, 0]
        """
        if high < low:
            high = low
        count = high - low + 1
        for place, (first, last) in enumerate(self.years):
            if 2 * (min(high, last) - max(low, first) + 1) >= count:
                return place
        return -1

    def of_labels(self, truth: FloatArray, low: FloatArray, high: FloatArray) -> IntArray:
        """The class of each label, an age or a range of years: (n,), -1 where it has none."""
        first = np.where(np.isnan(low), np.floor(truth), low)
        last = np.where(np.isnan(high), np.floor(truth), high)
        pairs, back = np.unique(np.stack([first, last], axis=1), axis=0, return_inverse=True)
        found = [-1 if np.isnan(pair).any() else self.of_label(*pair) for pair in pairs]
        return np.array(found, dtype=np.int64)[back.reshape(-1)]

    def mass(self, probs: npt.NDArray[np.float32], class_years: FloatArray) -> FloatArray:
        """Distributions over other classes, or single ages, as distributions over these.

        Args:
            probs: (n, k), rows sum to 1.
            class_years: (k, 2), first and last year of each; each of its years is equally likely.

        >>> half = AgeClasses(((0, 9), (10, 19))).mass(np.array([[0.5, 0.5]]), np.array([[0, 3], [8, 11]]))
        >>> half.tolist()
        [[0.75, 0.25]]
        """
        weights = np.zeros((len(class_years), len(self.years)))
        for row, (first, last) in enumerate(class_years):
            ages = np.arange(np.floor(first), np.floor(last) + 1)
            # Half a year on, so that a whole year at the end of a class is not taken for the next one's.
            for place in self.of_years(ages + 0.25):
                weights[row, place] += 1 / len(ages)
        return np.asarray(np.matmul(probs, weights), dtype=np.float64)
