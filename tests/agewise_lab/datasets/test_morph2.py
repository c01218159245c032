"""MORPH by its table and by its file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE, UNREADABLE_NAME
from agewise_lab.datasets.morph2 import parse_name, read_records

HEAD = "id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo"
Touch = Callable[..., None]
Write = Callable[..., None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("009055_1M54.JPG", ("9055", Gender.MALE, 54.0)),
        ("000341_02f17.jpg", ("341", Gender.FEMALE, 17.0)),
        ("009055_1X54.JPG", None),
        ("M54.JPG", None),
        ("009055_1M.JPG", None),
    ],
)
def test_names(name: str, expected: tuple[str, Gender, float] | None) -> None:
    assert parse_name(name) == expected


def test_the_table(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, *(f"Album2/{name}.JPG" for name in ("009055_1M54", "009055_2M55", "000341_1F17", "7_1M1")))
    write(
        tmp_path / "morph_2008_nonCommercial.csv",
        HEAD,
        "009055,1,07/05/1949,01/14/2004,W,M,NULL,54,,NULL,Album2/009055_1M54.JPG",
        "009055,2,07/05/1949,01/14/2005,B,F,NULL,55,,NULL,Album2\\009055_2M55.JPG",
        "341,1,01/01/1987,01/14/2004,A,F,NULL,17,,NULL,Album2/000341_1F17.JPG",
        "341,1,01/01/1987,01/14/2004,A,F,NULL,17,,NULL,Album2/000341_1F17.JPG",
        "7,1,01/01/2019,01/14/2004,X,,NULL,-5,,NULL,Album2/7_1M1.JPG",
        "7,1,,,H,M,NULL,150,,NULL,Album2/7_1M1.JPG",
        "7,1,,,H,M,NULL,,,NULL,Album2/7_1M1.JPG",
        "8,1,,,O,M,NULL,20,,NULL,Album2/8_1M20.JPG",
        end="\r\n",
    )
    listing = read_records(tmp_path)
    assert [record.dropped for record in listing.records] == [
        *(None, None, None, LISTED_TWICE, IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, NO_AGE, NO_PICTURE),
    ]
    assert [(r.subject, r.gender, r.group, r.age_years) for r in listing.usable] == [
        ("9055", Gender.MALE, "White", 54),
        ("9055", Gender.FEMALE, "Black", 55),
        ("341", Gender.FEMALE, "Asian", 17),
    ]
    assert (listing.records[4].group, listing.records[4].gender) == ("X", None)
    assert listing.notes == (
        "2 people have several genders in the table; each row keeps its own",
        "2 people have several groups in the table; each row keeps its own",
    )


def test_the_pictures_alone(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "Album2/009055_1M54.JPG", "Album2/tattoo.jpg")
    write(tmp_path / "other.csv", "a,b", "1,2")
    listing = read_records(tmp_path)
    assert [(r.path, r.age_years, r.gender, r.subject, r.dropped) for r in listing.records] == [
        ("Album2/009055_1M54.JPG", 54, Gender.MALE, "9055", None),
        ("Album2/tattoo.jpg", None, None, None, UNREADABLE_NAME),
    ]
