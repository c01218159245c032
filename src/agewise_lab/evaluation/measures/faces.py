"""The columns that measures are made from, and the subsets that they are made for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Names = npt.NDArray[np.str_]

AGE_BANDS: tuple[tuple[str, float, float], ...] = (
    ("0-3", 0, 3),
    ("4-8", 4, 8),
    ("9-12", 9, 12),
    ("13-16", 13, 16),
    ("17", 17, 17),
    ("18-30", 18, 30),
    ("31-45", 31, 45),
    ("46-60", 46, 60),
    ("61-75", 61, 75),
    ("76+", 76, 200),
)
"""Name, first and last whole year. 13-16 and 17 stand apart, as NIST's measures have them."""

BAND_NAMES: tuple[str, ...] = tuple(name for name, _, _ in AGE_BANDS)
SEXES: tuple[str, ...] = ("female", "male")


def whole_years(ages: FloatArray) -> FloatArray:
    """The whole years of ages, NaN where unknown: 17.9 is 17.

    >>> whole_years(np.array([17.0, 17.9, 18.0])).tolist()
    [17.0, 17.0, 18.0]
    """
    return np.floor(ages)


def band_of(ages: FloatArray) -> IntArray:
    """Each age's place in `AGE_BANDS`, -1 where it is unknown or below 0: int64 (n,).

    >>> [AGE_BANDS[i][0] for i in band_of(np.array([3.9, 16.5, 17.0, 90.0]))]
    ['0-3', '13-16', '17', '76+']
    """
    starts = np.array([first for _, first, _ in AGE_BANDS])
    place = np.searchsorted(starts, ages, side="right") - 1
    return np.where(np.isfinite(ages), place, -1).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Predictions beside their labels; one row a face, all columns of one length.

    A measure is made of the rows that have all that it needs, and left out where no row has.

    Args:
        estimates: years; NaN where no face was found.
        truths: years; NaN where the label is no age.
        is_female: 1 or True, 0 or False, NaN where the label is unknown.
        female_probability: 0 to 1; NaN where the model says nothing.
        gender_sure: 1 or True where the model stands by its label, NaN where it does not tell.
        low, high: the interval, years; NaN where there is none.
        group: the data set's label, "" where unknown.
        subjects: who it is, numbers or names; a face of nobody known, "", counts as someone else, as all do without it.
        answered: False where the model declined.
        apparent: mean of people's guesses, years, and `apparent_std` their standard deviation.
        classes: the true age class, from 0, -1 where unknown; `class_estimates` the likeliest one, -1 where
            no face was found.
        in_top2: whether the true class is among the two likeliest.

    Raises:
        ValueError: columns of different lengths, or one that is not flat.
    """

    estimates: FloatArray
    truths: FloatArray | None = None
    is_female: FloatArray | BoolArray | None = None
    female_probability: FloatArray | None = None
    gender_sure: FloatArray | BoolArray | None = None
    low: FloatArray | None = None
    high: FloatArray | None = None
    group: Names | None = None
    subjects: npt.NDArray[np.generic] | None = None
    answered: BoolArray | None = None
    apparent: FloatArray | None = None
    apparent_std: FloatArray | None = None
    classes: IntArray | None = None
    class_estimates: IntArray | None = None
    in_top2: BoolArray | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if column is not None and np.shape(column) != (len(self.estimates),):
                raise ValueError(
                    f"{field.name} must be one value a face, ({len(self.estimates)},), got {np.shape(column)}"
                )

    def __len__(self) -> int:
        return len(self.estimates)

    def select(self, rows: npt.NDArray[np.generic]) -> Faces:
        """Some rows: a mask (n,) or places."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return Faces(**{name: None if column is None else column[rows] for name, column in columns.items()})

    @property
    def found(self) -> BoolArray:
        """Where there is an estimate."""
        return np.isfinite(self.estimates)

    @property
    def sex_codes(self) -> IntArray:
        """Each face's place in `SEXES`, -1 where unknown: int64 (n,)."""
        if self.is_female is None:
            return np.full(len(self), -1)
        female = np.asarray(self.is_female, dtype=np.float64)
        return np.where(np.isnan(female), -1, np.where(female >= 0.5, 0, 1)).astype(np.int64)

    @property
    def band_codes(self) -> IntArray:
        """Each face's place in `AGE_BANDS` by its true age, -1 where unknown: int64 (n,)."""
        return np.full(len(self), -1) if self.truths is None else band_of(self.truths)

    def group_codes(self) -> tuple[tuple[str, ...], IntArray]:
        """The groups that occur, sorted, and each face's place among them, -1 where unknown."""
        if self.group is None:
            return (), np.full(len(self), -1)
        names, codes = np.unique(np.asarray(self.group, dtype=np.str_), return_inverse=True)
        if len(names) and names[0] == "":
            return tuple(map(str, names[1:])), codes.astype(np.int64) - 1
        return tuple(map(str, names)), codes.astype(np.int64)
