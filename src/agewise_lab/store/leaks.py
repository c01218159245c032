"""What crosses a split: near-duplicates and people on both sides, and duplicates that contradict each other.

Within one database and across several: the same photo in two data sets is a leak where one is trained on
and the other measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agewise_lab.store.crops import CropStore, open_labels
from agewise_lab.store.database import read_thumbnails
from agewise_lab.store.duplicates import duplicate_groups, joined
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.saved_splits import read_split
from agewise_lab.store.split import PARTS

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Faces:
    """All faces of some databases in a row.

    Args:
        folders: the databases.
        database: int64 (n,), each face's place in `folders`.
        row: int64 (n,), its row there.
        name, subject: str (n,); subjects are told apart by their data set.
        age_years, is_female: float32 (n,), NaN where unknown.
        group: int64 (n,), the first of its near-duplicates, in all databases.
    """

    folders: tuple[Path, ...]
    database: IntArray
    row: IntArray
    name: npt.NDArray[np.str_]
    subject: npt.NDArray[np.str_]
    age_years: npt.NDArray[np.float32]
    is_female: npt.NDArray[np.float32]
    group: IntArray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Crossing:
    """Faces of one side that are near-duplicates of, or the same person as, faces of the other.

    Args:
        kind: "near-duplicate" or "subject".
        measured, trained: the two sides' names.
        faces: how many are on the measured side.
        touched: how many of these have a counterpart on the trained side.
        other_age: of the touched, those whose counterparts all state another age.
        other_gender: of the touched, those with a counterpart of another gender.
        examples: (measured, trained) pairs, one a touched face.
    """

    kind: str
    measured: str
    trained: str
    faces: int
    touched: int
    other_age: int
    other_gender: int
    examples: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Conflict:
    """A group of near-duplicates that disagree: its faces, the span of their ages, whether genders differ."""

    members: tuple[int, ...]
    span_years: float
    genders_differ: bool


@dataclass(frozen=True)
class Leaks:
    """All that was found.

    Args:
        faces: what was looked at.
        groups: how many groups of two or more near-duplicates there are.
        grouped: how many faces are in them.
        conflicts: those of the groups that disagree, the widest first.
        crossings: what crosses which split.
    """

    faces: Faces
    groups: int
    grouped: int
    conflicts: tuple[Conflict, ...]
    crossings: tuple[Crossing, ...]

    @property
    def crosses(self) -> bool:
        """Whether anything is on both sides."""
        return any(crossing.touched for crossing in self.crossings)


def gather(folders: Sequence[Path]) -> Faces:
    """The faces of databases, and near-duplicates among all of them.

    Raises:
        FileNotFoundError: a folder that is no database.
        ValueError: one of another version.
    """
    stores = [open_labels(folder) for folder in folders]
    if len(folders) == 1:
        group = stores[0].duplicate_group
    else:
        group = duplicate_groups(np.concatenate([read_thumbnails(folder) for folder in folders]))
    datasets = [read_manifest(folder).settings.dataset for folder in folders]
    subjects = [
        np.array([who and f"{dataset}/{who}" for who in store.subject.tolist()], dtype=np.str_)
        for dataset, store in zip(datasets, stores, strict=True)
    ]
    return Faces(
        folders=tuple(folders),
        database=np.repeat(np.arange(len(stores)), [len(store) for store in stores]),
        row=np.concatenate([np.arange(len(store)) for store in stores]),
        name=np.concatenate([store.name for store in stores]),
        subject=np.concatenate(subjects),
        age_years=np.concatenate([_ages(store) for store in stores]),
        is_female=np.concatenate([store.is_female for store in stores]),
        group=group,
    )


def _ages(store: CropStore) -> npt.NDArray[np.float32]:
    """Ages, or the middles of classes."""
    middle = (store.age_low_years + store.age_high_years) / 2
    return np.asarray(np.where(np.isnan(store.age_years), middle, store.age_years), dtype=np.float32)


def find_leaks(folders: Sequence[Path], split: str | None = None) -> Leaks:
    """Look for leaks.

    Args:
        folders: the databases.
        split: a split's name that all of them have; the parts of that name together are one part. Without it
            one database is looked at for conflicts only, and of several each is a side of its own.

    Raises:
        FileNotFoundError: a folder that is no database.
        ValueError: no such split in one of them, or one folder named twice.
    """
    if len({folder.resolve() for folder in folders}) != len(folders):
        raise ValueError("a database is named twice: every picture would be its own duplicate")
    faces = gather(folders)
    crossings: list[Crossing] = []
    subject = _subject_units(faces.subject)
    kinds = [("near-duplicate", faces.group), *([("subject", subject)] if (faces.subject != "").any() else [])]
    if split is not None:
        places = np.concatenate(
            [
                read_split(folder, split).split.part_of(int((faces.database == i).sum()))
                for i, folder in enumerate(folders)
            ]
        )
        for measured, trained in ((1, 0), (2, 0), (2, 1)):
            for kind, units in kinds if {measured, trained} <= set(places.tolist()) else ():
                sides = (places == measured, places == trained)
                crossings.append(_crossing(kind, faces, units, sides, (PARTS[measured], PARTS[trained])))
    else:
        for i in range(len(folders)):
            for j in range(i):
                for kind, units in kinds:
                    sides = (faces.database == i, faces.database == j)
                    crossings.append(_crossing(kind, faces, units, sides, (str(folders[i]), str(folders[j]))))
    sizes = np.bincount(faces.group, minlength=len(faces))
    return Leaks(
        faces=faces,
        groups=int((sizes > 1).sum()),
        grouped=int(sizes[sizes > 1].sum()),
        conflicts=_conflicts(faces),
        crossings=tuple(crossings),
    )


def _subject_units(subject: npt.NDArray[np.str_]) -> IntArray:
    first: dict[str, int] = {}
    pairs = [(row, first.setdefault(who, row)) for row, who in enumerate(subject.tolist()) if who]
    return joined(len(subject), pairs)


def _members(units: IntArray, rows: IntArray) -> dict[int, IntArray]:
    """The rows of each unit."""
    if not len(rows):
        return {}
    order = rows[np.argsort(units[rows], kind="stable")]
    values, starts = np.unique(units[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


def _crossing(
    kind: str,
    faces: Faces,
    units: IntArray,
    sides: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
    names: tuple[str, str],
) -> Crossing:
    """What of the first side has a counterpart on the second."""
    measured, trained = (np.flatnonzero(side) for side in sides)
    touched = measured[np.isin(units[measured], units[trained])]
    counterparts = _members(units, trained[np.isin(units[trained], units[touched])])
    other_age = other_gender = 0
    examples = []
    for row in touched.tolist():
        others = counterparts[int(units[row])]
        # NaN, an unknown label, contradicts nothing.
        apart = np.abs(faces.age_years[others] - faces.age_years[row])
        other_age += bool((apart > 0).all())
        other_gender += bool((np.abs(faces.is_female[others] - faces.is_female[row]) > 0).any())
        examples.append((row, int(others[np.argmax(np.nan_to_num(apart, nan=-1.0))])))
    return Crossing(kind, *names, len(measured), len(touched), other_age, other_gender, tuple(examples))


def _conflicts(faces: Faces) -> tuple[Conflict, ...]:
    """The groups whose members state other ages or genders, the widest first."""
    sizes = np.bincount(faces.group, minlength=len(faces))
    out = []
    for members in _members(faces.group, np.flatnonzero(sizes[faces.group] > 1)).values():
        ages, genders = faces.age_years[members], faces.is_female[members]
        ages, genders = ages[~np.isnan(ages)], genders[~np.isnan(genders)]
        span = float(np.ptp(ages)) if len(ages) else 0.0
        differ = bool(len(genders) and np.ptp(genders) > 0)
        if span > 0 or differ:
            out.append(Conflict(tuple(members.tolist()), span, differ))
    return tuple(sorted(out, key=lambda conflict: (-conflict.span_years, -conflict.genders_differ, conflict.members)))
