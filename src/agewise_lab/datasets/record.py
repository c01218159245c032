"""One labelled face, as every data set's reader gives it. What a folder held as a whole is `base.Listing`."""

from __future__ import annotations

from dataclasses import dataclass

from agewise.types import Box, FloatArray, Gender


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled face.

    A record that is of no use (`dropped` is not None) may lack anything, and its path may lead nowhere. A
    record of use has a picture that was there when the folder was read, and a path below the root.

    Args:
        path: the picture, relative to the data set's root, with "/" between its parts.
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
        apparent_votes_years: every single guess, where the data set has them (APPA-REAL).
        face_score: the data set's own detector score, on that detector's scale (IMDB, WIKI).
        second_face_score: that of the second best face of the picture, where there is one (IMDB, WIKI).
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
    apparent_votes_years: tuple[float, ...] = ()
    face_score: float | None = None
    second_face_score: float | None = None
