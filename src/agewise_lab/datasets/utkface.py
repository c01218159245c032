"""UTKFace: 23,708 faces, aged 0 to 116, aligned and cropped to 200×200; also the whole photos.

Zhang, Song, Qi: «Age Progression/Regression by Conditional Adversarial Autoencoder», CVPR 2017. For
research only; the pictures belong to whoever owns them. File names are the labels:
`AGE_GENDER_RACE_TIME.jpg.chip.jpg` (aligned crops) or `AGE_GENDER_RACE_TIME.jpg` (whole photos, in `part1`
to `part3`), gender 0 male and 1 female (IMDB-WIKI has it the other way round), race 0 White, 1 Black,
2 Asian, 3 Indian, 4 other. A few names lack the race: these keep their age and gender, and their group is
None. The owners' separate lists of 68 landmarks are not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agewise._files import shown
from agewise.types import Gender
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import any_picture, require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing
from agewise_lab.datasets.record import Record

NAME = "utkface"
FACTS = Facts(
    title="UTKFace",
    images="23,708 aligned crops; the same faces as whole photos",
    subjects="not stated",
    ages="0-116",
    labels="age (estimated by the DEX network, checked by a person), gender, five groups",
    gender_coding="0 male, 1 female, in the file name",
    terms="non-commercial research only; the pictures belong to their owners",
    access=Access.PAGE,
    url="https://susanqq.github.io/UTKFace/",
    how_to_get="fetch UTKFace.tar.gz (aligned and cropped), or the three parts of the whole photos, and unpack them",
    paper="Zhang, Song, Qi: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017",
    protocol="none official; here by SHA-1 of the file name, near-duplicates apart. Others: 21-60 years only",
    used_for="training and measuring the embedded models",
)
EXPECTED_LAYOUT = """
FOLDER/
  26_1_2_20170116184024662.jpg.chip.jpg   AGE_GENDER_RACE_TIME
  …
or FOLDER/
  part1/ part2/ part3/
    26_1_2_20170116184024662.jpg          whole photos
"""

GROUPS = ("White", "Black", "Asian", "Indian", "other")
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])(?:_(?P<race>[0-4]))?_(?P<time>\d{8,}) ?\.?jpg(\.chip\.jpg)?")
_SUFFIXES = frozenset({".jpg"})


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


def _is_root(folder: Path) -> bool:
    return any_picture(folder, lambda name: parse_name(name) is not None)


def read_records(root: Path) -> Listing:
    """All pictures of the folder; those whose names say nothing, or that lead nowhere, are dropped.

    Raises:
        LayoutError: `root` is no folder, or holds no picture named as UTKFace names them.
    """
    require_folder(FACTS.title, root)
    collector = Collector(root)
    labelled = 0
    without_race = []
    for path in walk_pictures(root, _SUFFIXES):
        record = parse_name(path.rpartition("/")[2])
        if record is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
            continue
        labelled += 1
        if record.group is None:
            without_race.append(path)
        collector.add(path, record.age_years, record.gender, group=record.group)
    if not labelled:
        missing = "no picture is named AGE_GENDER_RACE_TIME.jpg.chip.jpg"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    if without_race:
        names = ", ".join(map(shown, without_race[:5])) + (", …" if len(without_race) > 5 else "")
        collector.notes.append(f"{len(without_race)} names lack the race; they are kept without a group: {names}")
    return collector.listing()
