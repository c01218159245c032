"""The MATLAB file, its dates and the cleaning, row by row."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agewise.types import Gender
from agewise_lab.datasets import imdb, wiki
from agewise_lab.datasets._collect import CONTRADICTS, LISTED_TWICE, NO_PICTURE, OUTSIDE
from agewise_lab.datasets._imdb_wiki import (
    BEFORE_BIRTH,
    IN_THE_FUTURE,
    LOW_SCORE,
    NO_DATE,
    NO_FACE,
    NO_GENDER,
    SECOND_FACE,
    TOO_OLD,
    ages,
    birth_year_and_month,
)

WriteMat = Callable[..., None]
Touch = Callable[..., None]
NAN = math.nan


def datenum(year: int, month: int, day: int) -> int:
    """MATLAB's own count: day 1 is the first of January of year 0."""
    return datetime.date(year, month, day).toordinal() + 366


@pytest.mark.parametrize(
    ("born", "taken", "age"),
    [
        ((1970, 1, 1), 2000, 30),
        ((1970, 6, 30), 2000, 30),  # photos are taken mid-year
        ((1970, 7, 1), 2000, 29),
        ((1970, 12, 31), 2000, 29),
        ((1899, 5, 10), 1931, 32),
        ((2000, 2, 29), 2000, 0),
        ((1999, 8, 1), 1999, -1),
    ],
)
def test_ages(born: tuple[int, int, int], taken: int, age: int) -> None:
    days = np.array([float(datenum(*born))])
    assert [int(part[0]) for part in birth_year_and_month(days)] == [born[0], born[1]]
    assert ages(days, np.array([float(taken)]))[0] == age
    assert ages(days + 0.75, np.array([float(taken)]))[0] == age  # the hour of birth


@pytest.mark.parametrize("days", [NAN, math.inf, -math.inf, -5.0, 0.0, 1e12])
def test_what_is_no_date(days: float) -> None:
    assert math.isnan(ages(np.array([days]), np.array([2000.0]))[0])


def test_all_days_of_four_centuries_agree_with_the_calendar() -> None:
    first = datetime.date(1700, 1, 1).toordinal()
    ordinals = range(first, first + 146_097, 13)
    years, months = birth_year_and_month(np.array([ordinal + 366.0 for ordinal in ordinals]))
    dates = [datetime.date.fromordinal(ordinal) for ordinal in ordinals]
    assert years.tolist() == [date.year for date in dates]
    assert months.tolist() == [date.month for date in dates]


BORN_1949 = datenum(1949, 1, 1)
ROWS = [
    ({}, None),
    ({"full_path": "00/b ü.jpg", "gender": 0.0}, None),
    ({"full_path": "00/a.jpg", "face_score": -math.inf}, NO_FACE),
    ({"face_score": 0.99}, LOW_SCORE),
    ({"face_score": NAN}, LOW_SCORE),
    ({"face_score": 1.0, "second_face_score": 0.01}, SECOND_FACE),
    ({"full_path": "00/c.jpg", "face_score": 1.0, "second_face_score": 0.0}, None),
    ({"full_path": "00/d.jpg", "second_face_score": -math.inf}, None),
    ({"dob": 0}, NO_DATE),
    ({"dob": -5}, NO_DATE),
    ({"photo_taken": 1948}, BEFORE_BIRTH),
    ({"photo_taken": 2049}, IN_THE_FUTURE),
    ({"dob": datenum(1890, 1, 1), "photo_taken": 1991}, TOO_OLD),
    ({"full_path": "00/e.jpg", "dob": datenum(1890, 1, 1), "photo_taken": 1990}, None),
    ({"gender": NAN}, NO_GENDER),
    ({"full_path": "99/gone.jpg"}, NO_PICTURE),
    ({"full_path": "../a.jpg"}, OUTSIDE),
    ({"full_path": ""}, OUTSIDE),
    ({}, LISTED_TWICE),
    ({"gender": 0.0}, CONTRADICTS),
]


@pytest.fixture
def root(tmp_path: Path, touch: Touch, write_imdb_mat: WriteMat) -> Path:
    touch(tmp_path, *(f"00/{name}.jpg" for name in ("a", "b ü", "c", "d", "e")))
    write_imdb_mat(tmp_path / "imdb.mat", "imdb", [row for row, _ in ROWS])
    return tmp_path


def test_every_row_of_the_cleaning(root: Path) -> None:
    listing = imdb.read_records(root)
    assert [record.dropped for record in listing.records] == [reason for _, reason in ROWS]
    first, second = listing.usable[:2]
    assert (first.path, first.age_years, first.gender) == ("00/a.jpg", 50, Gender.MALE)
    assert (second.path, second.age_years, second.gender) == ("00/b ü.jpg", 50, Gender.FEMALE)
    assert (first.subject, first.face_score, first.second_face_score, first.box_xyxy) == ("7", 3.0, None, None)
    assert sum(listing.drops_by_reason().values()) == len(ROWS) - len(listing.usable)


def test_the_least_score_is_a_choice(root: Path) -> None:
    assert {r.path for r in imdb.read_records(root, min_score=3.1).usable} == set()
    low = imdb.read_records(root, min_score=0.5).records[3]
    assert low.dropped == LISTED_TWICE, "good enough now, but it is the first row's picture"
    # -inf is no face whatever the least score is
    assert imdb.read_records(root, min_score=-math.inf).records[2].dropped == NO_FACE


def test_boxes_belong_to_whole_pictures_and_count_from_zero(root: Path) -> None:
    record = imdb.read_records(root, whole=True).records[0]
    assert record.box_xyxy == (10.0, 20.0, 110.0, 120.0)


def test_wiki_knows_people_by_name(tmp_path: Path, touch: Touch, write_imdb_mat: WriteMat) -> None:
    touch(tmp_path, "00/a.jpg", "00/b.jpg")
    rows = [{"name": "Renée Zellweger"}, {"full_path": "00/b.jpg", "name": ""}]
    write_imdb_mat(tmp_path / "wiki.mat", "wiki", rows, without=("celeb_id",))
    assert [record.subject for record in wiki.read_records(tmp_path).usable] == ["Renée Zellweger", None]


def test_a_dangling_link_is_no_picture(root: Path) -> None:
    (root / "00/c.jpg").unlink()
    (root / "00/c.jpg").symlink_to(root / "nowhere.jpg")
    assert imdb.read_records(root).records[6].dropped == NO_PICTURE


def test_a_file_of_the_other_set_is_named(tmp_path: Path, write_imdb_mat: WriteMat) -> None:
    write_imdb_mat(tmp_path / "imdb.mat", "wiki", [{}])
    with pytest.raises(ValueError, match=r"imdb\.mat: expected a MATLAB file with one struct 'imdb'$"):
        imdb.read_records(tmp_path)


def test_missing_fields_are_named(tmp_path: Path, write_imdb_mat: WriteMat) -> None:
    write_imdb_mat(tmp_path / "imdb.mat", "imdb", [{}], without=("dob", "face_score"))
    with pytest.raises(ValueError, match=r"found photo_taken, full_path.*; missing: dob, face_score"):
        imdb.read_records(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no matlab", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_what_is_no_matlab_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "imdb.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"imdb\.mat: expected a MATLAB file"):
        imdb.read_records(tmp_path)


def test_fields_of_different_length_are_refused(tmp_path: Path) -> None:
    from scipy.io import savemat

    row = np.array([[1.0, 2.0]])
    paths = np.empty((1, 1), dtype=object)
    paths[0, 0] = "00/a.jpg"
    names = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
    savemat(tmp_path / "imdb.mat", {"imdb": {**dict.fromkeys(names, row), "full_path": paths}})
    with pytest.raises(ValueError, match=r"the fields of 'imdb' differ in length: \[1, 2\]"):
        imdb.read_records(tmp_path)
