"""MegaAge-Asian: Asian faces aged 0 to 70, of the sets MegaFace and YFCC100M, ages judged by comparison.

Zhang, Liu, Li, Loy: «Quantifying Facial Age by Posterior of Age Comparisons», BMVC 2017. List files:
`list/train_name.txt` has a file name a line, `list/train_age.txt` the age on the same line; the same for
`test`. There is no gender (lists `*_gender.txt` that others have made are read where they lie there, with
words or letters only). Names of the lists are known from public code that reads them.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "megaage-asian"
FACTS = Facts(
    title="MegaAge-Asian",
    images="40,000 train and 3,945 test",
    subjects="not stated",
    ages="0-70",
    labels="age, from the posterior of comparisons with faces of known age",
    gender_coding="none",
    terms="non-commercial research only",
    access=Access.PAGE,
    url="http://mmlab.ie.cuhk.edu.hk/projects/MegaAge/",
    how_to_get="fetch megaage_asian.zip by the page's link and unpack it",
    paper="Zhang, Liu, Li, Loy: Quantifying Facial Age by Posterior of Age Comparisons, BMVC 2017",
    protocol="official train and test; cumulative accuracy within 3, 5 and 7 years",
    used_for="SSR-Net's fourth set; Asian faces, of which UTKFace has few",
)
EXPECTED_LAYOUT = """
megaage_asian/
  list/
    train_name.txt  train_age.txt
    test_name.txt   test_age.txt
  train/
    1.jpg …
  test/
    1.jpg …
"""
NO_LINE = "the list of ages is shorter"
NO_NAME = "the list of names is shorter"
_SPLITS = ("train", "test")


def _is_root(folder: Path) -> bool:
    return any((folder / "list" / f"{split}_name.txt").is_file() for split in _SPLITS)


def read_records(root: Path) -> Listing:
    """All lines of the lists.

    Raises:
        LayoutError: no list of names, or one without its list of ages.
    """
    require_folder(FACTS.title, root)
    if not _is_root(root):
        missing = "neither list/train_name.txt nor list/test_name.txt is there"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    collector = Collector(root)
    for split in _SPLITS:
        names, ages, genders = (root / "list" / f"{split}_{kind}.txt" for kind in ("name", "age", "gender"))
        if not names.is_file():
            collector.notes.append(f"no list of the split {split}")
            continue
        if not ages.is_file():
            missing = f"list/{ages.name} is missing beside {names.name}"
            raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing)
        gender_lines = _tables.read_lines(genders) if genders.is_file() else []
        for name, age, gender in zip_longest(_tables.read_lines(names), _tables.read_lines(ages), gender_lines):
            if not name and not age:
                continue
            dropped = NO_NAME if not name else NO_LINE if age is None else None
            path = f"{split}/{name or '?'}"
            collector.add(path, _tables.number(age), _tables.gender(gender), dropped=dropped, split=split)
    return collector.listing()
