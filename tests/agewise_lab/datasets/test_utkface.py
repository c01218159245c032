"""Names are labels: every name of the real folder is read, and a folder that is not UTKFace is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets.utkface import parse_name, read_records

FEMALE, MALE = Gender.FEMALE, Gender.MALE


@pytest.mark.parametrize(
    ("name", "age", "gender", "group"),
    [
        ("26_1_2_20170116184024662.jpg.chip.jpg", 26, FEMALE, "Asian"),
        ("1_0_0_20161219140530307.jpg.chip.jpg", 1, MALE, "White"),
        ("116_1_0_20170120134744096.jpg.chip.jpg", 116, FEMALE, "White"),
        ("8_0_1_20161219140530307.jpg.chip.jpg", 8, MALE, "Black"),
        ("8_0_3_20161219140530307.jpg.chip.jpg", 8, MALE, "Indian"),
        ("8_0_4_20161219140530307.jpg.chip.jpg", 8, MALE, "other"),
        ("30_1_0_20170117090612134.jpg", 30, FEMALE, "White"),  # the edition that is not cropped
        # the four odd names of the aligned, cropped edition
        ("61_1_20170109142408075.jpg.chip.jpg", 61, FEMALE, None),  # no race
        ("61_1_20170109150557335.jpg.chip.jpg", 61, FEMALE, None),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 24, MALE, "Black"),  # a space
        ("55_0_0_20170116232725357jpg.chip.jpg", 55, MALE, "White"),  # no dot
    ],
)
def test_names(name: str, age: int, gender: Gender, group: str | None) -> None:
    record = parse_name(name)
    assert record is not None
    assert (record.path, record.age_years, record.gender, record.group) == (name, float(age), gender, group)


@pytest.mark.parametrize(
    "name",
    [
        "photo.jpg",
        "26_2_2_20170116184024662.jpg.chip.jpg",  # no such gender
        "26_1_5_20170116184024662.jpg.chip.jpg",  # no such race
        "26__2_20170116184024662.jpg.chip.jpg",
        "x26_1_2_20170116184024662.jpg.chip.jpg",
        "26_1_2_20170116184024662.jpg.chip.jpg.txt",
        "26_1_2_.jpg.chip.jpg",
        "._26_1_2_20170116184024662.jpg.chip.jpg",  # what macOS leaves in archives
    ],
)
def test_names_that_say_nothing(name: str) -> None:
    assert parse_name(name) is None


def test_a_folder_is_read_in_the_order_of_names_and_nothing_is_lost_in_silence(tmp_path: Path) -> None:
    for name in (
        "9_1_0_20170116184024662.jpg.chip.jpg",
        "10_0_0_20170116184024662.jpg.chip.jpg",
        "odd.jpg",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    listing = read_records(tmp_path)
    assert [record.age_years for record in listing.records] == [10, 9]
    assert listing.dropped == ("odd.jpg",)


@pytest.mark.parametrize("files", [[], ["photo.jpg"], ["26_1_2_20170116184024662.png"]])
def test_another_folder_is_refused(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"AGE_GENDER_RACE_TIME\.jpg\.chip\.jpg.*expected the folder"):
        read_records(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder; expected the folder of"):
        read_records(tmp_path / "none")


def test_the_real_folder_is_read_whole(utkface: Path) -> None:
    listing = read_records(utkface)
    assert len(listing.records) == 19_031
    assert listing.dropped == ()
    assert {record.group for record in listing.records} == {"White", "Black", "Asian", "Indian", "other", None}
    assert sum(record.group is None for record in listing.records) == 2
    assert {record.gender for record in listing.records} == {FEMALE, MALE}
    assert (min(r.age_years for r in listing.records), max(r.age_years for r in listing.records)) == (1, 116)
