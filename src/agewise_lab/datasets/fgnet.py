"""FG-NET: 1,002 scanned family photos of 82 people from birth to 69.

Panis, Lanitis, Tsapatsoulis, Cootes: «Overview of research on facial ageing using the FG-NET ageing
database», IET Biometrics 2016. `001A02.JPG` is person 001 aged 2; a letter after the age (`001A43a.JPG`) tells
several photos of one age apart. There is no gender. The 68 landmarks in `points/` are not read: agewise finds
its own five.
"""

from __future__ import annotations

import re
from pathlib import Path

from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import any_picture, require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Download, Facts, Listing

NAME = "fgnet"
FACTS = Facts(
    title="FG-NET",
    images="1,002",
    subjects="82",
    ages="0-69",
    labels="age in whole years; 68 landmarks (not read)",
    gender_coding="none",
    terms="research; the owners' page is gone, the link is a researcher's copy",
    access=Access.OPEN,
    url="https://yanweifu.github.io/FG_NET_data/",
    paper="Panis et al.: Overview of research on facial ageing using the FG-NET ageing database, IET Biometrics 2016",
    protocol="leave one person out: 82 folds by subject; mean absolute error",
    used_for="testing on other pictures than those trained on; children",
    downloads=(
        Download(
            file="FGNET.zip",
            url="https://yanweifu.github.io/FG_NET_data/FGNET.zip",
            sha256="228acddeba96e469f2ded9475ee87f4ab16398de27a2f3ec35a266a46ef2f7fc",
            sha256_from="a third party's own download of September 2026; the page states none",
        ),
    ),
)
EXPECTED_LAYOUT = """
FGNET/
  images/ (or here)
    001A02.JPG    PERSON, A, AGE
    001A43a.JPG   another one of the same age
"""

_NAME = re.compile(r"(?P<person>\d{3})A(?P<age>\d{1,3})[a-z]?\.jpe?g", re.IGNORECASE)


def _is_root(folder: Path) -> bool:
    return any_picture(folder, lambda name: _NAME.fullmatch(name) is not None)


def read_records(root: Path) -> Listing:
    """All pictures below the folder.

    Raises:
        LayoutError: no picture is named as FG-NET names them.
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
            collector.add(path, float(match["age"]), None, subject=match["person"])
    if not known:
        missing = "no picture is named like 001A02.JPG"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    return collector.listing()
