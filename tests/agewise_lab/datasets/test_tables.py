"""Tables as people make them are read; what is no table is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agewise.types import Gender
from agewise_lab.datasets import _tables

ROWS = [{"name": "é 人.jpg", "age": "26"}, {"name": "b.jpg", "age": ""}]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_ends_of_lines(tmp_path: Path, encoding: str, bom: bytes, end: str) -> None:
    path = tmp_path / "t.csv"
    text = end.join([" Name , AGE", '"é 人.jpg", 26 ', "", "b.jpg", ""])
    path.write_bytes(bom + text.encode(encoding))
    assert list(_tables.read_rows(path, ["name", "age"])) == ROWS
    assert _tables.header(path) == ["name", "age"]


def test_what_is_no_utf8_is_latin_1(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("name\nRenée.jpg\n".encode("latin-1"))
    assert list(_tables.read_rows(tmp_path / "t.csv", ["name"])) == [{"name": "Renée.jpg"}]


def test_quotes_commas_and_too_many_fields(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('name,age\n"a, b.jpg",3,4,5\n')
    assert list(_tables.read_rows(tmp_path / "t.csv", ["name"])) == [{"name": "a, b.jpg", "age": "3"}]


@pytest.mark.parametrize(("content", "found"), [("file,years\n", "file, years"), ("", "none")])
def test_missing_columns_are_named_beside_those_that_are_there(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    message = f"{path}: expected the columns name, age, found {found}; missing: name, age"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        list(_tables.read_rows(path, ["name", "age"]))


def test_what_is_no_table_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name\n" + "x" * 200_000 + "\n")
    with pytest.raises(ValueError, match=r"t\.csv, line 2: no table: field larger than field limit"):
        list(_tables.read_rows(path, ["name"]))


def test_lines_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"\xef\xbb\xbfa \r\n\r\n b\r\n\r\n")
    assert _tables.read_lines(tmp_path / "l.txt") == ["a", "", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("26", 26.0),
        (" 26.5 ", 26.5),
        ("-5", -5.0),
        ("", None),
        ("None", None),
        ("NaN", None),
        ("inf", None),
        ("x", None),
    ],
)
def test_numbers(text: str, expected: float | None) -> None:
    assert _tables.number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("F", Gender.FEMALE), ("Female", Gender.FEMALE), ("m", Gender.MALE), (" male ", Gender.MALE)]
    + [(word, None) for word in ("u", "", "0", "1", "None")],
)
def test_genders(text: str, expected: Gender | None) -> None:
    assert _tables.gender(text) is expected


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        (("1", "2", "3.5", "4"), (1.0, 2.0, 3.5, 4.0)),
        (("-1", "-1", "-1", "-1"), None),
        (("3", "2", "1", "4"), None),
        (("1", "2", "", "4"), None),
    ],
)
def test_boxes(corners: tuple[str, str, str, str], expected: tuple[float, ...] | None) -> None:
    assert _tables.box(*corners) == expected
