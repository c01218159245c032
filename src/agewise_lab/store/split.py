"""Splits that do not flatter: by a hash of the name, near-duplicates kept out of what is measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise_lab.store.crops import CropStore

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Indices into a store.

    Args:
        train: to learn from; every picture that has a near-duplicate is here.
        validation: to choose and to calibrate on.
        holdout: for one last look.
    """

    train: IntArray
    validation: IntArray
    holdout: IntArray

    @property
    def digest(self) -> str:
        """Twelve hex digits that name this split."""
        parts = (self.train, self.validation, self.holdout)
        return hashlib.sha256(b"|".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()[:12]


def hash_split(store: CropStore, *, validation_percent: int = 7, holdout_percent: int = 7) -> Split:
    """Split by SHA-1 of the file name, modulo 100; pictures with near-duplicates always train."""
    sizes = np.bincount(store.duplicate_group, minlength=len(store))
    alone = sizes[store.duplicate_group] == 1
    bucket = np.array([int(hashlib.sha1(f"agewise:{name}".encode()).hexdigest(), 16) % 100 for name in store.name])
    validation = alone & (bucket < validation_percent)
    holdout = alone & (bucket >= validation_percent) & (bucket < validation_percent + holdout_percent)
    train = ~(validation | holdout)
    return Split(*(np.flatnonzero(part).astype(np.int64) for part in (train, validation, holdout)))


def agreed_ages(store: CropStore) -> npt.NDArray[np.float32]:
    """Each picture's age, the median of its group of near-duplicates: the same photo has one age."""
    ages = store.age_years.copy()
    for group in np.flatnonzero(np.bincount(store.duplicate_group) > 1):
        members = store.duplicate_group == group
        ages[members] = np.median(ages[members])
    return ages
