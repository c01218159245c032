"""What came of one picture, and its two written forms: an object a picture, and flat records, one a face.

Every sink writes the same values, from here: pixels and years to 4 decimals, scores and probabilities to 6,
far below what the networks can tell, so that files are the same wherever the last bits of a float differ.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agewise.types import Face, Quality

Kind: TypeAlias = Literal["text", "whole", "number", "flag"]
Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = tuple[Value, ...]

_MEASURES = tuple(field.name for field in dataclasses.fields(Quality) if field.name != "detector_score")
_LANDMARKS = ("eye_image_left", "eye_image_right", "nose", "mouth_image_left", "mouth_image_right")

COLUMNS: dict[str, Kind] = {
    "source": "text",
    "width": "whole",
    "height": "whole",
    "face_index": "whole",
    "x0": "number",
    "y0": "number",
    "x1": "number",
    "y1": "number",
    "detector_score": "number",
    **{f"{point}_{axis}": "number" for point in _LANDMARKS for axis in "xy"},
    "age_years": "number",
    "age_std_years": "number",
    "age_interval_low": "number",
    "age_interval_high": "number",
    "gender": "text",
    "gender_probability": "number",
    "error": "text",
    "answered": "flag",
    "reasons": "text",
    "age_ranges": "text",
    "face_pixels": "number",
    "sharpness": "number",
    "brightness": "number",
    "clipped": "number",
    "yaw_degrees": "number",
    "pitch_degrees": "number",
    "roll_degrees": "number",
    "cut": "number",
    "gender_sure": "flag",
}
"""The columns of flat records, in order, with what they hold; all but `source` may be empty.

`reasons` are joined by "; ", `age_ranges` read as "22-24; 31-35". New columns come last.
"""

_AFTER_ERROR = len(COLUMNS) - 1 - list(COLUMNS).index("error")


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What came of one picture.

    Args:
        source: its path or name, as text without surrogates.
        width: in pixels, upright; None where it could not be read.
        height: as `width`.
        faces: in the order of the analyzer, the largest first; empty where there is none.
        error: why there is no result, or None where all went well.
    """

    source: str
    width: int | None = None
    height: int | None = None
    faces: tuple[Face, ...] = ()
    error: str | None = None


def to_object(result: ImageResult) -> dict[str, object]:
    """The JSON object of a picture: `source`, `width`, `height`, `faces`, `error`; null for what is not there."""
    return {
        "source": result.source,
        "width": result.width,
        "height": result.height,
        "faces": [_face_object(face) for face in result.faces],
        "error": result.error,
    }


def to_json_line(result: ImageResult) -> bytes:
    """One line of JSON Lines: the object in UTF-8 with a line feed at its end."""
    return json.dumps(to_object(result), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def to_records(result: ImageResult) -> list[Row]:
    """The flat records of a picture, their values in the order of `COLUMNS`: one a face, counted from 0.

    A picture without a face, or with an error, gives one record whose face is empty, so that none is lost.
    """
    picture: Row = (result.source, result.width, result.height)
    if not result.faces:
        empty = (None,) * (len(COLUMNS) - 4 - _AFTER_ERROR)
        return [(*picture, *empty, result.error, *(None,) * _AFTER_ERROR)]
    return [
        (*picture, index, *_face_values(face), result.error, *_trust_values(face))
        for index, face in enumerate(result.faces)
    ]


def _face_object(face: Face) -> dict[str, object]:
    points, interval, ranges = face.landmarks_xy, face.age_interval_years, face.prediction.age_ranges_years
    return {
        "box_xyxy": _rounded(face.box_xyxy),
        "detector_score": _share(face.detector_score),
        "landmarks_xy": None if points is None else [_rounded(point) for point in points.tolist()],
        "age_years": round(float(face.age_years), 4),
        "age_std_years": round(float(face.age_std_years), 4),
        "age_interval_years": None if interval is None else _rounded(interval),
        "gender": None if face.gender is None else face.gender.value,
        "gender_probability": _share(face.gender_probability),
        "age_ranges_years": (None if ranges is None else [_rounded(low_high) for low_high in ranges]),
        "answered": face.answered,
        "reasons": list(face.reasons),
        "quality": _quality_object(face.quality),
        "gender_sure": face.gender_sure,
    }


def _quality_object(quality: Quality | None) -> dict[str, float | None] | None:
    """Its measures by name, without the detector's score, which stands beside the box already."""
    return None if quality is None else {name: _measure(quality, name) for name in _MEASURES}


def _measure(quality: Quality | None, name: str) -> float | None:
    value = None if quality is None else getattr(quality, name)
    return None if value is None else round(float(value), 4)


def _trust_values(face: Face) -> Row:
    ranges = face.prediction.age_ranges_years
    return (
        face.answered,
        "; ".join(face.reasons) or None,
        None if ranges is None else "; ".join(f"{low:g}-{high:g}" for low, high in ranges),
        *(_measure(face.quality, name) for name in _MEASURES),
        face.gender_sure,
    )


def _face_values(face: Face) -> Row:
    points, interval = face.landmarks_xy, face.age_interval_years
    return (
        *_rounded(face.box_xyxy),
        _share(face.detector_score),
        *((None,) * 10 if points is None else _rounded(points.ravel().tolist())),
        *_rounded((face.age_years, face.age_std_years)),
        *((None, None) if interval is None else _rounded(interval)),
        None if face.gender is None else face.gender.value,
        _share(face.gender_probability),
    )


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
