"""LAGENDA: 84,192 people aged 0 to 95 in 67,159 photos of Open Images, ages by many votes each.

Kuprashevich, Tolstykh: «MiVOLO: Multi-input Transformer for Age and Gender Estimation», 2023.
`lagenda_annotation.csv` has img_name, age, gender, face_x0, face_y0, face_x1, face_y1, person_x0 … person_y1;
-1 stands for what is missing. A row is a person: a photo has several, and most rows have boxes only (347,509
rows are reported, 84,192 of them with an age). Those are dropped here, as «no age». Columns and counts are
known from public code that reads the file. The boxes of people are not kept.
"""

from __future__ import annotations

from pathlib import Path

from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "lagenda"
FACTS = Facts(
    title="LAGENDA",
    images="67,159 photos",
    subjects="84,192 people, each in one photo",
    ages="0-95",
    labels="age (mean of ten people's votes, weighted), gender, boxes of faces and people by a detector",
    gender_coding="F, M",
    terms="see the owners' page; the photos are Open Images', each under its own CC BY licence",
    access=Access.PAGE,
    url="https://wildchlamydia.github.io/lagenda/",
    how_to_get="fetch the images and the annotation by the links on the page or in github.com/WildChlamydia/MiVOLO",
    paper="Kuprashevich, Tolstykh: MiVOLO: Multi-input Transformer for Age and Gender Estimation, 2023",
    protocol="all of it for testing; mean absolute error, cumulative score at 5, gender",
    used_for="testing on photos as they are: several faces, all ages evenly",
)
EXPECTED_LAYOUT = """
FOLDER/
  lagenda_annotation.csv
  lag_benchmark/
    b5c8ef090f134ad5.jpg …
"""
NO_FACE_BOX = "no box of a face"

_TABLE = "lagenda_annotation.csv"


def _is_root(folder: Path) -> bool:
    return (folder / _TABLE).is_file()


def read_records(root: Path, *, need_face: bool = False) -> Listing:
    """All rows of the table.

    Args:
        root: the folder that holds the table; its paths start there.
        need_face: drop people whose face has no box (seen from behind, say).

    Raises:
        LayoutError: no table.
        ValueError: it lacks a column.
    """
    require_folder(FACTS.title, root)
    if not _is_root(root):
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, f"{_TABLE} is missing", _is_root)
    collector = Collector(root)
    for row in _tables.read_rows(root / _TABLE, ["img_name", "age", "gender"]):
        age = None if row["age"] in ("-1", "-1.0") else _tables.number(row["age"])
        face = tuple(row.get(f"face_{side}", "") for side in ("x0", "y0", "x1", "y1"))
        person = tuple(row.get(f"person_{side}", "") for side in ("x0", "y0", "x1", "y1"))
        box = _tables.box(*face)
        dropped = NO_FACE_BOX if need_face and age is not None and box is None else None
        collector.add(
            row["img_name"],
            age,
            _tables.gender(row["gender"]),
            dropped=dropped,
            key=(face, person),
            box_xyxy=box,
        )
    return collector.listing()
