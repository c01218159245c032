"""The `.mat` database of yu4u/age-gender-estimation.

Its `create_db.py` writes, by scipy: `image` uint8 BGR (n, side, side, 3), `gender` and `age` (n,), `db` (the
set's name), `img_size`, `min_score`. Gender is the number of the data set: for "imdb" and "wiki" 1 is male, for
"utk" (its script for UTKFace) 1 is female; for any other name the caller must say. MATLAB's format of that age
holds 2 GiB a variable: 174,762 crops of 64 pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agewise._files import atomic_write, shown
from agewise_lab.datasets._matlab import load_mat
from agewise_lab.datasets.formats.crops import GenderCode, LabelledCrops, chosen, encoded, from_arrays

NAME = "yu4u-mat"
CODES = {"imdb": GenderCode.MALE_IS_1, "wiki": GenderCode.MALE_IS_1, "utk": GenderCode.FEMALE_IS_1}
_NEEDED = ("image", "gender", "age")
_MOST_BYTES = 2**31 - 1


def read(path: Path, code: GenderCode | None = None) -> LabelledCrops:
    """The crops of a file.

    Args:
        path: the file.
        code: what the numbers for gender stand for; by default what the file's `db` implies.

    Raises:
        ValueError: no such file as this module describes, or a `db` whose coding is not known and not given.
        OSError: the file cannot be opened.
    """
    content = load_mat(path)
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        found = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise ValueError(f"{shown(path)}: expected {', '.join(_NEEDED)}, found {found}; missing: {', '.join(missing)}")
    source = _scalar(content.get("db"), "")
    if code is None and str(source) not in CODES:
        raise ValueError(
            f"{shown(path)}: its db is {source!r}, so it is not known whether 1 is male or female: "
            f"say so (gender code {', '.join(GenderCode)})"
        )
    score = _scalar(content.get("min_score"), None)
    return from_arrays(
        path,
        content["image"],
        content["age"],
        content["gender"],
        code or CODES[str(source)],
        source=str(source),
        min_score=None if score is None else float(score),
    )


def _scalar(value: Any, default: Any) -> Any:
    flat = np.asarray([] if value is None else value).ravel()
    return flat[0].item() if len(flat) else default


def write(
    path: Path, crops: LabelledCrops, *, db: str, code: GenderCode = GenderCode.MALE_IS_1, min_score: float = 1.0
) -> int:
    """Write what has an age and a gender; returns how many crops that is.

    Args:
        path: the file.
        crops: what to write.
        db: the data set's name.
        code: what the numbers for gender stand for; the system's networks take 1 for male.
        min_score: the least face score that the crops were chosen by; the file has to have one.

    Raises:
        ValueError: nothing to write, more than the format holds, or a coding that is not what `db` implies.
        OutputError: the file cannot be written.
    """
    from scipy.io import savemat

    if CODES.get(db, code) is not code:
        raise ValueError(
            f"a file of db {db!r} is read as {CODES[db]}, not as {code}: choose another db, or this coding"
        )
    places, records = chosen(crops)
    size = len(places) * crops.side**2 * 3
    if size > _MOST_BYTES:
        most = _MOST_BYTES // (crops.side**2 * 3)
        raise ValueError(
            f"{len(places):,} crops of {crops.side} pixels are more than a .mat file holds ({most:,}): "
            "choose a smaller side, or the format ssrnet-npz"
        )
    ages, genders = encoded(records, code)
    content = {
        "image": crops.images_rgb[places][..., ::-1],
        "gender": genders,
        "age": ages,
        "db": db,
        "img_size": crops.side,
        "min_score": min_score if crops.min_score is None else crops.min_score,
    }
    with atomic_write(path) as file:
        savemat(file, content)
    return len(places)
