"""One labelled face, as every data set's reader gives it, and what a folder held as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from agewise.types import Box, FloatArray, Gender


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled face.

    Args:
        path: the picture, relative to the data set's root.
        age_years: the label, or None where the data set gives a class or nothing.
        gender: the label, or None where unknown.
        group: the group or race label of the data set, in its own words, or None.
        age_range_years: (low, high), both whole years included, where the label is a class of ages.
        apparent_age_years: the mean of people's guesses, where there are such.
        apparent_std_years: their standard deviation.
        subject: who it is, by the data set's own identifier, or None.
        box_xyxy: the face in pixels of the picture, where the data set says so.
        landmarks_xy: five points (5, 2) in the order of `agewise.types`, where the data set says so.
        split: the official split or fold, in the data set's own words ("train", "fold 0"), or None.
        dropped: why this record is of no use, or None. Readers name such records instead of losing them.
    """

    path: str
    age_years: float | None
    gender: Gender | None
    group: str | None = None
    age_range_years: tuple[float, float] | None = None
    apparent_age_years: float | None = None
    apparent_std_years: float | None = None
    subject: str | None = None
    box_xyxy: Box | None = None
    landmarks_xy: FloatArray | None = None
    split: str | None = None
    dropped: str | None = None
