"""Splits that do not flatter: near-duplicates on one side, and all pictures of a person where asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise_lab.store.crops import CropStore
from agewise_lab.store.duplicates import joined

IntArray = npt.NDArray[np.int64]

PARTS = ("train", "validation", "holdout")
_OFFICIAL = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "dev"),
    "holdout": ("test", "testing", "tst", "holdout"),
}
_FOLD = re.compile(r"(?:fold[ _-]?)?(\d+)")
_VALIDATION_SHARE = 0.1  # of the training faces, where the official split has no validation part


@dataclass(frozen=True)
class Split:
    """Indices into a store.

    Args:
        train: to learn from; in a split by hash every picture that has a near-duplicate is here.
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

    def part_of(self, count: int) -> IntArray:
        """For each of `count` faces the place of its part in `PARTS`, or -1 for one that is in none."""
        out = np.full(count, -1, dtype=np.int64)
        for place, name in enumerate(PARTS):
            out[getattr(self, name)] = place
        return out


def split_of(places: IntArray) -> Split:
    """The split that has each face in the part that `places` says, see `Split.part_of`."""
    return Split(*(np.flatnonzero(places == place).astype(np.int64) for place in range(len(PARTS))))


def hash_split(store: CropStore, *, validation_percent: int = 7, holdout_percent: int = 7) -> Split:
    """Split by SHA-1 of the file name, modulo 100; pictures with near-duplicates always train."""
    sizes = np.bincount(store.duplicate_group, minlength=len(store))
    alone = sizes[store.duplicate_group] == 1
    bucket = np.array([int(hashlib.sha1(f"agewise:{name}".encode()).hexdigest(), 16) % 100 for name in store.name])
    validation = alone & (bucket < validation_percent)
    holdout = alone & (bucket >= validation_percent) & (bucket < validation_percent + holdout_percent)
    train = ~(validation | holdout)
    return Split(*(np.flatnonzero(part).astype(np.int64) for part in (train, validation, holdout)))


def units_of(store: CropStore, *, duplicates: bool = True, subjects: bool = False) -> IntArray:
    """For each face the first of those that must stay with it: int64 (n,).

    Args:
        store: the faces.
        duplicates: keep near-duplicates together.
        subjects: keep all faces of a subject together; a face of an unknown subject is one of its own.

    Raises:
        ValueError: subjects are asked for, but the data set names none.
    """
    if subjects and not (store.subject != "").any():
        raise ValueError("this data set names no subjects: split it by hash, random or stratified")
    pairs: list[tuple[int, int]] = []
    if duplicates:
        pairs += [(row, int(first)) for row, first in enumerate(store.duplicate_group) if row != first]
    if subjects:
        first_of: dict[str, int] = {}
        pairs += [(row, first_of.setdefault(who, row)) for row, who in enumerate(store.subject.tolist()) if who]
    return joined(len(store), pairs)


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise a ValueError unless these are three shares (train, validation, holdout) that make one."""
    if len(fractions) != len(PARTS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        shown = ", ".join(f"{share:g}" for share in fractions)
        raise ValueError(f"fractions are those of train, validation and holdout, 0 or more, together 1; got {shown}")


def _strata(store: CropStore, stratified: bool) -> IntArray:
    """A number a face: its decade of age and its gender, or the same number for all."""
    if not stratified:
        return np.zeros(len(store), dtype=np.int64)
    middle = np.where(np.isnan(store.age_years), (store.age_low_years + store.age_high_years) / 2, store.age_years)
    decade = np.clip(np.nan_to_num(middle, nan=-10.0) // 10, -1, 12).astype(np.int64) + 1
    gender = np.nan_to_num(store.is_female, nan=2.0).astype(np.int64)
    return np.asarray(decade * 3 + gender)


def _parts(store: CropStore, units: IntArray, fractions: Sequence[float], seed: int, stratified: bool) -> IntArray:
    """For each face the place of its part: whole units, in random order, laid along each stratum.

    A stratum's order begins at a random point, so that rounding favours no part in strata of few faces.
    """
    rng = np.random.default_rng(seed)
    first, sizes = np.unique(units, return_counts=True)
    stratum = _strata(store, stratified)[first]
    bounds = np.cumsum(fractions)[:-1]
    place = np.empty(len(first), dtype=np.int64)
    for value in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == value))
        ends = np.cumsum(sizes[members])
        middles = (ends - sizes[members] / 2) / ends[-1]
        place[members] = np.searchsorted(bounds, (middles + rng.random()) % 1.0, side="right")
    return np.asarray(place[np.searchsorted(first, units)])


def random_split(
    store: CropStore, units: IntArray, fractions: Sequence[float], *, seed: int, stratified: bool = False
) -> Split:
    """A random split that keeps units (`units_of`) whole; if `stratified`, with like ages and genders in all parts.

    Raises:
        ValueError: fractions that are not three shares of one.
    """
    check_fractions(fractions)
    return split_of(_parts(store, units, fractions, seed, stratified))


def fold_splits(
    store: CropStore, units: IntArray, folds: int, *, seed: int, stratified: bool = False
) -> tuple[Split, ...]:
    """Cross-validation: split k measures on fold k, chooses on fold k + 1, and trains on the rest.

    Five folds are 60/20/20.

    Raises:
        ValueError: fewer than three folds.
    """
    if folds < 3:
        raise ValueError(f"cross-validation with a validation part needs 3 folds or more, got {folds}")
    fold = _parts(store, units, [1 / folds] * folds, seed, stratified)
    return tuple(split_of(np.where(fold == k, 2, np.where(fold == (k + 1) % folds, 1, 0))) for k in range(folds))


def official_split(store: CropStore, units: IntArray, *, fold: int | None = None, seed: int = 0) -> Split:
    """The data set's own split. What is measured on stays as it is: near-duplicates of it leave the training part.

    Args:
        store: the faces, with `official_split`: words like "train" and "test", or "fold 0" and so on.
        units: from `units_of`.
        fold: the fold to hold out, for a data set of folds.
        seed: of the tenth of the training faces that becomes the validation part where the data set has none.

    Raises:
        ValueError: the data set has no official split, or folds and none is named, or no such fold.
    """
    words = [word.strip().lower() for word in store.official_split.tolist()]
    if not any(words):
        raise ValueError("this data set has no official split: split it by hash, random, stratified or subject")
    numbers = [int(found[1]) if (found := _FOLD.fullmatch(word)) else None for word in words]
    folds = sorted({number for number in numbers if number is not None})
    if folds and (fold is None or fold not in folds):
        raise ValueError(f"this data set has the folds {folds}: name the one to hold out, got {fold}")
    meaning = {word: place for place, part in enumerate(PARTS) for word in _OFFICIAL[part]}
    places = np.array(
        [
            meaning.get(word, -1) if number is None else 2 * (number == fold)
            for word, number in zip(words, numbers, strict=True)
        ],
        dtype=np.int64,
    )
    for measured in (2, 1):
        touched = np.isin(units, units[places == measured])
        places[touched & (places < measured) & (places >= 0)] = -1
    if not (places == 1).any():
        chosen = _parts(store, units, (1 - _VALIDATION_SHARE, _VALIDATION_SHARE), seed, False)
        places[(places == 0) & (chosen == 1)] = 1
    return split_of(places)


def agreed_ages(store: CropStore) -> npt.NDArray[np.float32]:
    """Each picture's age, the median of its group of near-duplicates: the same photo has one age."""
    ages = store.age_years.copy()
    for group in np.flatnonzero(np.bincount(store.duplicate_group) > 1):
        members = store.duplicate_group == group
        ages[members] = np.median(ages[members])
    return ages
