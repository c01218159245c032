"""How good the picture of a face is, and which faces a model declines to judge. Cheap, deterministic, numpy and cv2.

What is measured, with units and ranges, stands in `agewise.types.Quality`; here are the formulas and the limits.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np

from agewise.imaging.crop import UTKFACE_TEMPLATE
from agewise.types import Detection, FloatArray, Quality, UInt8Array

_SIDE = 64  # pixels at which sharpness is measured, so that crops of all sizes compare
_ROUNDING = 20 / 12  # variance that rounding to whole grey levels, 1/12 each, has in the Laplacian
_LEAST_CONTRAST = 4.0  # grey levels; a flat crop has no details to be sharp
_DARK, _BRIGHT = 2, 253

# The face that angles are measured against, in distances between the eyes: the nose's tip lies this far before the
# plane of eyes and mouth, …
_NOSE_DEPTH = 0.5
_EYES, _NOSE, _MOUTH = (np.mean([UTKFACE_TEMPLATE[i][1] for i in points]) for points in ((0, 1), (2,), (3, 4)))
_EYES_TO_MOUTH = float(_MOUTH - _EYES) / (UTKFACE_TEMPLATE[1][0] - UTKFACE_TEMPLATE[0][0])  # … the mouth so far below …
_NOSE_PLACE = float((_NOSE - _EYES) / (_MOUTH - _EYES))  # … and of that the nose this share: as the template has them


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityThresholds:
    """What a face must have to be judged; None leaves a measure out of account. Part of a model's card.

    The defaults are those of agewise-s, as measured on UTKFace (docs/trust.md). They serve for models whose card
    has none.

    Args:
        min_face_pixels: least side of the face in the picture.
        min_sharpness: see `Quality.sharpness`.
        min_brightness, max_brightness: mean grey level, 0 to 1.
        max_clipped: most share of black and white pixels.
        max_yaw_degrees, max_pitch_degrees, max_roll_degrees: most turn to either side.
        max_cut: most share of the box beyond the picture.
        min_detector_score: on the detector's own scale.
        max_interval_years: greatest width of the interval.

    Raises:
        ValueError: a threshold that is negative or not finite, or brightnesses that leave nothing between.
    """

    min_face_pixels: float | None = 24.0
    min_sharpness: float | None = 0.1
    min_brightness: float | None = 0.1
    max_brightness: float | None = None
    max_clipped: float | None = 0.64
    max_yaw_degrees: float | None = 42.0
    max_pitch_degrees: float | None = 31.0
    max_roll_degrees: float | None = None
    max_cut: float | None = 0.54
    min_detector_score: float | None = None
    max_interval_years: float | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} must be 0 or more, got {value}")
        low, high = self.min_brightness, self.max_brightness
        if low is not None and high is not None and not low < high:
            raise ValueError(f"min_brightness must be below max_brightness, got {low} and {high}")


ANSWER_ALL = QualityThresholds(**{field.name: None for field in dataclasses.fields(QualityThresholds)})
"""Thresholds that no face fails."""


def measure(
    crop_rgb: UInt8Array, detection: Detection | None = None, size_wh: tuple[int, int] | None = None
) -> Quality:
    """The quality of one face's picture.

    Args:
        crop_rgb: the crop that the network sees, uint8 RGB (size, size, 3).
        detection: the face in the picture that the crop was cut from, or None where only the crop is known.
        size_wh: width and height of that picture.
    """
    gray = np.asarray(cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    # Less the dark ones' last level, these wrap around to the bright ones: one comparison for both.
    clipped = np.count_nonzero(gray - np.uint8(_DARK + 1) >= _BRIGHT - _DARK - 1) / gray.size
    face_pixels = cut = score = yaw = pitch = roll = None
    if detection is not None:
        x0, y0, x1, y1 = detection.box_xyxy
        face_pixels, score = math.sqrt((x1 - x0) * (y1 - y0)), float(detection.score)
        cut = None if size_wh is None else cut_share(detection.box_xyxy, size_wh)
        if detection.landmarks_xy is not None:
            yaw, pitch, roll = angles(detection.landmarks_xy)
    return Quality(
        face_pixels=face_pixels,
        sharpness=sharpness(gray),
        brightness=float(cv2.mean(gray)[0]) / 255,
        clipped=clipped,
        yaw_degrees=yaw,
        pitch_degrees=pitch,
        roll_degrees=roll,
        cut=cut,
        detector_score=score,
    )


def sharpness(gray: UInt8Array) -> float:
    """Standard deviation of the Laplacian over that of the grey levels, of a crop brought to 64×64; 0 or more.

    The variance of the Laplacian is the usual measure of focus (Pech-Pacheco et al., «Diatom autofocusing in
    brightfield microscopy», ICPR 2000). It grows with the square of the contrast, so here it is divided by that, and
    what rounding to whole grey levels adds is taken off. As all crops show the same part of a face, one size makes
    them comparable: what counts is how much of the face's detail is there, be it lost by focus, by motion, by
    compression, or because the face had few pixels.

    Limits: noise looks like detail; a blur of less than a 64th of the face does not show; a flat crop gives about 0.

    Args:
        gray: uint8 (height, width).
    """
    factor = min(gray.shape) // _SIDE
    if factor > 1:  # by a whole factor first: quick, and nothing is sampled over
        size_wh = (gray.shape[1] // factor, gray.shape[0] // factor)
        gray = np.asarray(cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if gray.shape != (_SIDE, _SIDE):
        gray = np.asarray(cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    _, contrast = cv2.meanStdDev(gray)
    _, detail = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return math.sqrt(max(float(detail[0, 0]) ** 2 - _ROUNDING, 0.0)) / max(float(contrast[0, 0]), _LEAST_CONTRAST)


def cut_share(box_xyxy: tuple[float, float, float, float], size_wh: tuple[int, int]) -> float:
    """Share of a box that lies beyond a picture of this size, 0 to 1.

    >>> cut_share((-5.0, 0.0, 15.0, 10.0), (100, 100))
    0.25
    """
    x0, y0, x1, y1 = box_xyxy
    width, height = min(x1, size_wh[0]) - max(x0, 0.0), min(y1, size_wh[1]) - max(y0, 0.0)
    return 1.0 - max(width, 0.0) * max(height, 0.0) / ((x1 - x0) * (y1 - y0))


def angles(landmarks_xy: FloatArray) -> tuple[float, float, float] | tuple[None, None, None]:
    """Yaw, pitch and roll in degrees, from five points; None for each where both eyes are one point.

    The eyes' line gives the roll. Turned upright, in a picture without perspective, a face with eyes D apart and
    the nose's tip t·D before the plane of eyes and mouth shows the eyes D·cos(yaw) apart and the tip t·D·sin(yaw)
    beside the midline: tan(yaw) = offset / (t · distance). In the same way its place between eyes and mouth gives
    the pitch. t = .5, the places of a frontal face are the crop template's.

    Signs: yaw above 0 where the nose points to the image's right, pitch above 0 where the face looks down, roll
    above 0 where it is tilted clockwise. A mirrored face has the opposite yaw and roll, and the same pitch.

    Limits: faces differ in t and in the nose's place, so some 10 degrees mean nothing (children look down by this
    measure); perspective is left out; beyond about 45 degrees detectors misplace the far eye, and the angle is too
    small.

    Args:
        landmarks_xy: float array (5, 2) in the order of `agewise.types`.
    """
    (ax, ay), (bx, by), (nx, ny), (cx, cy), (dx, dy) = np.asarray(landmarks_xy, dtype=np.float64).tolist()
    distance = math.hypot(bx - ax, by - ay)
    if distance < 1e-6:
        return None, None, None
    right_x, right_y = (bx - ax) / distance, (by - ay) / distance
    eyes_x, eyes_y = (ax + bx) / 2, (ay + by) / 2

    def upright(x: float, y: float) -> tuple[float, float]:
        return (x - eyes_x) * right_x + (y - eyes_y) * right_y, (y - eyes_y) * right_x - (x - eyes_x) * right_y

    nose_x, nose_y = upright(nx, ny)
    mouth_x, height = upright((cx + dx) / 2, (cy + dy) / 2)
    offset = nose_x - mouth_x * _NOSE_PLACE  # from the line between the middles of the eyes and of the mouth
    yaw = math.atan2(offset, _NOSE_DEPTH * distance)
    below = (nose_y - _NOSE_PLACE * height) * _EYES_TO_MOUTH / _NOSE_DEPTH
    pitch = math.atan2(below, max(height, 1e-6))
    roll = math.atan2(right_y, right_x)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def reasons(
    quality: Quality,
    thresholds: QualityThresholds,
    *,
    age_years: float,
    interval: tuple[float, float] | None,
    valid_ages: tuple[float, float] | None,
) -> tuple[str, ...]:
    """Why a face is not judged, each a short sentence with the figures; empty where it is.

    Args:
        quality: of its picture; what could not be measured is no reason.
        thresholds: what a face must have.
        age_years: the estimate.
        interval: (low, high) in years, or None.
        valid_ages: (low, high) in years that the model was validated for, both included; None for any.
    """
    t, q = thresholds, quality
    found: list[str] = []
    if t.min_face_pixels is not None and q.face_pixels is not None and q.face_pixels < t.min_face_pixels:
        found.append(f"face too small ({q.face_pixels:.0f} px < {t.min_face_pixels:.0f})")
    if t.min_sharpness is not None and q.sharpness < t.min_sharpness:
        found.append(f"blurred (sharpness {q.sharpness:.2f} < {t.min_sharpness:.2f})")
    if t.min_brightness is not None and q.brightness < t.min_brightness:
        found.append(f"too dark (brightness {q.brightness:.2f} < {t.min_brightness:.2f})")
    if t.max_brightness is not None and q.brightness > t.max_brightness:
        found.append(f"too bright (brightness {q.brightness:.2f} > {t.max_brightness:.2f})")
    if t.max_clipped is not None and q.clipped > t.max_clipped:
        found.append(f"badly exposed ({100 * q.clipped:.0f} % black or white > {100 * t.max_clipped:.0f} %)")
    for words, angle, most in (
        ("turned away (yaw", q.yaw_degrees, t.max_yaw_degrees),
        ("looks up or down (pitch", q.pitch_degrees, t.max_pitch_degrees),
        ("tilted (roll", q.roll_degrees, t.max_roll_degrees),
    ):
        if angle is not None and most is not None and abs(angle) > most:
            found.append(f"{words} {abs(angle):.0f}° > {most:.0f}°)")
    if t.max_cut is not None and q.cut is not None and q.cut > t.max_cut:
        found.append(f"cut by the image border ({100 * q.cut:.0f} % > {100 * t.max_cut:.0f} %)")
    if t.min_detector_score is not None and q.detector_score is not None and q.detector_score < t.min_detector_score:
        found.append(f"detector unsure (score {q.detector_score:.2f} < {t.min_detector_score:.2f})")
    if t.max_interval_years is not None and interval is not None and interval[1] - interval[0] > t.max_interval_years:
        found.append(f"interval wider than {t.max_interval_years:g} years ({interval[1] - interval[0]:.1f})")
    if valid_ages is not None and not valid_ages[0] <= age_years <= valid_ages[1]:
        low, high = valid_ages
        found.append(f"outside the ages that this model was validated for ({age_years:.1f}, not {low:g} to {high:g})")
    return tuple(found)
