"""All-Age-Faces (AAF): 13,322 faces, mostly Asian, aged 2 to 80, each of another person.

Cheng, Li, Wang, Yu, Wang: «Exploiting effective facial patches for robust gender recognition», Tsinghua
Science and Technology 2019. As the owners' README has it
(https://github.com/JingchunCheng/All-Age-Faces-Dataset): `%05dA%02d.jpg` is person and age; 00000 to 07380 are
female, 07381 to 13321 male; `image sets/` has a list a split with lines «00000A02 0», 0 female and 1 male. The
README calls the folders `original images` and `aligned faces`; the archive is said to spell the second
`aglined faces`, and names of the lists could not be confirmed: every .txt there counts, `train` and `val` by
its name. The `key points` are not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from agewise.types import Gender
from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "all-age-faces"
FACTS = Facts(
    title="All-Age-Faces",
    images="13,322",
    subjects="13,322",
    ages="2-80",
    labels="age, gender; landmarks (not read)",
    gender_coding="by number: 00000-07380 female, then male; in the lists 0 female, 1 male",
    terms="none stated; cite the paper",
    access=Access.PAGE,
    url="https://github.com/JingchunCheng/All-Age-Faces-Dataset",
    how_to_get="fetch the archive by the page's Baidu link and unpack it",
    paper="Cheng et al.: Exploiting effective facial patches for robust gender recognition, TST 2019",
    protocol="official train and val lists",
    used_for="Asian faces of all ages, one a person",
)
EXPECTED_LAYOUT = """
All-Age-Faces Dataset/
  original images/
    00000A02.jpg      PERSON, A, AGE
  aglined faces/      the aligned ones
  image sets/
    train.txt val.txt
"""
CONTRADICTS_LIST = "its number and the list disagree about the gender"

_LAST_FEMALE = 7380
_NAME = re.compile(r"(?P<person>\d{5})A(?P<age>\d{2,3})\.jpe?g", re.IGNORECASE)
_LINE = re.compile(r"(?P<stem>\d{5}A\d{2,3})(?:\.jpe?g)?\s+(?P<gender>[01])", re.IGNORECASE)


def _is_root(folder: Path) -> bool:
    return (folder / "original images").is_dir() or (folder / "original_images").is_dir()


def _splits(root: Path) -> dict[str, tuple[str, Gender]]:
    """(split, gender) by "00000A02"."""
    found = {}
    for folder in ("image sets", "image_sets"):
        for path in sorted((root / folder).glob("*.txt")):
            for line in _tables.read_lines(path):
                match = _LINE.fullmatch(line)
                if match is not None:
                    gender = Gender.MALE if match["gender"] == "1" else Gender.FEMALE
                    found[match["stem"].upper()] = (path.stem, gender)
    return found


def read_records(root: Path, *, aligned: bool = False) -> Listing:
    """All pictures of one of the two folders.

    Args:
        root: the folder that holds `original images`.
        aligned: read the aligned faces instead of the pictures they were cut from.

    Raises:
        LayoutError: the folder of pictures is missing.
    """
    require_folder(FACTS.title, root)
    wanted = ("aligned faces", "aglined faces", "aligned_faces") if aligned else ("original images", "original_images")
    folder = next((name for name in wanted if (root / name).is_dir()), None)
    if folder is None:
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, f"{wanted[0]}/ is missing", _is_root)
    splits = _splits(root)
    collector = Collector(root)
    for name in walk_pictures(root / folder):
        match = _NAME.fullmatch(name)
        if match is None:
            collector.add(f"{folder}/{name}", None, None, dropped=UNREADABLE_NAME)
            continue
        gender = Gender.FEMALE if int(match["person"]) <= _LAST_FEMALE else Gender.MALE
        split, stated = splits.get(name.rpartition(".")[0].upper(), (None, gender))
        collector.add(
            f"{folder}/{name}",
            float(match["age"]),
            gender,
            dropped=None if stated is gender else CONTRADICTS_LIST,
            subject=match["person"],
            split=split,
        )
    return collector.listing()
