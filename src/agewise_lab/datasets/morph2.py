"""MORPH Album 2: 55,134 police photos of 13,617 people, with their ages as they were registered.

Ricanek, Tesafaye: «MORPH: A Longitudinal Image Database of Normal Adult Age-Progression», FG 2006. To be had
under a licence of the University of North Carolina Wilmington, which must be signed. Two forms are read:

- the table (`morph_2008_nonCommercial.csv`) with id_num, picture_num, dob, doa, race, gender, facial_hair,
  age, age_diff, glasses, photo; `photo` is `Album2/009055_1M54.JPG`;
- the pictures alone: `009055_1M54.JPG` is person 9055, picture 1, male, aged 54 (so SSR-Net reads them).

The columns are known from public code that reads them. Some people have more than one date of birth, race or
gender in the table (Yip et al., arXiv 1811.06446): the notes count who has several genders or groups.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from agewise.types import Gender
from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "morph2"
FACTS = Facts(
    title="MORPH Album 2",
    images="55,134",
    subjects="13,617",
    ages="16-77",
    labels="age, gender and race as registered at the arrest",
    gender_coding="M, F (in SSR-Net's MORPH2 files 0 male, 1 female)",
    terms="licence of UNCW, research; a commercial one is sold apart",
    access=Access.FORM,
    url="https://uncw.edu/oic/tech/morph.html",
    how_to_get="order the academic licence from UNCW (the page has moved and been gone at times: write to the "
    "Face Aging Group)",
    paper="Ricanek, Tesafaye: MORPH: A Longitudinal Image Database of Normal Adult Age-Progression, FG 2006",
    protocol="80/20 at random (SSR-Net, MAE 3.16); better five folds by subject",
    used_for="last training of SSR-Net; comparison with published errors",
)
EXPECTED_LAYOUT = """
MORPH/
  morph_2008_nonCommercial.csv   any table with photo and age
  Album2/
    009055_1M54.JPG              PERSON_PICTURE, M or F, AGE
or the pictures alone
"""

RACES = {"B": "Black", "W": "White", "A": "Asian", "H": "Hispanic", "O": "other"}
_NAME = re.compile(r"(?P<id>\d+)_(?P<picture>\d+)(?P<gender>[MF])(?P<age>\d{1,3})\w*\.jpe?g", re.IGNORECASE)


def parse_name(name: str) -> tuple[str, Gender, float] | None:
    """(person, gender, age) that a file name states, or None.

    >>> parse_name("009055_1M54.JPG")
    ('9055', <Gender.MALE: 'male'>, 54.0)
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    gender = Gender.MALE if match["gender"].upper() == "M" else Gender.FEMALE
    return str(int(match["id"])), gender, float(match["age"])


def _find_table(root: Path) -> Path | None:
    for path in sorted(root.glob("*.csv")):
        if {"photo", "age"} <= set(_tables.header(path)):
            return path
    return None


def read_records(root: Path) -> Listing:
    """The rows of the table where there is one, else the pictures by their names.

    Raises:
        LayoutError: no table with the columns `photo` and `age`, and no picture named as MORPH names them.
    """
    require_folder(FACTS.title, root)
    collector = Collector(root)
    table = _find_table(root)
    if table is not None:
        _read_table(table, collector)
        return collector.listing()
    known = 0
    for path in walk_pictures(root):
        found = parse_name(path.rpartition("/")[2])
        if found is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
        else:
            known += 1
            collector.add(path, found[2], found[1], subject=found[0])
    if not known:
        missing = "there is no .csv table with the columns photo and age, and no picture named like 009055_1M54.JPG"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, lambda folder: _find_table(folder) is not None)
    return collector.listing()


def _read_table(table: Path, collector: Collector) -> None:
    genders: dict[str, set[Gender | None]] = defaultdict(set)
    groups: dict[str, set[str | None]] = defaultdict(set)
    for row in _tables.read_rows(table, ["photo", "age"]):
        gender = _tables.gender(row.get("gender"))
        race = row.get("race", "").upper()
        group = RACES.get(race, race or None)
        named = parse_name(row["photo"].replace("\\", "/").rpartition("/")[2])
        person = row.get("id_num", "").lstrip("0") or (named[0] if named else None)
        if person is not None:
            genders[person].add(gender)
            groups[person].add(group)
        collector.add(row["photo"], _tables.number(row["age"]), gender, group=group, subject=person)
    for what, by_person in (("genders", genders), ("groups", groups)):
        several = sum(len(values) > 1 for values in by_person.values())
        if several:
            collector.notes.append(f"{several} people have several {what} in the table; each row keeps its own")
