"""The protocol `own`: tables and folders of whoever has labelled pictures, and what is said of broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.evaluation.protocols import find_protocol, make_plan, read
from agewise_lab.evaluation.protocols.own import folder_of

OWN = find_protocol("own")


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_table(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "sub/b.png", "c.jpg")
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,age,age_low,age_high,gender,group,subject,split,apparent_age,apparent_age_std\n"
        "a.jpg,17.5,,,Female,x,p1,test,18,2\nsub/b.png,,20,29,m,,,train,,\nc.jpg,nan,,,u,,,,,\n"
    )
    records, dropped = read(OWN, tmp_path)
    assert read(OWN, table)[0] == records
    assert (folder_of(table), folder_of(tmp_path)) == (tmp_path, tmp_path)
    assert dropped == {}
    first, second, third = records
    assert (first.age_years, first.gender, first.group, first.subject) == (17.5, Gender.FEMALE, "x", "p1")
    assert (first.apparent_age_years, first.apparent_std_years) == (18, 2)
    assert (second.age_range_years, second.gender, second.age_years) == ((20, 29), Gender.MALE, None)
    assert (third.age_years, third.gender) == (None, None)
    assert [record.path for record in make_plan(OWN, records, "test").records] == ["a.jpg"]
    assert len(make_plan(OWN, records).records) == 3


def test_folders_and_names_that_state_ages(tmp_path: Path) -> None:
    _touch(tmp_path, "17/a.jpg", "3.5/b.png", "20_x.jpg", "21.jpg", "130_x.jpg", "notes.txt", "young/c.jpg")
    records, dropped = read(OWN, tmp_path)
    assert {record.path: record.age_years for record in records} == {"17/a.jpg": 17, "3.5/b.png": 3.5, "20_x.jpg": 20}
    assert dropped == {"the name states no age": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,age\na.jpg,3\n", "expected the columns path and age .*found age, file"),
        ("path\na.jpg\n", "expected the columns path and age"),
        ("path,age\na.jpg,old\n", "row 2: age must be a number from 0 to 120, got 'old'"),
        ("path,age\na.jpg,-1\n", "row 2: age must be a number from 0 to 120, got '-1'"),
        ("path,age\na.jpg,3\na.jpg,4\n", "a.jpg is there more than once"),
        ("path,age\nb.jpg,3\n", "1 pictures are not in .*, the first is b.jpg"),
        ("path,age,gender\na.jpg,3,x\n", "row 2: gender must be female or male, or empty, got 'x'"),
        ("path,age\n", "a heading and no rows"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, message: str) -> None:
    _touch(tmp_path, "a.jpg")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(OWN, tmp_path)


def test_nothing_labelled(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no labelled picture"):
        read(OWN, tmp_path)
    with pytest.raises(FileNotFoundError, match="is not there"):
        read(OWN, tmp_path / "none")
