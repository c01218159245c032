"""One record → its crops: the labelled face found, aligned by agewise's own detector, and cut.

`whole` shows the face without our alignment: the picture as it is where it is a tight crop already, else the
square around the face's box with a fifth of it on each side. `aligned` is what `agewise predict` would see.
A network that learns from both is at home on data sets' own crops and on detected faces.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from agewise.detect.mtcnn import MtcnnConfig, MtcnnDetector
from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face, crop_transform
from agewise.types import Box, Detection, FloatArray, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.duplicates import thumbnail
from agewise_lab.store.quality import Quality, measure

Framing: TypeAlias = Literal["chip", "photo"]
Crops: TypeAlias = Literal["both", "aligned", "as-is"]

BOX_MARGIN = 0.2
_PAD = 0.3  # border added around a tight crop, so that the detector sees a whole head
_LEAST_OVERLAP = 0.6  # how near the aligned crop must lie to the whole picture to be of the labelled face
_FACE_SIDE = 120  # a labelled face is shrunk to this before it is looked for: the detector needs no more
_PHOTO_SIDE = 1280
_SMALL = 320
_LEAST_BOX_IOU = 0.15  # data sets' boxes end at the chin or at the hat
_MOST_LANDMARK_ERROR = 0.35  # of the distance between the eyes


class Dropped(Exception):  # noqa: N818
    """Not an error but an outcome: a record gives no crop. The reason is the same words for all of its kind."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Cut:
    """A record's crops and what was seen on the way.

    Args:
        whole: uint8 RGB (side, side, 3), or None where only aligned crops are wanted.
        aligned: the same, or None where no face was found or none was looked for.
        face: the labelled face in the picture's pixels, as our detector found it, or None.
        crop_landmarks_xy: its landmarks in pixels of `aligned`, float (5, 2), or None.
        size_wh: of the picture.
        thumbnail: uint8 (32, 32), for near-duplicates.
        quality: of the face.
    """

    whole: UInt8Array | None
    aligned: UInt8Array | None
    face: Detection | None
    crop_landmarks_xy: FloatArray | None
    size_wh: tuple[int, int]
    thumbnail: UInt8Array
    quality: Quality


def padded(image_rgb: UInt8Array) -> UInt8Array:
    """A tight crop with 30 % of replicated border on each side: a stand-in for the photo around it."""
    pad = round(_PAD * max(image_rgb.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(image_rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE), dtype=np.uint8)


def find_in_chip(detector: MtcnnDetector, image_rgb: UInt8Array) -> Detection | None:
    """The labelled face of a tight square crop, in the crop's own pixels, or None.

    The picture is padded by replicated borders, as its own alignment would be at a photo's edge. A face
    counts only where the crop that its landmarks give lies about where the picture does.
    """
    height, width = image_rgb.shape[:2]
    framed = padded(image_rgb)
    pad = (framed.shape[0] - height) // 2
    template = np.asarray(UTKFACE_TEMPLATE) * [width, height]
    best: Detection | None = None
    best_error = (1 - _LEAST_OVERLAP) * max(height, width)
    for face in detector.detect(framed):
        assert face.landmarks_xy is not None
        points = face.landmarks_xy - pad
        error = float(np.linalg.norm(points - template, axis=1).max())
        if error < best_error:
            x0, y0, x1, y1 = face.box_xyxy
            best_error = error
            best = Detection((x0 - pad, y0 - pad, x1 - pad, y1 - pad), face.score, points)
    return best


_DETECTORS: dict[int, MtcnnDetector] = {}


def _detector(least: int) -> MtcnnDetector:
    """A detector for faces of at least so many pixels, one a process."""
    if least not in _DETECTORS:
        _DETECTORS[least] = MtcnnDetector(MtcnnConfig(min_face=least, thresholds=(0.6, 0.7, 0.7)))
    return _DETECTORS[least]


# ---------------------------------------------------------------- the labelled face of a photo


def intersection_over_union(a: Box, b: Box) -> float:
    """The share of two boxes' union that both cover, 0 to 1.

    >>> intersection_over_union((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union


def labelled_box(record: Record) -> Box | None:
    """Where the record says that the face is: its box, or a box about its landmarks, or None."""
    if record.box_xyxy is not None:
        return record.box_xyxy
    if record.landmarks_xy is None:
        return None
    points = np.asarray(record.landmarks_xy, dtype=float)
    # Eyes and mouth span about half of a face.
    (x, y), half = points.mean(axis=0), float(np.ptp(points, axis=0).max())
    return (float(x - half), float(y - half), float(x + half), float(y + half))


def pick_labelled(faces: list[Detection], record: Record, size_wh: tuple[int, int]) -> Detection | None:
    """Of the faces of a photo the one that the record is about, or None.

    By its landmarks where the record has some, else by the overlap with its box, else the most central.
    """
    if record.landmarks_xy is not None:
        points = np.asarray(record.landmarks_xy, dtype=float)
        between = max(float(np.linalg.norm(points[0] - points[1])), 1.0)
        errors = [
            float(np.linalg.norm(f.landmarks_xy - points, axis=1).mean()) / between
            for f in faces
            if f.landmarks_xy is not None
        ]
        ranked = sorted(zip(errors, faces, strict=True), key=lambda pair: pair[0])
        return ranked[0][1] if ranked and ranked[0][0] <= _MOST_LANDMARK_ERROR else None
    box = record.box_xyxy
    if box is not None:
        best = max(faces, key=lambda face: intersection_over_union(face.box_xyxy, box), default=None)
        return None if best is None or intersection_over_union(best.box_xyxy, box) < _LEAST_BOX_IOU else best
    width, height = size_wh
    return min(
        faces,
        key=lambda f: np.hypot(f.box_xyxy[0] + f.box_xyxy[2] - width, f.box_xyxy[1] + f.box_xyxy[3] - height),
        default=None,
    )


def find_in_photo(image_rgb: UInt8Array, record: Record) -> Detection | None:
    """The record's face in a photo, in the photo's pixels, or None.

    Where the record says where the face is, only the surroundings are searched, at a size at which the face
    has 120 px; else the whole photo at no more than 1280 px. A small picture gets a border first: it may be a
    crop so tight that the head is cut off.
    """
    height, width = image_rgb.shape[:2]
    box = labelled_box(record)
    if box is None and max(width, height) <= _SMALL:
        left = top = -round(_PAD * max(width, height))
        region, least, shrink = padded(image_rgb), 24, 1.0
    elif box is None:
        left, top, region, least = 0, 0, image_rgb, 24
        shrink = max(max(width, height) / _PHOTO_SIDE, 1.0)
    else:
        side = max(box[2] - box[0], box[3] - box[1], 1.0)
        left, top = (max(int(edge - side), 0) for edge in box[:2])
        right, bottom = min(int(box[2] + side) + 1, width), min(int(box[3] + side) + 1, height)
        region = image_rgb[top:bottom, left:right]
        shrink = max(side / _FACE_SIDE, 1.0)
        least = next(least for least in (40, 24, 12) if least <= 0.4 * side / shrink or least == 12)
    if min(region.shape[:2]) < 2:
        return None
    small_wh = [max(round(n / shrink), 1) for n in region.shape[1::-1]]
    scale = np.array(region.shape[1::-1]) / small_wh
    small = region if shrink == 1 else cv2.resize(region, small_wh, interpolation=cv2.INTER_AREA)
    faces = _detector(least).detect(np.ascontiguousarray(small, dtype=np.uint8))
    return pick_labelled([_moved(face, scale, (left, top)) for face in faces], record, (width, height))


def _moved(face: Detection, scale: FloatArray, shift: tuple[int, int]) -> Detection:
    """A detection of a shrunk part of a picture, in the picture's pixels."""
    x0, y0, x1, y1 = np.asarray(face.box_xyxy) * np.tile(scale, 2) + np.tile(shift, 2)
    points = None if face.landmarks_xy is None else face.landmarks_xy * scale + shift
    return Detection((x0, y0, x1, y1), face.score, points)


# ---------------------------------------------------------------- cutting


def cut(
    image_rgb: UInt8Array,
    record: Record,
    *,
    framing: Framing,
    crops: Crops,
    side: int,
    min_score: float | None = None,
) -> Cut:
    """Find and cut one record's face.

    Args:
        image_rgb: the record's picture, uint8 RGB (height, width, 3).
        record: what is known of it.
        framing: "chip" for a tight crop, "photo" where the face must be found.
        crops: which crops are wanted; "as-is" looks for no face.
        side: of the crops, in pixels.
        min_score: drop faces that are not found with at least this detector score.

    Raises:
        Dropped: no face where one is needed, or one below `min_score`.
    """
    height, width = image_rgb.shape[:2]
    face = None
    if crops != "as-is":
        if framing == "chip":
            face = find_in_chip(_detector(max(12, int(min(height, width) * 0.4))), image_rgb)
        else:
            face = find_in_photo(image_rgb, record)
    if min_score is not None and face is not None and face.score < min_score:
        raise Dropped(f"detector score below {min_score:g}", f"{face.score:.3f}")
    if face is None and (crops == "aligned" or (crops != "as-is" and min_score is not None)):
        raise Dropped("no face found")
    frame, spec = _frame(record, face, framing, crops, (width, height))
    plain = crop_face(image_rgb, frame, spec, side)
    given = None if framing == "chip" or crops == "as-is" else record.landmarks_xy
    source = face
    if face is None and given is not None:  # the data set's own landmarks are better than none
        source = dataclasses.replace(frame, landmarks_xy=np.asarray(given, dtype=np.float32), is_crop=False)
    aligned = None if source is None else crop_face(image_rgb, source, CropSpec(), side)
    shown = plain if aligned is None else aligned
    return Cut(
        whole=None if crops == "aligned" else plain,
        aligned=aligned,
        face=face,
        crop_landmarks_xy=None if source is None else _in_crop(source, side),
        size_wh=(width, height),
        thumbnail=thumbnail(image_rgb if framing == "chip" else shown),
        quality=measure((face or frame).box_xyxy, shown),
    )


def _frame(
    record: Record, face: Detection | None, framing: Framing, crops: Crops, size_wh: tuple[int, int]
) -> tuple[Detection, CropSpec]:
    """What `whole` shows: a detection and how it is cut."""
    if framing == "photo":
        box = labelled_box(record) or (None if face is None else face.box_xyxy)
        if box is not None:
            return Detection(box, 1.0), CropSpec(kind="box", margin=BOX_MARGIN)
        if crops != "as-is":
            raise Dropped("no face found")
    return Detection((0.0, 0.0, float(size_wh[0]), float(size_wh[1])), 1.0, is_crop=True), CropSpec()


def _in_crop(face: Detection, side: int) -> FloatArray | None:
    """A face's landmarks in the pixels of its aligned crop."""
    if face.landmarks_xy is None:
        return None
    matrix = crop_transform(face, CropSpec()) * side
    return np.asarray(face.landmarks_xy @ matrix[:, :2].T + matrix[:, 2])
