"""APPA-REAL: 7,591 faces, each with its real age and with some 38 people's guesses.

Agustsson, Timofte, Escalera, Baro, Guyon, Rothe: «Apparent and real age estimation in still images with deep
residual regressors on APPA-REAL database», FG 2017. By the README in its archive: `gt_avg_SPLIT.csv` has
file_name, num_ratings, apparent_age_avg, apparent_age_std, real_age; `gt_SPLIT.csv` a row a guess;
`SPLIT/X.jpg` is the photo and `SPLIT/X.jpg_face.jpg` the face, turned upright with a margin of 40 %. The columns
of the second (file_name, real_age, apparent_age, worker_age, worker_gender) are known from public code, and are
taken in this order where there is no header that says otherwise. Gender is not in them: it is read from
`allcategories_SPLIT.csv` (file, gender, …), a later addition of the owners, where it lies in the folder.

yu4u's list of bad training faces is read from the user's copy: `ignore_list`, or `ignore_list.txt` or
`appa_real_ignore_list.txt` in the folder. It names pictures of the training split only.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from agewise._files import shown
from agewise.types import Gender
from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import Access, Download, Facts, Listing

NAME = "appa-real"
FACTS = Facts(
    title="APPA-REAL",
    images="7,591 (4,113 train, 1,500 valid, 1,978 test)",
    subjects="7,591 as far as known",
    ages="0-100",
    labels="real age; apparent age: mean, standard deviation and every vote (about 250,000)",
    gender_coding="male, female in allcategories_*.csv, a separate file",
    terms="research, by ChaLearn's terms on the page",
    access=Access.OPEN,
    url="https://chalearnlap.cvc.uab.cat/dataset/26/description/",
    paper="Agustsson et al.: Apparent and real age estimation in still images with deep residual regressors, FG 2017",
    protocol="official splits; mean absolute error to the apparent and to the real age on valid (yu4u 6.47 and 7.61)",
    used_for="yu4u's evaluation; how far apparent and real age differ",
    downloads=(
        Download(
            file="appa-real-release.zip",
            url="https://data.chalearnlap.cvc.uab.cat/AppaRealAge/appa-real-release.zip",
            sha256="e1c25af4cd36269f69505ad9419fef639bdc92c8fff90280ebad67805553a307",
            sha256_from="a third party's own download of September 2026; the page states none",
        ),
    ),
)
EXPECTED_LAYOUT = """
appa-real-release/
  gt_avg_train.csv  gt_avg_valid.csv  gt_avg_test.csv
  gt_train.csv      gt_valid.csv      gt_test.csv       every vote
  train/ valid/ test/
    000000.jpg
    000000.jpg_face.jpg
  allcategories_train.csv …                             gender, if you have it
  ignore_list.txt                                       if you have it
"""
IGNORED = "on the ignore list"

_SPLITS = ("train", "valid", "test")
_IGNORE_LISTS = ("ignore_list.txt", "appa_real_ignore_list.txt")
_VOTE_COLUMNS = ["file_name", "real_age", "apparent_age", "worker_age", "worker_gender"]


def _is_root(folder: Path) -> bool:
    return any((folder / f"gt_avg_{split}.csv").is_file() for split in _SPLITS)


def _votes(path: Path) -> dict[str, tuple[float, ...]]:
    """Every guess by file name; empty where the file is not there."""
    votes: dict[str, list[float]] = defaultdict(list)
    if not path.is_file():
        return {}
    for line in _tables.read_lines(path):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < 3 or fields[0] == "file_name":
            continue
        guess = _tables.number(fields[2])
        if guess is not None:
            votes[fields[0]].append(guess)
    return {name: tuple(guesses) for name, guesses in votes.items()}


def _require_vote_order(path: Path) -> None:
    """A header, where there is one, must have the votes third: another order would give real ages as votes."""
    names = _tables.header(path) if path.is_file() else []
    if names and "file_name" in names and names[:3] != _VOTE_COLUMNS[:3]:
        raise ValueError(f"{shown(path)}: expected the columns {', '.join(_VOTE_COLUMNS)}, found {', '.join(names)}")


def _genders(path: Path) -> dict[str, Gender | None]:
    if not path.is_file():
        return {}
    return {row["file"]: _tables.gender(row["gender"]) for row in _tables.read_rows(path, ["file", "gender"])}


def _ignored(root: Path, ignore_list: Path | None) -> frozenset[str]:
    path = ignore_list or next((root / name for name in _IGNORE_LISTS if (root / name).is_file()), None)
    return frozenset() if path is None else frozenset(filter(None, _tables.read_lines(path)))


def read_records(root: Path, *, faces: bool = True, ignore_list: Path | None = None) -> Listing:
    """All rows of the three tables of averages.

    Args:
        root: the folder of the tables.
        faces: give the upright faces (`X.jpg_face.jpg`), not the photos.
        ignore_list: names of bad training pictures, one a line.

    Raises:
        LayoutError: none of the tables is there.
        ValueError: a table lacks a column.
        OSError: `ignore_list` cannot be read.
    """
    require_folder(FACTS.title, root)
    if not _is_root(root):
        raise wrong_layout(
            FACTS.title, root, EXPECTED_LAYOUT, "none of gt_avg_{train,valid,test}.csv is there", _is_root
        )
    ignored = _ignored(root, ignore_list)
    collector = Collector(root)
    for split in _SPLITS:
        table = root / f"gt_avg_{split}.csv"
        if not table.is_file():
            collector.notes.append(f"no table of the split {split}")
            continue
        _require_vote_order(root / f"gt_{split}.csv")
        votes = _votes(root / f"gt_{split}.csv")
        genders = _genders(root / f"allcategories_{split}.csv")
        for row in _tables.read_rows(table, ["file_name", "apparent_age_avg", "apparent_age_std", "real_age"]):
            name = row["file_name"]
            collector.add(
                f"{split}/{name}_face.jpg" if faces else f"{split}/{name}",
                _tables.number(row["real_age"]),
                genders.get(name),
                dropped=IGNORED if split == "train" and name in ignored else None,
                apparent_age_years=_tables.number(row["apparent_age_avg"]),
                apparent_std_years=_tables.number(row["apparent_age_std"]),
                apparent_votes_years=votes.get(name, ()),
                split=split,
            )
    if ignored:
        collector.notes.append(f"{len(ignored)} names on the ignore list")
    return collector.listing()
