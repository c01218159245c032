"""What IMDB and WIKI share: the MATLAB file, the dates, and the cleaning that all who train on them use.

The `.mat` file holds one struct with fields of one value a picture: `dob` (MATLAB serial date number),
`photo_taken` (a year), `full_path`, `gender` (0 female, 1 male, NaN unknown), `name`, `face_location`
(1-based, in the whole picture), `face_score` (-inf where no face was found), `second_face_score` (NaN where
there is no second face), in IMDB also `celeb_names` and `celeb_id`. Format as the owners' page states it
(https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/).

Age = photo_taken − year of birth, less one if born in July or later: photos are taken mid-year on average.
Cleaning, in this order: face score, second face, age 0 to 100, gender.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agewise._files import shown
from agewise.types import Box, Gender
from agewise_lab.datasets._collect import Collector
from agewise_lab.datasets._folders import require_folder, wrong_layout
from agewise_lab.datasets._matlab import load_struct, texts
from agewise_lab.datasets.base import Listing

NO_FACE = "no face was found"
LOW_SCORE = "a face score below the least"
SECOND_FACE = "a second face"
NO_DATE = "no date of birth or year of the photo"
BEFORE_BIRTH = "taken before the birth"
TOO_OLD = "older than 100"
IN_THE_FUTURE = "taken after the data set was made"
NO_GENDER = "no gender"
_NEEDED = ("dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score")
_EPOCH = 719529
"""MATLAB's day number of 1970-01-01."""
_LAST_YEAR = 2020
"""The set is of 2015, with stills of films announced for later years; what is later still is no year of a photo."""

FloatRow = npt.NDArray[np.float64]


def birth_year_and_month(datenum: FloatRow) -> tuple[FloatRow, FloatRow]:
    """(years, months 1 to 12) of MATLAB's serial dates; NaN where there is no such date.

    >>> years, months = birth_year_and_month(np.array([693726.0, np.nan, 719529.0]))
    >>> years.tolist(), months.tolist()
    ([1899.0, nan, 1970.0], [5.0, nan, 1.0])
    """
    good = np.isfinite(datenum) & (datenum >= 1) & (datenum < 3_652_425)
    days = np.where(good, np.floor(datenum), _EPOCH).astype(np.int64) - _EPOCH
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return np.where(good, 1970 + months // 12, np.nan), np.where(good, months % 12 + 1, np.nan)


def ages(datenum: FloatRow, photo_taken: FloatRow) -> FloatRow:
    """Ages in whole years; NaN where a date is missing.

    >>> ages(np.array([719529.0, 719529.0 + 200]), np.array([2000.0, 2000.0])).tolist()  # January, July 1970
    [30.0, 29.0]
    """
    years, months = birth_year_and_month(datenum)
    return photo_taken - years - (months >= 7)


@dataclass(frozen=True)
class _Rows:
    """The columns of the file, (n,) each."""

    path: list[str]
    subject: list[str | None]
    age: FloatRow
    taken: FloatRow
    gender: FloatRow
    score: FloatRow
    second: FloatRow
    box: FloatRow | None


def _numbers(struct: Any, field: str) -> FloatRow:
    return np.asarray(struct[field], dtype=np.float64).ravel()


def _load(path: Path, variable: str, *, whole: bool) -> _Rows:
    struct = load_struct(path, variable)
    fields = struct.dtype.names
    missing = [field for field in _NEEDED if field not in fields]
    if missing:
        raise ValueError(
            f"{shown(path)}: expected the fields {', '.join(_NEEDED)}, found {', '.join(fields) or 'none'}; "
            f"missing: {', '.join(missing)}"
        )
    taken = _numbers(struct, "photo_taken")
    paths = texts(struct["full_path"])
    subject: list[str | None] = [None] * len(paths)
    if "celeb_id" in fields:
        subject = [None if math.isnan(i) else str(int(i)) for i in _numbers(struct, "celeb_id")]
    elif "name" in fields:
        subject = [text or None for text in texts(struct["name"])]
    boxes = None
    if whole and "face_location" in fields:
        cells = np.asarray(struct["face_location"]).ravel()
        boxes = np.array([cell.ravel() if cell.size == 4 else [np.nan] * 4 for cell in cells], dtype=np.float64)
    rows = _Rows(
        paths,
        subject,
        ages(_numbers(struct, "dob"), taken),
        taken,
        _numbers(struct, "gender"),
        _numbers(struct, "face_score"),
        _numbers(struct, "second_face_score"),
        boxes,
    )
    lengths = {len(paths), len(subject), *(len(c) for c in (rows.age, rows.gender, rows.score, rows.second))}
    if len(lengths) != 1:
        raise ValueError(f"{shown(path)}: the fields of {variable!r} differ in length: {sorted(lengths)}")
    return rows


def _why_dropped(rows: _Rows, i: int, min_score: float) -> str | None:
    """The first rule of the cleaning that a row breaks, or None."""
    score, second, age = rows.score[i], rows.second[i], rows.age[i]
    if score == -math.inf:
        return NO_FACE
    if not score >= min_score:
        return LOW_SCORE
    if second > 0:  # NaN is not
        return SECOND_FACE
    if math.isnan(age):
        return NO_DATE
    if rows.taken[i] > _LAST_YEAR:
        return IN_THE_FUTURE
    if age < 0:
        return BEFORE_BIRTH
    if age > 100:
        return TOO_OLD
    return NO_GENDER if math.isnan(rows.gender[i]) else None


def _box(rows: _Rows, i: int) -> Box | None:
    """MATLAB counts from 1 and includes the last pixel."""
    if rows.box is None or not np.isfinite(rows.box[i]).all():
        return None
    x0, y0, x1, y1 = map(float, rows.box[i])
    return (x0 - 1, y0 - 1, x1, y1) if x0 - 1 < x1 and y0 - 1 < y1 else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def read(title: str, layout: str, root: Path, variable: str, *, min_score: float, whole: bool) -> Listing:
    """All rows of `root/<variable>.mat`.

    Args:
        title: the data set's name, for messages.
        layout: its expected layout.
        root: the folder that holds the `.mat` file.
        variable: "imdb" or "wiki": the file and the struct in it.
        min_score: the least face score of a record of use.
        whole: whether the folder holds the whole pictures: then records have boxes.

    Raises:
        LayoutError: the folder has no such file.
        ValueError: the file is no MATLAB file with the fields of this module's docstring.
    """
    require_folder(title, root)
    path = root / f"{variable}.mat"
    if not path.is_file():
        missing = f"{path.name} is missing"
        raise wrong_layout(title, root, layout, missing, lambda folder: (folder / path.name).is_file())
    rows = _load(path, variable, whole=whole)
    collector = Collector(root)
    for i, picture in enumerate(rows.path):
        gender = {0.0: Gender.FEMALE, 1.0: Gender.MALE}.get(float(rows.gender[i]))
        collector.add(
            picture,
            _finite(rows.age[i]),
            gender,
            dropped=_why_dropped(rows, i, min_score),
            subject=rows.subject[i],
            box_xyxy=_box(rows, i),
            face_score=_finite(rows.score[i]),
            second_face_score=_finite(rows.second[i]),
        )
    return collector.listing()
