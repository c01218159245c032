"""The types that every part speaks: frozen, validated on creation, numpy only.

Conventions, held everywhere: a box is (x0, y0, x1, y1) in pixels of the upright image, x to the right
and y down, x1 and y1 exclusive; it may reach beyond the image. Landmarks are five points (x, y) in the
order image-left eye, image-right eye, nose tip, image-left mouth corner, image-right mouth corner.
«Image-left» is the viewer's left. Ages are years, as floats. Gender is a label, as data sets have it:
it is not who someone is.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agewise.verdicts import Verdict, VerifyTable, judge

FloatArray: TypeAlias = npt.NDArray[np.floating]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[float, float, float, float]


class Gender(enum.StrEnum):
    """The two labels that the training data have. Compare by name; there is no 0 or 1 in this API."""

    FEMALE = "female"
    MALE = "male"


def _check_finite(name: str, *values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{name} must be finite, got {', '.join(map(str, values))}")


@dataclass(frozen=True, slots=True)
class Detection:
    """One face as a detector found it.

    Args:
        box_xyxy: (x0, y0, x1, y1) in pixels, x0 < x1 and y0 < y1; may reach beyond the image. Kept as
            a tuple of plain floats, whatever sequence of four numbers is given.
        score: the detector's own confidence; 0 to 1 where the detector gives one on that scale.
        landmarks_xy: float array (5, 2) in the order of this module's docstring, or None.
        is_crop: the box already is the crop that a network should see (detector `none`).

    Raises:
        ValueError: a box that is not four finite numbers or has no area, a score that is not finite, or
            landmarks that are not five finite points.
    """

    box_xyxy: Box
    score: float
    landmarks_xy: FloatArray | None = field(default=None, compare=False)
    is_crop: bool = False

    def __post_init__(self) -> None:
        if len(self.box_xyxy) != 4:
            raise ValueError(f"box_xyxy must be four numbers (x0, y0, x1, y1), got {self.box_xyxy}")
        x0, y0, x1, y1 = map(float, self.box_xyxy)
        _check_finite("box_xyxy", x0, y0, x1, y1)
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"box_xyxy must have x0 < x1 and y0 < y1, got {(x0, y0, x1, y1)}")
        # numpy's floats would neither go into JSON nor compare as tuples of Python's do
        object.__setattr__(self, "box_xyxy", (x0, y0, x1, y1))
        _check_finite("score", self.score)
        points = self.landmarks_xy
        if points is not None and np.shape(points) != (5, 2):
            raise ValueError(f"landmarks_xy must be five points (5, 2), got an array {np.shape(points)}")
        if points is not None and not np.isfinite(points).all():
            raise ValueError(f"landmarks_xy must be finite, got {np.asarray(points).tolist()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the picture of one face is; measured by `agewise.quality.measure`, which has the formulas.

    Args:
        face_pixels: side of the face in pixels of the picture, √(width · height) of its box; None where only the
            crop is known.
        sharpness: 0 or more: contrast of the finest details over that of the whole crop. Sharp faces have about .3
            to .6, much blurred ones under .1.
        brightness: mean grey level of the crop, 0 to 1.
        clipped: share of the crop's pixels that are black (grey level 2 and less) or white (253 and more), 0 to 1.
        yaw_degrees: turned to the side, above 0 where the nose points to the image's right; None without landmarks.
        pitch_degrees: above 0 where the face looks down; None without landmarks.
        roll_degrees: tilted, above 0 clockwise (the image-right eye is lower); None without landmarks.
        cut: share of the face's box that lies beyond the picture, 0 to 1; None where only the crop is known.
        detector_score: the detector's own confidence, on its own scale; None where only the crop is known.
    """

    face_pixels: float | None
    sharpness: float
    brightness: float
    clipped: float
    yaw_degrees: float | None
    pitch_degrees: float | None
    roll_degrees: float | None
    cut: float | None
    detector_score: float | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one crop.

    Args:
        age_years: the estimate, a float; never rounded here. What a card decodes to a median is a whole number already.
        age_std_years: the spread of the model's own age distribution, 0 or more; 0 where the model has none.
        age_interval_years: (low, high), low <= age <= high, from the card's calibration at
            `interval_level`; None where the card has no calibration.
        interval_level: the share of faces whose true age the interval is made to hold, e.g. 0.9; None
            where there is no interval.
        gender: the likelier label, or None where the model does not estimate it.
        gender_probability: probability of `gender`, 0.5 to 1, or None.
        gender_sure: whether the model stands by `gender`: its probability is one at which the card has found labels to
            be right, at faces about as old. Small children's often is not. None where the card does not tell, or
            there is no gender.
        probs_over_ages: float array (ages,), the distribution over `class_ages`, or None.
        class_ages: float array (ages,), the age that each class stands for, or None.
        answered: whether the model stands by this estimate. Where not, the estimate and its interval are still
            here for those who ask, but the interval's promise does not hold for such faces.
        reasons: why it does not, each a short sentence with the figures; empty where it does.
        quality: of the face's picture, or None where it was not measured.
        age_ranges_years: the highest-density set of the same level as the interval: (low, high) ranges, rising,
            both ends included; None where the card has no table for it.
        verify_tables: the card's counts of right and wrong verdicts, for `verify`.

    Raises:
        ValueError: anything not finite, a negative spread, an interval that does not hold the age or
            comes without its level, a probability outside 0.5 to 1 or without its label, reasons of an
            answered prediction, or none of a declined one.
    """

    age_years: float
    age_std_years: float
    age_interval_years: tuple[float, float] | None
    interval_level: float | None
    gender: Gender | None
    gender_probability: float | None
    probs_over_ages: FloatArray | None = field(default=None, compare=False, repr=False)
    class_ages: FloatArray | None = field(default=None, compare=False, repr=False)
    answered: bool = True
    reasons: tuple[str, ...] = ()
    quality: Quality | None = field(default=None, compare=False)
    age_ranges_years: tuple[tuple[float, float], ...] | None = None
    verify_tables: tuple[VerifyTable, ...] = field(default=(), compare=False, repr=False)
    gender_sure: bool | None = None

    def __post_init__(self) -> None:
        if self.answered == bool(self.reasons):
            raise ValueError(f"a prediction is declined for at least one reason, got {self.answered}, {self.reasons}")
        _check_finite("age_years and age_std_years", self.age_years, self.age_std_years)
        if self.age_std_years < 0:
            raise ValueError(f"age_std_years must be 0 or more, got {self.age_std_years}")
        if (self.age_interval_years is None) != (self.interval_level is None):
            raise ValueError(
                "age_interval_years and interval_level come together or not at all, "
                f"got {self.age_interval_years} and {self.interval_level}"
            )
        if self.age_interval_years is not None:
            low, high = self.age_interval_years
            _check_finite("age_interval_years", low, high)
            if not low <= self.age_years <= high:
                raise ValueError(f"age {self.age_years} lies outside its interval {low} to {high}")
        if self.gender is None and self.gender_probability is not None:
            raise ValueError(f"gender_probability {self.gender_probability} belongs to a gender, got None")
        if self.gender is None and self.gender_sure is not None:
            raise ValueError(f"gender_sure {self.gender_sure} belongs to a gender, got None")
        if self.gender_probability is not None and not 0.5 <= self.gender_probability <= 1.0:
            raise ValueError(
                f"gender_probability is that of the likelier label, 0.5 to 1, got {self.gender_probability}"
            )

    def verify(self, threshold: float = 18.0, challenge: float | None = None) -> Verdict:
        """Whether the face looks over an age: pass, fail or unsure, with the rates of error that the card states.

        It says how old a face looks, and is for study: do not let it decide about people.

        Args:
            threshold: years.
            challenge: years that the estimate must reach to pass; by default seven above the threshold, 25 for 18.

        Returns:
            pass: the estimate is `challenge` or more; fail: below `threshold`; unsure: between, or declined.
            The rates are None where the card states none for this threshold and challenge.

        Raises:
            ValueError: not 0 < threshold <= challenge.
        """
        return judge(self.age_years, self.reasons, self.verify_tables, threshold, challenge)


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a picture: where it is, and what the model says of it."""

    detection: Detection
    prediction: Prediction

    @property
    def box_xyxy(self) -> Box:
        """(x0, y0, x1, y1) in pixels of the upright image."""
        return self.detection.box_xyxy

    @property
    def detector_score(self) -> float:
        """The detector's confidence."""
        return self.detection.score

    @property
    def landmarks_xy(self) -> FloatArray | None:
        """Five points (5, 2) in pixels, or None."""
        return self.detection.landmarks_xy

    @property
    def age_years(self) -> float:
        """The estimated age in years."""
        return self.prediction.age_years

    @property
    def age_std_years(self) -> float:
        """The spread of the model's own age distribution, in years."""
        return self.prediction.age_std_years

    @property
    def age_interval_years(self) -> tuple[float, float] | None:
        """(low, high) in years, at the level of `prediction.interval_level`."""
        return self.prediction.age_interval_years

    @property
    def gender(self) -> Gender | None:
        """The likelier label."""
        return self.prediction.gender

    @property
    def gender_probability(self) -> float | None:
        """The probability of `gender`, 0.5 to 1."""
        return self.prediction.gender_probability

    @property
    def gender_sure(self) -> bool | None:
        """Whether the model stands by `gender`; None where it does not tell."""
        return self.prediction.gender_sure

    @property
    def answered(self) -> bool:
        """Whether the model stands by its estimate."""
        return self.prediction.answered

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not."""
        return self.prediction.reasons

    @property
    def quality(self) -> Quality | None:
        """How good the picture of the face is."""
        return self.prediction.quality

    def verify(self, threshold: float = 18.0, challenge: float | None = None) -> Verdict:
        """Whether the face looks over an age. See `Prediction.verify`."""
        return self.prediction.verify(threshold, challenge)
