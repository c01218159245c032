"""Faces in cells of age band × sex × group, and sums over cells → sums over subsets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agewise.errors import unknown_name
from agewise.types import FloatArray
from agewise_lab.evaluation.measures.faces import BAND_NAMES, SEXES, Faces

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

DIMENSIONS = ("band", "sex", "group")
Subset: TypeAlias = tuple[int | None, ...]
"""Of each dimension the place among its names, or None for all of it."""


def splits_of(by: Sequence[str], crossings: bool) -> list[tuple[bool, ...]]:
    """Which dimensions are split: none of them, each, each two, all; of those named in `by`.

    Raises:
        ValueError: an unknown dimension.

    >>> splits_of(("sex", "group"), crossings=True)
    [(False, False, False), (False, True, False), (False, False, True), (False, True, True)]
    """
    for name in by:
        if name not in DIMENSIONS:
            raise ValueError(unknown_name("dimension", name, DIMENSIONS))
    every = itertools.product(*([False, True] if name in by else [False] for name in DIMENSIONS))
    chosen = [split for split in every if crossings or sum(split) <= 1]
    return sorted(chosen, key=lambda split: (sum(split), [not part for part in split]))


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells. Place 0 of each axis is for faces of unknown band, sex or group: they belong to the whole only.

    Args:
        names: of the bands, sexes and groups.
        codes: of each face the place among each of them, -1 where unknown: three arrays (n,).
        splits: as `splits_of` gives them.
    """

    names: tuple[tuple[str, ...], ...]
    codes: tuple[IntArray, ...]
    splits: tuple[tuple[bool, ...], ...]

    @classmethod
    def of(cls, faces: Faces, by: Sequence[str], crossings: bool) -> Grid:
        """The grid of some faces."""
        groups, group_codes = faces.group_codes()
        codes = (faces.band_codes, faces.sex_codes, group_codes)
        return cls((BAND_NAMES, SEXES, groups), codes, tuple(splits_of(by, crossings)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the cells, «unknown» among them."""
        return tuple(len(names) + 1 for names in self.names)

    @property
    def cell_count(self) -> int:
        """How many cells there are, empty ones too."""
        return int(np.prod(self.shape))

    def cells(self) -> IntArray:
        """The cell of each face: int64 (n,)."""
        return np.asarray(np.ravel_multi_index(tuple(codes + 1 for codes in self.codes), self.shape), dtype=np.int64)

    def subsets(self) -> list[Subset]:
        """All subsets, in the order of `sums`."""
        found: list[Subset] = []
        for split in self.splits:
            axes = [range(len(names)) if part else [None] for part, names in zip(split, self.names, strict=True)]
            found += itertools.product(*axes)
        return found

    def labels(self, subset: Subset) -> dict[str, str | None]:
        """The band, sex and group of a subset by name."""
        return {
            dimension: None if place is None else names[place]
            for dimension, place, names in zip(DIMENSIONS, subset, self.names, strict=True)
        }

    def rows(self, subset: Subset) -> BoolArray:
        """The faces of a subset: bool (n,)."""
        chosen = np.ones(len(self.codes[0]), dtype=bool)
        for place, codes in zip(subset, self.codes, strict=True):
            if place is not None:
                chosen &= codes == place
        return chosen

    def sums(self, over_cells: FloatArray) -> FloatArray:
        """Sums over cells (rounds, cells, k) → over subsets (rounds, subsets, k)."""
        rounds, _, k = over_cells.shape
        cells = over_cells.reshape(rounds, *self.shape, k)
        parts = []
        for split in self.splits:
            away = tuple(axis + 1 for axis, part in enumerate(split) if not part)
            known = cells[(slice(None), *(slice(1, None) if part else slice(None) for part in split))]
            parts.append(known.sum(axis=away).reshape(rounds, -1, k))
        return np.concatenate(parts, axis=1)

    def distinct(self, units: IntArray, counted: BoolArray) -> IntArray:
        """How many different units the counted faces of each subset have: int64 (subsets,)."""
        span = int(units.max(initial=0)) + 1
        parts = []
        for split in self.splits:
            rows, code, size = counted.copy(), np.zeros(len(units), dtype=np.int64), 1
            for part, codes, names in zip(split, self.codes, self.names, strict=True):
                if part:
                    rows &= codes >= 0
                    code, size = code * len(names) + codes, size * len(names)
            pairs = np.unique(code[rows] * span + units[rows])
            parts.append(np.bincount(pairs // span, minlength=size))
        return np.concatenate(parts).astype(np.int64)
