"""FairFace: 108,501 faces, balanced over seven groups, ages in nine classes.

Kärkkäinen, Joo: «FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias Measurement and
Mitigation», WACV 2021. `fairface_label_train.csv` and `fairface_label_val.csv` have file, age, gender, race,
service_test; `file` is `train/1.jpg`. The ages are classes: 0-2, 3-9, 10-19 … 60-69, more than 70. A table that
went through a spreadsheet has "3-9" as a date (9-Mar or 3-Sep) and "10-19" as Oct-19: these are read too.
"""

from __future__ import annotations

from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import OLDEST_YEARS, Access, Facts, Listing

NAME = "fairface"
FACTS = Facts(
    title="FairFace",
    images="97,698 with labels (86,744 train, 10,954 val) of 108,501",
    subjects="not stated",
    ages="nine classes from 0-2 to more than 70",
    labels="class of ages, gender, one of seven groups, by three annotators each",
    gender_coding="Female, Male",
    terms="CC BY 4.0",
    access=Access.PAGE,
    url="https://github.com/joojs/fairface",
    how_to_get="fetch the pictures (padding 0.25) and both label tables by the page's links, unpack into one folder",
    paper="Kärkkäinen, Joo: FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age, WACV 2021",
    protocol="official train and val; accuracy by group",
    used_for="fairness by group: the report that UTKFace is too small for",
)
EXPECTED_LAYOUT = """
FOLDER/
  fairface_label_train.csv
  fairface_label_val.csv
  train/
    1.jpg …
  val/
    1.jpg …
(the pictures may also lie in fairface-img-margin025-trainval/, or …125-…)
"""
CLASSES = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, int(OLDEST_YEARS)))
"""The nine classes, both ends included. The last is open; its end here is the oldest age that agewise believes."""
UNKNOWN_CLASS = "its age is none of the nine classes"

_SPLITS = ("train", "val")
_PLACES = ("", "fairface-img-margin025-trainval", "fairface-img-margin125-trainval")
_BY_LABEL = {f"{low}-{high}": (float(low), float(high)) for low, high in CLASSES[:-1]} | {
    **dict.fromkeys(("more than 70", "70+", ">70"), (70.0, OLDEST_YEARS)),
    **dict.fromkeys(("3-sep", "03-sep", "9-mar", "09-mar", "mar-09", "sep-03"), (3.0, 9.0)),
    **dict.fromkeys(("oct-19", "19-oct"), (10.0, 19.0)),
}


def age_class(label: str) -> tuple[float, float] | None:
    """(low, high) of a class by its label, or None.

    >>> age_class("20-29"), age_class("more than 70"), age_class("03-Sep"), age_class("25")
    ((20.0, 29.0), (70.0, 120.0), (3.0, 9.0), None)
    """
    return _BY_LABEL.get(" ".join(label.lower().replace("–", "-").split()))


def _is_root(folder: Path) -> bool:
    return any((folder / f"fairface_label_{split}.csv").is_file() for split in _SPLITS)


def read_records(root: Path) -> Listing:
    """All rows of the two tables.

    Raises:
        LayoutError: no table, or no folder of pictures.
        ValueError: a table lacks a column.
    """
    require_folder(FACTS.title, root)
    if not _is_root(root):
        missing = "neither fairface_label_train.csv nor fairface_label_val.csv is there"
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, missing, _is_root)
    place = next((p for p in _PLACES if any((root / p / split).is_dir() for split in _SPLITS)), None)
    if place is None:
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, "neither train/ nor val/ is there")
    collector = Collector(root)
    for split in _SPLITS:
        path = root / f"fairface_label_{split}.csv"
        if not path.is_file():
            collector.notes.append(f"no table of the split {split}")
            continue
        for row in _tables.read_rows(path, ["file", "age", "gender", "race"]):
            range_years = age_class(row["age"])
            collector.add(
                f"{place}/{row['file']}" if place else row["file"],
                None,
                _tables.gender(row["gender"]),
                dropped=UNKNOWN_CLASS if row["age"] and range_years is None else None,
                group=row["race"] or None,
                age_range_years=range_years,
                split=split,
            )
    return collector.listing()
