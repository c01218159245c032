"""Crops with an age and a gender each, as both systems keep them, and how their numbers for gender are meant."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agewise._files import shown
from agewise.types import Gender, UInt8Array
from agewise_lab.datasets._collect import IMPOSSIBLE_AGE
from agewise_lab.datasets.base import OLDEST_YEARS
from agewise_lab.datasets.record import Record

UNKNOWN_CODE = "its number for gender is neither 0 nor 1"


class GenderCode(enum.StrEnum):
    """What 1 stands for; 0 is the other. The data sets differ, and the files seldom say."""

    MALE_IS_1 = "male-is-1"
    """IMDB and WIKI, and so what both systems' networks for them learn."""
    FEMALE_IS_1 = "female-is-1"
    """UTKFace, and MORPH2 as SSR-Net writes it."""

    @property
    def one(self) -> Gender:
        """What 1 stands for."""
        return Gender.MALE if self is GenderCode.MALE_IS_1 else Gender.FEMALE

    def gender_of(self, number: float) -> Gender | None:
        """The gender of a number, None where it is neither 0 nor 1.

        >>> GenderCode.MALE_IS_1.gender_of(1), GenderCode.FEMALE_IS_1.gender_of(0), GenderCode.MALE_IS_1.gender_of(2)
        (<Gender.MALE: 'male'>, <Gender.MALE: 'male'>, None)
        """
        if number not in (0, 1):
            return None
        return self.one if number == 1 else next(gender for gender in Gender if gender is not self.one)

    def number_of(self, gender: Gender) -> int:
        """The number of a gender."""
        return int(gender is self.one)


@dataclass(frozen=True)
class LabelledCrops:
    """Crops of one size and their labels.

    Args:
        images_rgb: uint8 RGB (n, side, side, 3).
        records: one a crop; the paths are names made up by the reader, `STEM/000000`.
        source: the data set that the crops are of, by the file's own word, or "".
        min_score: the least face score that they were chosen by, or None where the file does not say.

    Raises:
        ValueError: arrays of other shapes or types.
    """

    images_rgb: UInt8Array
    records: tuple[Record, ...]
    source: str = ""
    min_score: float | None = None

    def __post_init__(self) -> None:
        shape = self.images_rgb.shape
        if self.images_rgb.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
            raise ValueError(f"crops must be uint8 (n, side, side, 3), got {self.images_rgb.dtype} {shape}")
        if len(self.records) != len(self.images_rgb):
            raise ValueError(f"expected a record a crop, got {len(self.records)} and {len(self.images_rgb)} crops")

    @property
    def side(self) -> int:
        """In pixels."""
        return int(self.images_rgb.shape[1])


def from_arrays(
    path: Path,
    images_bgr: npt.NDArray[np.generic],
    ages: npt.NDArray[np.generic],
    genders: npt.NDArray[np.generic] | None,
    code: GenderCode,
    *,
    source: str = "",
    min_score: float | None = None,
) -> LabelledCrops:
    """What a file's arrays hold: both systems write what OpenCV reads, so the colours are BGR.

    Args:
        path: the file, for names and messages.
        images_bgr: (n, side, side, 3), uint8, or floats of whole numbers 0 to 255 as SSR-Net has for MORPH2.
        ages: (n,) in years.
        genders: (n,) of 0 and 1, or None.
        code: what these stand for.
        source: the file's word for the data set.
        min_score: the file's word for the least face score.

    Raises:
        ValueError: arrays of other shapes, or pixels outside 0 to 255.
    """
    if images_bgr.ndim != 4 or images_bgr.shape[3] != 3:
        raise ValueError(f"{shown(path)}: expected images (n, side, side, 3), found {images_bgr.shape}")
    counts = {"image": len(images_bgr), "age": ages.size} | ({} if genders is None else {"gender": genders.size})
    if len(set(counts.values())) != 1:
        raise ValueError(f"{shown(path)}: expected as many of each, found {counts}")
    if images_bgr.dtype != np.uint8:
        if not np.issubdtype(images_bgr.dtype, np.number) or (
            images_bgr.size and not (images_bgr.min() >= 0 and images_bgr.max() <= 255)
        ):
            raise ValueError(f"{shown(path)}: expected pixels 0 to 255, found {images_bgr.dtype} beyond them")
        images_bgr = np.rint(images_bgr).astype(np.uint8)
    records = []
    for i, age in enumerate(np.asarray(ages, dtype=np.float64).ravel().tolist()):
        number = None if genders is None else float(genders.ravel()[i])
        gender = None if number is None else code.gender_of(number)
        dropped = None if 0 <= age <= OLDEST_YEARS else IMPOSSIBLE_AGE
        if dropped is None and number is not None and gender is None and not np.isnan(number):
            dropped = UNKNOWN_CODE
        records.append(Record(f"{path.stem}/{i:06d}", age, gender, dropped=dropped))
    images = np.asarray(images_bgr[..., ::-1], dtype=np.uint8)
    return LabelledCrops(images, tuple(records), source=source, min_score=min_score)


def chosen(crops: LabelledCrops) -> tuple[npt.NDArray[np.int64], list[Record]]:
    """(places, records) of what both systems can keep: of use, with an age and a gender.

    Raises:
        ValueError: nothing is left.
    """
    kept = [
        (i, record)
        for i, record in enumerate(crops.records)
        if record.dropped is None and record.age_years is not None and record.gender is not None
    ]
    if not kept:
        raise ValueError(f"none of the {len(crops.records)} crops has both an age and a gender: nothing to write")
    return np.array([i for i, _ in kept], dtype=np.int64), [record for _, record in kept]


def resized(images_rgb: Iterable[UInt8Array], count: int, side: int) -> UInt8Array:
    """Crops at another size, uint8 (count, side, side, 3): averaged where they shrink.

    Raises:
        ValueError: a side of no pixels.
    """
    if side < 1:
        raise ValueError(f"the side must be 1 pixel or more, got {side}")
    out = np.empty((count, side, side, 3), dtype=np.uint8)
    for i, image in enumerate(images_rgb):
        how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
        out[i] = image if image.shape[:2] == (side, side) else cv2.resize(image, (side, side), interpolation=how)
    return out


def encoded(records: Sequence[Record], code: GenderCode) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(ages in whole years, numbers for gender), (n,) each; every record must have both."""
    ages, genders = [], []
    for record in records:
        assert record.age_years is not None
        assert record.gender is not None
        ages.append(round(record.age_years))
        genders.append(code.number_of(record.gender))
    return np.array(ages, dtype=np.int64), np.array(genders, dtype=np.int64)
