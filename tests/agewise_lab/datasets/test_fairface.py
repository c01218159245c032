"""Classes of ages, their spellings, and bad rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import CONTRADICTS, LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.base import LayoutError
from agewise_lab.datasets.fairface import CLASSES, UNKNOWN_CLASS, age_class, read_records

Touch = Callable[..., None]
Write = Callable[..., None]
HEAD = "file,age,gender,race,service_test"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *((f"{low}-{high}", (low, high)) for low, high in CLASSES[:-1]),
        ("more than 70", (70, 120)),
        ("More  than 70", (70, 120)),
        ("20–29", (20, 29)),
        ("03-Sep", (3, 9)),
        ("9-Mar", (3, 9)),
        ("Oct-19", (10, 19)),
        ("25", None),
        ("3-10", None),
    ],
)
def test_classes(label: str, expected: tuple[float, float] | None) -> None:
    assert age_class(label) == expected


@pytest.mark.parametrize("place", ["", "fairface-img-margin025-trainval/", "fairface-img-margin125-trainval/"])
def test_rows_good_and_bad(tmp_path: Path, touch: Touch, write: Write, place: str) -> None:
    touch(tmp_path, f"{place}train/1.jpg", f"{place}train/2.jpg", f"{place}val/1.jpg")
    write(
        tmp_path / "fairface_label_train.csv",
        HEAD,
        "train/1.jpg,50-59,Male,East Asian,True",
        "train/1.jpg,50-59,Male,East Asian,True",
        "train/1.jpg,40-49,Male,East Asian,True",
        "train/2.jpg,-5,Female,Black,True",
        "train/2.jpg,150,Female,Black,True",
        "train/2.jpg,,Female,Black,True",
        "train/3.jpg,0-2,Female,Black,True",
        "train/2.jpg,0-2,,,True",
        end="\r\n",
        encoding="utf-8-sig",
    )
    write(tmp_path / "fairface_label_val.csv", HEAD, "val/1.jpg,more than 70,Female,Latino_Hispanic,False")
    listing = read_records(tmp_path)
    assert [record.dropped for record in listing.records] == [
        *(None, LISTED_TWICE, CONTRADICTS, UNKNOWN_CLASS, UNKNOWN_CLASS, NO_AGE, NO_PICTURE, None, None),
    ]
    assert [(r.path, r.age_range_years, r.gender, r.group, r.split) for r in listing.usable] == [
        (f"{place}train/1.jpg", (50, 59), Gender.MALE, "East Asian", "train"),
        (f"{place}train/2.jpg", (0, 2), None, None, "train"),
        (f"{place}val/1.jpg", (70, 120), Gender.FEMALE, "Latino_Hispanic", "val"),
    ]


def test_tables_without_pictures(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "fairface_label_val.csv", HEAD)
    with pytest.raises(LayoutError, match=r"neither train/ nor val/ is there"):
        read_records(tmp_path)


def test_wrong_columns(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "val/1.jpg")
    write(tmp_path / "fairface_label_val.csv", "file,age,sex,race")
    with pytest.raises(ValueError, match=r"found file, age, sex, race; missing: gender"):
        read_records(tmp_path)
