"""Real and apparent ages, every vote, the faces, and the ignore list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.appa_real import IGNORED, read_records

Touch = Callable[..., None]
Write = Callable[..., None]
HEAD = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age"


@pytest.fixture
def root(tmp_path: Path, touch: Touch, write: Write) -> Path:
    touch(tmp_path, *(f"train/00000{i}.jpg{end}" for i in range(4) for end in ("", "_face.jpg")))
    touch(tmp_path, "train/000025.jpg", "train/000025.jpg_face.jpg", "valid/000025.jpg", "valid/000025.jpg_face.jpg")
    write(
        tmp_path / "gt_avg_train.csv",
        HEAD,
        "000000.jpg,2,5.05,1.5,4",
        "000001.jpg,2,30.0,0.5,-5",
        "000002.jpg,2,30.0,0.5,150",
        "000003.jpg,2,30.0,0.5,",
        "000025.jpg,2,30.0,0.5,33",
        "000000.jpg,2,5.05,1.5,4",
        "000009.jpg,2,30.0,0.5,33",
        end="\r\n",
        encoding="utf-8-sig",
    )
    write(tmp_path / "gt_avg_valid.csv", HEAD, "000025.jpg,2,30.0,0.5,33")
    return tmp_path


def test_rows_good_and_bad(root: Path) -> None:
    listing = read_records(root)
    assert [record.dropped for record in listing.records] == [
        *(None, IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, NO_AGE, None, LISTED_TWICE, NO_PICTURE, None)
    ]
    first = listing.records[0]
    assert first.path == "train/000000.jpg_face.jpg"
    assert (first.age_years, first.apparent_age_years, first.apparent_std_years) == (4, 5.05, 1.5)
    assert (first.gender, first.split, first.apparent_votes_years) == (None, "train", ())
    assert listing.notes == ("no table of the split test",)
    assert read_records(root, faces=False).records[0].path == "train/000000.jpg"


@pytest.mark.parametrize("head", [("file_name,real_age,apparent_age,worker_age,worker_gender",), ()])
def test_every_vote(root: Path, write: Write, head: tuple[str, ...]) -> None:
    write(root / "gt_train.csv", *head, "000000.jpg,4,4,30,female", "000000.jpg,4,6.5,41,male", "000000.jpg,4,,1,male")
    assert read_records(root).records[0].apparent_votes_years == (4.0, 6.5)


def test_votes_in_another_order_are_refused(root: Path, write: Write) -> None:
    write(root / "gt_train.csv", "file_name,apparent_age,real_age", "000000.jpg,4,6")
    with pytest.raises(ValueError, match=r"gt_train\.csv: expected the columns file_name, real_age, apparent_age"):
        read_records(root)


def test_gender_where_the_owners_second_file_is_there(root: Path, write: Write) -> None:
    write(root / "allcategories_train.csv", "file,gender,race", "000000.jpg,female,caucasian", "000025.jpg,male,asian")
    genders = [record.gender for record in read_records(root).usable]
    assert genders == [Gender.FEMALE, Gender.MALE, None]


@pytest.mark.parametrize("name", ["ignore_list.txt", "appa_real_ignore_list.txt", "elsewhere.txt"])
def test_the_ignore_list_is_of_training_pictures(root: Path, write: Write, name: str) -> None:
    write(root / name, "000025.jpg", "", "000777.jpg", end="\r\n")
    listing = read_records(root, ignore_list=root / name if name == "elsewhere.txt" else None)
    dropped = [(record.split, record.dropped) for record in listing.records if record.path.endswith("25.jpg_face.jpg")]
    assert dropped == [("train", IGNORED), ("valid", None)]
    assert listing.notes[-1] == "2 names on the ignore list"


def test_the_real_ignore_list(root: Path, ignore_list: Path) -> None:
    listing = read_records(root, ignore_list=ignore_list)
    assert listing.records[4].dropped == IGNORED
    assert listing.notes[-1] == "118 names on the ignore list"


def test_a_missing_ignore_list_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read_records(root, ignore_list=root / "none.txt")
