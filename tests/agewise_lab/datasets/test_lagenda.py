"""A row is a person: several in a photo, most without labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE
from agewise_lab.datasets.lagenda import NO_FACE_BOX, read_records

Touch = Callable[..., None]
Write = Callable[..., None]
HEAD = "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0,person_y0,person_x1,person_y1"


def test_rows_good_and_bad(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "lag_benchmark/a.jpg", "lag_benchmark/b.jpg.jpg")
    write(
        tmp_path / "lagenda_annotation.csv",
        HEAD,
        "lag_benchmark/a.jpg,31.4,F,10,20,60,80,0,10,100,300",
        "lag_benchmark/a.jpg,8,M,110,20,160,80,100,10,200,300",
        "lag_benchmark/a.jpg,8,M,110,20,160,80,100,10,200,300",
        "lag_benchmark/a.jpg,-1,-1,210,20,260,80,-1,-1,-1,-1",
        "lag_benchmark/a.jpg,-5,M,310,20,360,80,-1,-1,-1,-1",
        "lag_benchmark/a.jpg,150,M,410,20,460,80,-1,-1,-1,-1",
        "lag_benchmark/b.jpg.jpg,60,-1,-1,-1,-1,-1,5,5,50,50",
        "lag_benchmark/gone.jpg,60,F,1,2,3,4,5,6,7,8",
        end="\r\n",
    )
    listing = read_records(tmp_path)
    assert [record.dropped for record in listing.records] == [
        *(None, None, LISTED_TWICE, NO_AGE, IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, None, NO_PICTURE),
    ]
    assert [(r.age_years, r.gender, r.box_xyxy) for r in listing.usable] == [
        (31.4, Gender.FEMALE, (10, 20, 60, 80)),
        (8, Gender.MALE, (110, 20, 160, 80)),
        (60, None, None),
    ]
    assert read_records(tmp_path, need_face=True).records[6].dropped == NO_FACE_BOX
