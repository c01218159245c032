"""The sets whose labels are in file names or folders: FG-NET, AgeDB, AFAD, All-Age-Faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets import afad, agedb, all_age_faces, fgnet
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, NO_PICTURE, UNREADABLE_NAME
from agewise_lab.datasets.registry import read

FEMALE, MALE = Gender.FEMALE, Gender.MALE
Touch = Callable[..., None]
Write = Callable[..., None]


@pytest.mark.parametrize(
    ("name", "path", "age", "gender", "subject"),
    [
        ("fgnet", "images/001A02.JPG", 2, None, "001"),
        ("fgnet", "082A69b.jpg", 69, None, "082"),
        ("agedb", "0_MariaCallas_35_f.jpg", 35, FEMALE, "MariaCallas"),
        ("agedb", "16020_MorganFreeman _73_m.jpg", 73, MALE, "MorganFreeman"),
        ("agedb", "7_Jean_Paul_Sartre_101_m.JPG", 101, MALE, "Jean_Paul_Sartre"),
        ("agedb", "sub/8_Renée_4_f.jpg", 4, FEMALE, "Renée"),
        ("afad", "AFAD-Full/15/111/638660-1.jpg", 15, MALE, "638660"),
        ("afad", "40/112/99-0.jpg", 40, FEMALE, "99"),
        ("all-age-faces", "original images/00000A02.jpg", 2, FEMALE, "00000"),
        ("all-age-faces", "original images/07380A100.jpg", 100, FEMALE, "07380"),
        ("all-age-faces", "original images/07381A80.jpg", 80, MALE, "07381"),
    ],
)
def test_names(
    tmp_path: Path, touch: Touch, name: str, path: str, age: float, gender: Gender | None, subject: str
) -> None:
    touch(tmp_path, path)
    (record,) = read(name, tmp_path).records
    assert (record.path, record.age_years, record.gender, record.subject) == (path, age, gender, subject)
    assert record.dropped is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("fgnet", "001A02.JPG", "01A02.JPG"),
        ("fgnet", "001A02.JPG", "001A02ab.JPG"),
        ("fgnet", "001A02.JPG", "001B02.JPG"),
        ("agedb", "0_A_35_f.jpg", "0_A_35_x.jpg"),
        ("agedb", "0_A_35_f.jpg", "A_35_f.jpg"),
        ("afad", "15/111/1-1.jpg", "15/113/1-1.jpg"),
        ("afad", "15/111/1-1.jpg", "111/1-1.jpg"),
        ("all-age-faces", "original images/00000A02.jpg", "original images/0000A02.jpg"),
    ],
)
def test_names_that_say_nothing(tmp_path: Path, touch: Touch, name: str, good: str, bad: str) -> None:
    touch(tmp_path, good, bad)
    listing = read(name, tmp_path)
    assert {record.path: record.dropped for record in listing.records} == {good: None, bad: UNREADABLE_NAME}


@pytest.mark.parametrize(
    ("name", "path"), [("fgnet", "001A{}.JPG"), ("agedb", "0_A_{}_f.jpg"), ("afad", "{}/111/1-1.jpg")]
)
def test_impossible_ages_and_dead_links(tmp_path: Path, touch: Touch, name: str, path: str) -> None:
    touch(tmp_path, path.format("30"), path.format("150"))
    dead = tmp_path / path.format("31")
    dead.parent.mkdir(parents=True, exist_ok=True)
    dead.symlink_to(tmp_path / "gone")
    reasons = {record.age_years: record.dropped for record in read(name, tmp_path).records}
    assert reasons == {30: None, 31: NO_PICTURE, 150: IMPOSSIBLE_AGE}


def test_subjects_of_fgnet_make_the_folds_of_its_protocol(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "001A02.JPG", "001A43a.JPG", "002A03.JPG", "._001A02.JPG")
    assert [record.subject for record in fgnet.read_records(tmp_path).usable] == ["001", "001", "002"]


def test_the_spaces_of_agedb_are_no_second_person(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "1_MorganFreeman _73_m.jpg", "2_MorganFreeman_70_m.jpg")
    assert {record.subject for record in agedb.read_records(tmp_path).usable} == {"MorganFreeman"}


def test_afad_knows_both_genders_by_folder(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "15/111/1-1.jpg", "15/112/1-1.jpg")
    assert [record.gender for record in afad.read_records(tmp_path).usable] == [MALE, FEMALE]


def test_the_lists_of_all_age_faces(tmp_path: Path, touch: Touch, write: Write) -> None:
    names = ("00000A02", "07381A80", "00001A03", "00002A04")
    touch(tmp_path, *(f"original images/{name}.jpg" for name in names), "aglined faces/00000A02.jpg")
    write(tmp_path / "image sets/train.txt", "00000A02.jpg 0", "00001A03 1", "nonsense", end="\r\n")
    write(tmp_path / "image sets/val.txt", "07381A80.jpg\t1")
    records = {record.path[16:24]: record for record in all_age_faces.read_records(tmp_path).records}
    assert {name: record.split for name, record in records.items()} == {
        "00000A02": "train",
        "07381A80": "val",
        "00001A03": "train",
        "00002A04": None,
    }
    assert records["00001A03"].dropped == all_age_faces.CONTRADICTS_LIST
    (aligned,) = all_age_faces.read_records(tmp_path, aligned=True).usable
    assert (aligned.path, aligned.split) == ("aglined faces/00000A02.jpg", "train")
