"""UTKFace: 23,708 faces, aged 0 to 116, aligned and cropped to 200×200.

Zhang, Song, Qi: «Age Progression/Regression by Conditional Adversarial Autoencoder», CVPR 2017. For
research only; the pictures belong to whoever owns them. File names are the labels:
`AGE_GENDER_RACE_TIME.jpg.chip.jpg`, gender 0 male and 1 female (IMDB-WIKI has it the other way round),
race 0 White, 1 Black, 2 Asian, 3 Indian, 4 other. A few names lack the race: these keep their age and
gender, and their group is None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agewise.types import Gender
from agewise_lab.datasets.record import Record

GROUPS = ("White", "Black", "Asian", "Indian", "other")
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])(?:_(?P<race>[0-4]))?_(?P<time>\d{8,}) ?\.?jpg(\.chip\.jpg)?")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder held: records in the order of their names, and the files whose names say nothing."""

    records: tuple[Record, ...]
    dropped: tuple[str, ...]


def group_codes(records: Sequence[Record]) -> npt.NDArray[np.int64]:
    """Each record's place in `GROUPS`, -1 where the group is unknown: int64 (n,)."""
    return np.array([-1 if r.group is None else GROUPS.index(r.group) for r in records], dtype=np.int64)


def parse_name(name: str) -> Record | None:
    """The record that a file name states, or None.

    >>> record = parse_name("26_1_2_20170116184024662.jpg.chip.jpg")
    >>> record.age_years, record.gender, record.group
    (26.0, <Gender.FEMALE: 'female'>, 'Asian')
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    gender = Gender.FEMALE if match["gender"] == "1" else Gender.MALE
    group = None if match["race"] is None else GROUPS[int(match["race"])]
    return Record(name, float(match["age"]), gender, group)


def read_records(root: Path) -> Listing:
    """All labelled faces of the folder that holds the aligned, cropped pictures.

    Raises:
        FileNotFoundError: `root` is no folder, or holds no picture named as UTKFace names them.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"UTKFace: {root} is no folder; expected the folder of *.jpg.chip.jpg files")
    records, dropped = [], []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() != ".jpg":
            continue
        record = parse_name(path.name)
        if record is None:
            dropped.append(path.name)
        else:
            records.append(record)
    if not records:
        raise FileNotFoundError(
            f"UTKFace: no file in {root} is named AGE_GENDER_RACE_TIME.jpg.chip.jpg; "
            "expected the folder of the aligned, cropped pictures"
        )
    return Listing(tuple(records), tuple(dropped))
