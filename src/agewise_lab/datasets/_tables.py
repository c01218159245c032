"""Tables as people make them: BOMs, CRLF, spaces, other encodings, short rows, and columns under other names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from agewise._files import shown
from agewise.types import Box, Gender

_NOTHING = frozenset({"", "none", "nan", "na", "n/a", "null", "unknown"})
FEMALE = frozenset({"f", "female"})
MALE = frozenset({"m", "male"})


def read_text(path: Path) -> str:
    """A text file in UTF-8 (with a BOM or without), UTF-16 with a BOM, or else Latin-1."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_lines(path: Path) -> list[str]:
    """The lines of a list file, without spaces around them; empty ones too, for the place of a line may matter."""
    lines = [line.strip() for line in read_text(path).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def header(path: Path, delimiter: str = ",") -> list[str]:
    """The names of a table's columns, in lower case, without spaces around them; empty for an empty file."""
    first = next(csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter), [])
    return [name.strip().lower() for name in first]


def read_rows(path: Path, needed: Sequence[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """The rows of a table with a header: text by the column's name in lower case, "" where a row is too short.

    Empty lines are left out, and so are fields beyond the last column.

    Raises:
        ValueError: a needed column is missing, or the file is no table.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in needed if name not in names]
        if missing:
            raise ValueError(
                f"{shown(path)}: expected the columns {', '.join(needed)}, found {', '.join(names) or 'none'}; "
                f"missing: {', '.join(missing)}"
            )
        for row in reader:
            if any(field.strip() for field in row):
                padded = row + [""] * (len(names) - len(row))
                yield {name: field.strip() for name, field in zip(names, padded, strict=False)}
    except csv.Error as error:
        raise ValueError(f"{shown(path)}, line {reader.line_num}: no table: {error}") from error


def number(text: str | None) -> float | None:
    """A finite number, or None.

    >>> number("26"), number(" 26.5 "), number("None"), number("inf")
    (26.0, 26.5, None, None)
    """
    if text is None or text.strip().lower() in _NOTHING:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def gender(text: str | None) -> Gender | None:
    """A gender by its word or first letter, or None. Numbers are no gender: their coding differs between data sets.

    >>> gender("F"), gender("Male"), gender("u"), gender("1")
    (<Gender.FEMALE: 'female'>, <Gender.MALE: 'male'>, None, None)
    """
    word = (text or "").strip().lower()
    if word in FEMALE:
        return Gender.FEMALE
    return Gender.MALE if word in MALE else None


def box(x0: str | None, y0: str | None, x1: str | None, y1: str | None) -> Box | None:
    """A box with an area, or None."""
    a, b, c, d = number(x0), number(y0), number(x1), number(y1)
    if a is None or b is None or c is None or d is None or not (a < c and b < d):
        return None
    return a, b, c, d
