"""List files whose lines belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.base import LayoutError
from agewise_lab.datasets.megaage_asian import NO_LINE, NO_NAME, read_records

Touch = Callable[..., None]
Write = Callable[..., None]


def test_lines_good_and_bad(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "test/1.jpg")
    names = ["1.jpg", "2.jpg", "2.jpg", "2.jpg", "9.jpg", "1.jpg", "1.jpg"]
    write(tmp_path / "list/train_name.txt", *names, end="\r\n", encoding="utf-8-sig")
    write(tmp_path / "list/train_age.txt", "4", "-5", "150", "x", "9", "4")
    write(tmp_path / "list/train_gender.txt", "male", "female", "1")
    write(tmp_path / "list/test_name.txt", "1.jpg")
    write(tmp_path / "list/test_age.txt", "70.0", "3")
    listing = read_records(tmp_path)
    assert [(r.path, r.dropped) for r in listing.records] == [
        ("train/1.jpg", None),
        ("train/2.jpg", IMPOSSIBLE_AGE),
        ("train/2.jpg", IMPOSSIBLE_AGE),
        ("train/2.jpg", NO_AGE),
        ("train/9.jpg", NO_PICTURE),
        ("train/1.jpg", "listed before with other labels"),
        ("train/1.jpg", NO_LINE),
        ("test/1.jpg", None),
        ("test/?", NO_NAME),
    ]
    first, last = listing.usable
    assert (first.age_years, first.gender, first.split) == (4, Gender.MALE, "train")
    assert (last.age_years, last.gender, last.split) == (70, None, "test")


def test_the_same_line_twice(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "test/1.jpg")
    write(tmp_path / "list/test_name.txt", "1.jpg", "1.jpg")
    write(tmp_path / "list/test_age.txt", "7", "7")
    listing = read_records(tmp_path)
    assert [record.dropped for record in listing.records] == [None, LISTED_TWICE]
    assert listing.notes == ("no list of the split train",)


def test_names_without_ages(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "list/train_name.txt", "1.jpg")
    with pytest.raises(LayoutError, match=r"list/train_age\.txt is missing beside train_name\.txt"):
        read_records(tmp_path)
