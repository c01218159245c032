"""Any folder or table: columns by name, labels in paths, and what is wrong said so that it can be mended."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agewise.types import Gender
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE, LISTED_TWICE, NO_AGE, NO_PICTURE, OUTSIDE, UNREADABLE_NAME
from agewise_lab.datasets.base import LayoutError
from agewise_lab.datasets.own import BAD_RANGE, UNKNOWN_GENDER, compile_pattern, parse_columns, read_records

FEMALE, MALE = Gender.FEMALE, Gender.MALE
Touch = Callable[..., None]
Write = Callable[..., None]

# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{age}/{any}", "26/a.jpg", {"age": "26"}),
        ("{age}/{any}", "4.5/deep/er/a.jpg", {"age": "4.5"}),
        ("{age}/{any}", "x/26/a.jpg", None),
        ("{any}/{age}/{any}", "x/26/a.jpg", {"age": "26"}),
        ("{age}_{gender}_{any}", "26_f_0001.jpg", {"age": "26", "gender": "f"}),
        ("{age}_{gender}_{any}.jpg", "26_f_0001.png", None),
        ("{gender}/{age}/{any}", "female/26/a.jpg", {"age": "26", "gender": "female"}),
        ("{split}/{subject}-{age}y", "train/Anna Lee-26y.webp", {"age": "26", "split": "train", "subject": "Anna Lee"}),
        ("{subject}+{age}.jpg", "a+b+7.jpg", {"age": "7", "subject": "a+b"}),
        ("{age}", "26.jpg", {"age": "26"}),
    ],
)
def test_patterns(pattern: str, path: str, expected: dict[str, str] | None) -> None:
    match = compile_pattern(pattern).fullmatch(path)
    assert (None if match is None else match.groupdict()) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{gender}/{any}", "has no {age}; expected something like {age}/{any}"),
        ("{age}/{age}", "{age} stands there twice; use {any} for what does not matter"),
        ("{ages}/{any}", "unknown place in the pattern 'ages': did you mean 'age'? Known: age, gender, subject"),
    ],
)
def test_patterns_that_are_wrong(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compile_pattern(pattern)


def test_subfolders_as_labels(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "26/ä b.jpg", "4.5/人.png", "150/c.jpg", "cover.jpg", "26/notes.txt")
    (tmp_path / "26/dead.jpg").symlink_to(tmp_path / "gone")
    assert [(r.path, r.age_years, r.dropped) for r in read_records(tmp_path).records] == [
        ("150/c.jpg", 150, IMPOSSIBLE_AGE),
        ("26/dead.jpg", 26, NO_PICTURE),
        ("26/ä b.jpg", 26, None),
        ("4.5/人.png", 4.5, None),
        ("cover.jpg", None, UNREADABLE_NAME),
    ]


def test_gender_by_other_words(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "26_1_a.jpg", "27_0_a.jpg", "28_f_a.jpg", "29_u_a.jpg", "30_2_a.jpg")
    pattern = "{age}_{gender}_{any}"
    plain = read_records(tmp_path, pattern=pattern)
    assert [r.dropped for r in plain.records] == [UNKNOWN_GENDER, UNKNOWN_GENDER, None, None, UNKNOWN_GENDER]
    told = read_records(tmp_path, pattern=pattern, female="1", male="0")
    assert [r.gender for r in told.records] == [FEMALE, MALE, FEMALE, None, None]
    assert told.records[-1].dropped == UNKNOWN_GENDER


def test_a_pattern_that_fits_nothing(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(LayoutError, match=r"no picture's path fits the pattern \{age\}_\{any\}"):
        read_records(tmp_path, pattern="{age}_{any}")


# ---------------------------------------------------------------- tables

ROWS: list[dict[str, Any]] = [
    {"file": "a.jpg", "years": 26, "sex": "F", "who": "Anna"},
    {"file": "b/ü.jpg", "years": 30.5, "sex": "m", "who": ""},
    {"file": "a.jpg", "years": 26, "sex": "F", "who": "Anna"},
    {"file": "c.jpg", "years": -5, "sex": "m", "who": ""},
    {"file": "c.jpg", "years": 150, "sex": "m", "who": ""},
    {"file": "c.jpg", "years": None, "sex": "m", "who": ""},
    {"file": "c.jpg", "years": 4, "sex": "x", "who": ""},
    {"file": "c.jpg", "years": 4, "sex": None, "who": None},
    {"file": "gone.jpg", "years": 4, "sex": "m", "who": ""},
    {"file": "../a.jpg", "years": 4, "sex": "m", "who": ""},
]
REASONS = [None, None, LISTED_TWICE, IMPOSSIBLE_AGE, IMPOSSIBLE_AGE, NO_AGE, UNKNOWN_GENDER, None, NO_PICTURE, OUTSIDE]


def _write_table(path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(ROWS)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", encoding="utf-8-sig")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_a_table_with_the_users_columns(tmp_path: Path, touch: Touch, name: str) -> None:
    touch(tmp_path, "a.jpg", "b/ü.jpg", "c.jpg")
    _write_table(tmp_path / name)
    columns = "path=file,age=Years,gender=sex,subject=who"
    listing = read_records(tmp_path, table=Path(name), columns=columns)
    assert [record.dropped for record in listing.records] == REASONS
    assert [(r.path, r.age_years, r.gender, r.subject) for r in listing.usable] == [
        ("a.jpg", 26, FEMALE, "Anna"),
        ("b/ü.jpg", 30.5, MALE, None),
        ("c.jpg", 4, None, None),
    ]
    assert read_records(tmp_path, table=tmp_path / name, columns=parse_columns(columns)) == listing


def test_columns_named_like_fields_need_no_naming(tmp_path: Path, touch: Touch, write: Write) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    write(
        tmp_path / "t.csv",
        "path,age,age_low,age_high,group,split,apparent_age,apparent_std,x0,y0,x1,y1",
        "a.jpg,,4,6,,train,,,,,,",
        "b.jpg,,6,4,,train,,,,,,",
        "c.jpg,30,,,A,test,33.5,2,1,2,30,40",
        "c.jpg,50,,,A,test,,,100,2,130,40",
        "d.jpg,,,,,,40,1,,,,",
    )
    listing = read_records(tmp_path, table=Path("t.csv"))
    assert [record.dropped for record in listing.records] == [None, BAD_RANGE, None, None, None]
    first, third, fourth, last = listing.usable
    assert (first.age_years, first.age_range_years, first.split) == (None, (4, 6), "train")
    assert (third.group, third.apparent_age_years, third.apparent_std_years) == ("A", 33.5, 2)
    assert (third.box_xyxy, fourth.box_xyxy) == ((1, 2, 30, 40), (100, 2, 130, 40))
    assert (last.age_years, last.apparent_age_years) == (None, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": Path("t.csv"), "columns": "path=file"}, "no column file; its columns are name, years"),
        ({"table": Path("t.csv"), "columns": "path=name"}, "say which columns hold the path and the age"),
        ({"table": Path("t.csv")}, "say which columns hold the path and the age"),
        ({"table": Path("t.csv"), "columns": "paht=name"}, "unknown field 'paht': did you mean 'path'? Known: path"),
        ({"table": Path("t.csv"), "columns": "name"}, "columns must read path=COLUMN,age=COLUMN,…, got 'name'"),
        ({"table": Path("t.csv"), "pattern": "{age}"}, "a table and a pattern: give one of them"),
        ({"columns": "path=name"}, "columns belong to a table: name it too (table=FILE)"),
        ({"female": "1"}, "give the words for both, female and male, or for neither"),
        ({"female": "x", "male": "X "}, "female and male are the same word, 'x'"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, write: Write, options: dict[str, Any], message: str) -> None:
    write(tmp_path / "t.csv", "name,years", "a.jpg,3")
    with pytest.raises(ValueError, match=re.escape(message)):
        read_records(tmp_path, **options)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no table at none\.csv, neither from here nor in "):
        read_records(tmp_path, table=Path("none.csv"))
