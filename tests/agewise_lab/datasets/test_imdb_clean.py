"""The three tables, in both editions, and their bad rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.base import LayoutError
from agewise_lab.datasets.imdb_clean import read_records

HEAD = "filename,age,gender,x_min,y_min,x_max,y_max,head_roll,head_yaw,head_pitch"
Touch = Callable[..., None]
Write = Callable[..., None]


def test_rows_good_and_bad(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "imdb-clean-1024/00/nm1_rm2_1949-1-1_1999.jpg", "imdb-clean-1024/01/nm2_a.jpg")
    write(
        tmp_path / "imdb_train_new_1024.csv",
        HEAD,
        "00/nm1_rm2_1949-1-1_1999.jpg,50,M,10,20,110,120,1,2,3",
        "00/nm1_rm2_1949-1-1_1999.jpg,50,M,10,20,110,120,1,2,3",
        "01/nm2_a.jpg,-5,F,10,20,110,120,1,2,3",
        "01/nm2_a.jpg,150,F,10,20,110,120,1,2,3",
        "01/nm2_a.jpg,,F,10,20,110,120,1,2,3",
        "01/nm2_a.jpg,30",
        "01/gone.jpg,30,F,10,20,110,120,1,2,3",
        end="\r\n",
        encoding="utf-8-sig",
    )
    listing = read_records(tmp_path)
    assert [record.dropped for record in listing.records] == [
        *(None, LISTED_TWICE, IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, NO_AGE, None, NO_PICTURE),
    ]
    first, short = listing.usable
    assert (first.age_years, first.gender, first.box_xyxy) == (50, Gender.MALE, (10, 20, 110, 120))
    assert (first.subject, first.split) == ("nm1", "train")
    assert (short.gender, short.box_xyxy) == (None, None)
    assert listing.notes == ("no table of the split valid, test",)


def test_each_edition_goes_with_its_own_pictures(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "data/imdb/00/a.jpg", "data/imdb-clean-1024/00/a.jpg")
    write(tmp_path / "csvs/imdb_test_new.csv", HEAD, "00/a.jpg,50,M,1,2,3,4,1,2,3")
    assert read_records(tmp_path).usable[0].path == "data/imdb/00/a.jpg"
    write(tmp_path / "csvs/imdb_test_new_1024.csv", HEAD, "00/a.jpg,50,M,10,20,30,40,1,2,3")
    (record,) = read_records(tmp_path).usable
    assert (record.path, record.box_xyxy) == ("data/imdb-clean-1024/00/a.jpg", (10, 20, 30, 40))


def test_tables_without_pictures(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "csvs/imdb_test_new.csv", HEAD)
    with pytest.raises(LayoutError, match=r"the tables are there, but neither data/imdb/00 nor imdb/00"):
        read_records(tmp_path)


def test_wrong_columns(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "imdb/00/a.jpg")
    write(tmp_path / "imdb_test_new.csv", "file,years", "00/a.jpg,50")
    with pytest.raises(ValueError, match=r"expected the columns filename, age, found file, years"):
        read_records(tmp_path)
