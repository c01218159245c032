"""Labelled photos of one's own: a table of paths and ages, or pictures whose names begin with the age."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from agewise._files import shown
from agewise.errors import CalibrationError
from agewise.sources import list_sources
from agewise.types import Gender

_NAME = re.compile(r"(?P<age>\d{1,3})_(?:(?P<gender>[01])_)?.+")
_GENDERS = {"female": Gender.FEMALE, "f": Gender.FEMALE, "male": Gender.MALE, "m": Gender.MALE, "": None}
_MOST_YEARS = 130.0


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """One photo of one face.

    Args:
        path: of the picture.
        age_years: the true age, 0 to 130.
        gender: the label, or None where unknown.
    """

    path: str
    age_years: float
    gender: Gender | None


def read_labels(data: str | os.PathLike[str]) -> list[LabelledPhoto]:
    """The labelled photos of a table or a folder.

    Args:
        data: a CSV table with the columns `path` and `age` and, if known, `gender` ("female" or "male"), paths from
            the table's folder on; or a folder, with its subfolders, of pictures named `AGE_ANYTHING` or, as UTKFace
            has it, `AGE_GENDER_ANYTHING` with gender 0 for male and 1 for female. Pictures of other names are left
            out.

    Raises:
        CalibrationError: nothing there, a table that lacks a column, or a label that cannot be.
    """
    if os.path.isdir(data):
        found = [photo for source in list_sources([data], recursive=True).sources if (photo := _by_name(source.path))]
        if not found:
            raise CalibrationError(
                f"{shown(data)} holds no picture whose name begins with an age, such as 31_photo.jpg or 31_1_photo.jpg"
            )
        return found
    try:
        text = Path(data).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CalibrationError(f"cannot read the labels in {shown(data)}: {reason}") from error
    return _from_table(text, os.path.dirname(data), shown(data))


def _by_name(path: str) -> LabelledPhoto | None:
    match = _NAME.fullmatch(os.path.basename(path))
    if match is None or float(match["age"]) > _MOST_YEARS:
        return None
    gender = None if match["gender"] is None else Gender.FEMALE if match["gender"] == "1" else Gender.MALE
    return LabelledPhoto(path, float(match["age"]), gender)


def _from_table(text: str, folder: str, name: str) -> list[LabelledPhoto]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = {column.strip().lower(): column for column in rows.fieldnames or ()}
    missing = [column for column in ("path", "age") if column not in columns]
    if missing:
        raise CalibrationError(
            f"{name} has no column {missing[0]!r}; it needs path and age, and may have gender; "
            f"it has {', '.join(columns) or 'none'}"
        )
    found = []
    for row in rows:
        where = f"{name}, line {rows.line_num}"
        path, age = (row[columns["path"]] or "").strip(), (row[columns["age"]] or "").strip()
        label = (row[columns["gender"]] or "").strip().lower() if "gender" in columns else ""
        if label not in _GENDERS:
            raise CalibrationError(f"{where}: gender must be female, male or empty, got {label!r}")
        if not path:
            raise CalibrationError(f"{where}: no path")
        found.append(LabelledPhoto(os.path.join(folder, path), _years(age, where), _GENDERS[label]))
    if not found:
        raise CalibrationError(f"{name} has no rows below its heading")
    return found


def _years(text: str, where: str) -> float:
    try:
        years = float(text)
    except ValueError:
        years = math.nan
    if not 0 <= years <= _MOST_YEARS:
        raise CalibrationError(f"{where}: age must be years from 0 to {_MOST_YEARS:g}, got {text!r}")
    return years
