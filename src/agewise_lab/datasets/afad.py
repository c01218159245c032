"""AFAD: 164,432 Asian faces aged 15 to 40 of a social network, ages as people stated them.

Niu, Zhou, Wang, Gao, Hua: «Ordinal Regression with Multiple Output CNN for Age Estimation», CVPR 2016.
`AFAD-Full/AGE/GENDER/NUMBER-K.jpg`: the folder of the age, in it 111 (male) and 112 (female). The number
before the dash is taken for the person: it is by all appearance that of the profile; the owners do not say so.
The full set's archive also has older ages (up to 75), few and doubtful.
"""

from __future__ import annotations

import re
from pathlib import Path

from agewise.types import Gender
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "afad"
FACTS = Facts(
    title="AFAD",
    images="164,432 (AFAD-Lite: 59,344)",
    subjects="not stated",
    ages="15-40",
    labels="age and gender as people stated them",
    gender_coding="folders 111 male, 112 female",
    terms="academic research only",
    access=Access.PAGE,
    url="https://afad-dataset.github.io/",
    how_to_get="git clone https://github.com/afad-dataset/tarball, join the parts by its restore.sh, unpack",
    paper="Niu, Zhou, Wang, Gao, Hua: Ordinal Regression with Multiple Output CNN for Age Estimation, CVPR 2016",
    protocol="80/20 at random",
    used_for="ordinal recipes (OR-CNN, CORAL, CORN); young adults",
)
EXPECTED_LAYOUT = """
AFAD-Full/ (or AFAD-Lite/)
  15/ … 40/            the age
    111/               male
      638660-1.jpg
    112/               female
"""

_GENDERS = {"111": Gender.MALE, "112": Gender.FEMALE}
_PATH = re.compile(r"(?:.*/)?(?P<age>\d{1,3})/(?P<gender>111|112)/(?P<person>[^/-]+)[^/]*")


def _is_root(folder: Path) -> bool:
    return any((child / "111").is_dir() or (child / "112").is_dir() for child in folder.iterdir() if child.is_dir())


def read_records(root: Path) -> Listing:
    """All pictures below the folder.

    Raises:
        LayoutError: no picture lies in AGE/111 or AGE/112.
    """
    require_folder(FACTS.title, root)
    collector = Collector(root)
    known = 0
    for path in walk_pictures(root):
        match = _PATH.fullmatch(path)
        if match is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
        else:
            known += 1
            collector.add(path, float(match["age"]), _GENDERS[match["gender"]], subject=match["person"])
    if not known:
        missing = "no picture lies in AGE/111/ or AGE/112/"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    return collector.listing()
