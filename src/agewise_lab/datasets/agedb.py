"""AgeDB: 16,488 pictures of 568 well-known people aged 1 to 101, collected by hand, ages to the year.

Moschoglou et al.: «AgeDB: the first manually collected, in-the-wild age database», CVPR workshops 2017.
`0_MariaCallas_35_f.jpg` is picture 0, of Maria Callas aged 35, female. Some names have a space before the age
(`16020_MorganFreeman _73_m.jpg`): it is no part of who it is.
"""

from __future__ import annotations

import re
from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import any_picture, require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "agedb"
FACTS = Facts(
    title="AgeDB",
    images="16,488",
    subjects="568",
    ages="1-101",
    labels="age to the year, gender, person",
    gender_coding="f, m in the file name",
    terms="non-commercial research only",
    access=Access.FORM,
    url="https://ibug.doc.ic.ac.uk/resources/agedb/",
    how_to_get="the page links an archive; ask its owners for the password from an academic e-mail address",
    paper="Moschoglou et al.: AgeDB: the first manually collected, in-the-wild age database, CVPRW 2017",
    protocol="none official for ages; folds by subject (the CVPR 2024 unified benchmark has ten)",
    used_for="testing on accurate ages, old people above all",
)
EXPECTED_LAYOUT = """
AgeDB/
  0_MariaCallas_35_f.jpg     NUMBER_PERSON_AGE_GENDER
  10000_GlennClose_62_f.jpg
"""

_NAME = re.compile(r"\d+_(?P<person>.+?) *_(?P<age>\d{1,3})_(?P<gender>[mf])\.jpe?g", re.IGNORECASE)


def _is_root(folder: Path) -> bool:
    return any_picture(folder, lambda name: _NAME.fullmatch(name) is not None)


def read_records(root: Path) -> Listing:
    """All pictures below the folder.

    Raises:
        LayoutError: no picture is named as AgeDB names them.
    """
    require_folder(FACTS.title, root)
    collector = Collector(root)
    known = 0
    for path in walk_pictures(root):
        match = _NAME.fullmatch(path.rpartition("/")[2])
        if match is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
        else:
            known += 1
            collector.add(path, float(match["age"]), _tables.gender(match["gender"]), subject=match["person"])
    if not known:
        missing = "no picture is named like 0_MariaCallas_35_f.jpg"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    return collector.listing()
