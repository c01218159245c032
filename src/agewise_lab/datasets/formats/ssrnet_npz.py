"""The `.npz` file of SSR-Net.

Its scripts write, by numpy: `image` BGR (n, side, side, 3), uint8 for IMDB and WIKI and float64 for MORPH2;
`gender` and `age` (n,); `img_size`. For MegaAge-Asian there is no `gender`. Nothing says which data set it is, so
what 1 stands for must be said: male for IMDB and WIKI, female for MORPH2.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agewise._files import atomic_write, shown
from agewise_lab.datasets.formats.crops import GenderCode, LabelledCrops, chosen, encoded, from_arrays

NAME = "ssrnet-npz"


def read(path: Path, code: GenderCode | None = None) -> LabelledCrops:
    """The crops of a file.

    Args:
        path: the file.
        code: what the numbers for gender stand for; needed where there are such.

    Raises:
        ValueError: no such file as this module describes, or genders without `code`.
        OSError: the file cannot be opened.
    """
    found: dict[str, npt.NDArray[np.generic]] = {}
    with open(path, "rb") as opened:
        try:
            # Without pickles: an array of objects could run code.
            with np.load(opened, allow_pickle=False) as content:
                names = list(content.files)
                found = {name: content[name] for name in ("image", "age", "gender") if name in names}
        except (ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{shown(path)}: expected a file of arrays by numpy (.npz): {error}") from error
    missing = [name for name in ("image", "age") if name not in found]
    if missing:
        raise ValueError(f"{shown(path)}: expected image, age, found {', '.join(names)}; missing: {', '.join(missing)}")
    if "gender" in found and code is None:
        raise ValueError(
            f"{shown(path)}: such a file does not say whether 1 is male (IMDB, WIKI) or female (MORPH2): "
            f"say so (gender code {', '.join(GenderCode)})"
        )
    return from_arrays(path, found["image"], found["age"], found.get("gender"), code or GenderCode.MALE_IS_1)


def write(path: Path, crops: LabelledCrops, *, code: GenderCode = GenderCode.MALE_IS_1) -> int:
    """Write what has an age and a gender; returns how many crops that is.

    Args:
        path: the file.
        crops: what to write.
        code: what the numbers for gender stand for.

    Raises:
        ValueError: nothing to write.
        OutputError: the file cannot be written.
    """
    places, records = chosen(crops)
    ages, genders = encoded(records, code)
    with atomic_write(path) as file:
        np.savez(file, image=crops.images_rgb[places][..., ::-1], gender=genders, age=ages, img_size=crops.side)
    return len(places)
