"""Names are labels: every name of the real folder is read, and a folder that is not UTKFace is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, NO_PICTURE, UNREADABLE_NAME
from agewise_lab.datasets.utkface import group_codes, parse_name, read_records

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
        "121_0_0_20170116184024662.jpg.chip.jpg",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    (tmp_path / "11_0_0_20170116184024662.jpg.chip.jpg").symlink_to(tmp_path / "gone.jpg")
    listing = read_records(tmp_path)
    assert [(record.age_years, record.dropped) for record in listing.records] == [
        (10, None),
        (11, NO_PICTURE),
        (121, IMPOSSIBLE_AGE),
        (9, None),
        (None, UNREADABLE_NAME),
    ]
    assert listing.records[-1].path == "odd.jpg"
    assert [record.age_years for record in listing.usable] == [10, 9]


def test_names_without_a_race_are_kept_and_reported(tmp_path: Path) -> None:
    for name in ("61_1_20170109142408075.jpg.chip.jpg", "26_1_2_20170116184024662.jpg.chip.jpg"):
        (tmp_path / name).touch()
    listing = read_records(tmp_path)
    assert [record.group for record in listing.usable] == ["Asian", None]
    assert listing.notes == (
        "1 names lack the race; they are kept without a group: 61_1_20170109142408075.jpg.chip.jpg",
    )
    assert group_codes(listing.usable).tolist() == [2, -1]


def test_whole_photos_lie_in_three_parts(tmp_path: Path) -> None:
    for part, name in (("part1", "26_1_2_20170116184024662.jpg"), ("part3", "9_0_0_20170116184024662.jpg")):
        (tmp_path / part).mkdir()
        (tmp_path / part / name).touch()
    listing = read_records(tmp_path)
    assert [(record.path, record.age_years) for record in listing.usable] == [
        ("part1/26_1_2_20170116184024662.jpg", 26),
        ("part3/9_0_0_20170116184024662.jpg", 9),
    ]


@pytest.mark.parametrize("files", [[], ["photo.jpg"], ["26_1_2_20170116184024662.png"]])
def test_another_folder_is_refused(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"no picture is named AGE_GENDER_RACE_TIME\.jpg\.chip\.jpg"):
        read_records(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder; expected the folder that"):
        read_records(tmp_path / "none")


def test_the_real_folder_is_read_whole(utkface: Path) -> None:
    listing = read_records(utkface)
    assert len(listing.records) == 19_031
    assert listing.dropped == ()
    assert len(listing.notes) == 1
    assert listing.notes[0].startswith("2 names lack the race")
    assert {record.group for record in listing.records} == {"White", "Black", "Asian", "Indian", "other", None}
    assert sum(record.group is None for record in listing.records) == 2
    assert {record.gender for record in listing.records} == {FEMALE, MALE}
    assert (min(r.age_years for r in listing.records), max(r.age_years for r in listing.records)) == (1, 116)
