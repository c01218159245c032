"""From a face in a picture to the crop that a network sees. Training and serving both call `crop_face`.

A crop is square, RGB, uint8. Where there are five landmarks, a similarity transform (rotation, scale,
shift; no shear) maps them to a template by least squares. Otherwise the box with a margin is taken.
Beyond the picture its border is replicated. Large faces are averaged down, not sampled, so that a
4000-pixel face and a 100-pixel one give the same crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from agewise.types import Box, Detection, FloatArray, UInt8Array

UTKFACE_TEMPLATE: tuple[tuple[float, float], ...] = (
    (59.1 / 200, 56.7 / 200),
    (138.3 / 200, 56.6 / 200),
    (97.9 / 200, 104.3 / 200),
    (63.7 / 200, 139.7 / 200),
    (133.9 / 200, 139.3 / 200),
)
"""UTKFace's own alignment, as shares of the crop's side: the median of MTCNN's landmarks on 300 of its
200×200 images, each padded by 60 px. Eyes, nose, mouth corners; image-left first."""

_MAX_OVERSAMPLING = 16
# Where the mean of every place, and then each block's first, takes a third of the time of INTER_AREA. The means are
# the same to the bit: with an odd factor none lies halfway between two grey levels.
_BOX_FILTERED = (3, 5)
_CV2_MAX_SIDE = 32_766  # OpenCV 4's warpAffine refuses a picture with a longer side


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSpec:
    """How a model's crops are cut; part of its card.

    Args:
        kind: "landmarks" (the template where there are landmarks, else the box), or "box" (always the box).
        template: five points (x, y) as shares of the crop's side, 0 to 1; used by "landmarks".
        margin: share of the box's width and height that is added on each side when the box is cut.
        square: whether the box is first widened to a square about its centre. False stretches it, as
            SSR-Net's and yu4u's demos do.

    Raises:
        ValueError: a template that is not five points between 0 and 1, or a margin outside -0.4 to 2.
    """

    kind: Literal["landmarks", "box"] = "landmarks"
    template: tuple[tuple[float, float], ...] = UTKFACE_TEMPLATE
    margin: float = 0.0
    square: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ("landmarks", "box"):
            raise ValueError(f"crop kind must be 'landmarks' or 'box', got {self.kind!r}")
        if np.shape(self.template) != (5, 2) or not np.isfinite(self.template).all():
            raise ValueError(f"a landmark template has five points (x, y), got {self.template}")
        if not (np.min(self.template) >= 0 and np.max(self.template) <= 1):
            raise ValueError(f"a landmark template is in shares of the crop's side, 0 to 1, got {self.template}")
        if not -0.4 <= self.margin <= 2.0:
            raise ValueError(f"margin is a share of the box, -0.4 to 2, got {self.margin}")


def similarity_transform(points_xy: FloatArray, target_xy: FloatArray) -> FloatArray:
    """The similarity transform that maps `points_xy` to `target_xy` with the least squared error.

    Args:
        points_xy: float array (n, 2), n >= 2, not all the same point.
        target_xy: float array (n, 2).

    Returns:
        float64 array (2, 3): [[a, -b, tx], [b, a, ty]].

    Raises:
        ValueError: fewer than two points, or all points the same.

    Source: Umeyama, IEEE TPAMI 13(4), 1991, eqs. 40-42, in two dimensions without reflection, where the
    singular value decomposition has this closed form.

    >>> similarity_transform(np.array([[0., 0.], [1., 0.]]), np.array([[2., 3.], [2., 5.]])).round(6).tolist()
    [[0.0, -2.0, 2.0], [2.0, 0.0, 3.0]]
    """
    source = np.asarray(points_xy, dtype=np.float64)
    target = np.asarray(target_xy, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[0] < 2:
        raise ValueError(f"expected two arrays (n, 2) with n >= 2, got {source.shape} and {target.shape}")
    # A few points only: plain floats take a third of the time that arrays do.
    n = len(source)
    from_x, from_y = source.T.tolist()
    to_x, to_y = target.T.tolist()
    middle_x, middle_y, to_middle_x, to_middle_y = (sum(values) / n for values in (from_x, from_y, to_x, to_y))
    spread = same = turned = 0.0
    for x, y, u, v in zip(from_x, from_y, to_x, to_y, strict=True):
        x, y, u, v = x - middle_x, y - middle_y, u - to_middle_x, v - to_middle_y
        spread += x * x + y * y
        same += x * u + y * v
        turned += x * v - y * u
    if spread < 1e-12:
        raise ValueError("all points are the same: no similarity transform maps them")
    a, b = same / spread, turned / spread
    shift_x = to_middle_x - (a * middle_x - b * middle_y)
    shift_y = to_middle_y - (b * middle_x + a * middle_y)
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def box_transform(box_xyxy: Box, margin: float, square: bool) -> FloatArray:
    """The transform (2, 3) that maps a box with its margin to the unit square.

    With `square`, the shorter side is widened about the centre first; else the axes scale apart.
    """
    x0, y0, x1, y1 = box_xyxy
    width, height = (x1 - x0) * (1 + 2 * margin), (y1 - y0) * (1 + 2 * margin)
    if square:
        width = height = max(width, height)
    left, top = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
    return np.array([[1 / width, 0.0, -left / width], [0.0, 1 / height, -top / height]])


def crop_transform(detection: Detection, spec: CropSpec) -> FloatArray:
    """The transform (2, 3) from the picture's pixels to the unit square of the crop.

    A detection that is the crop already (`is_crop`) is taken whole, its shorter side widened to a square.
    Landmarks that all fall on one point count as absent.
    """
    if detection.is_crop:
        return box_transform(detection.box_xyxy, 0.0, True)
    points = detection.landmarks_xy
    if spec.kind == "landmarks" and points is not None and _extent(points) > 1.0:
        return similarity_transform(points, np.asarray(spec.template))
    return box_transform(detection.box_xyxy, spec.margin, spec.square)


def _extent(points_xy: FloatArray) -> float:
    """The larger side of the smallest upright rectangle that holds the points (n, 2)."""
    return max(float(max(values) - min(values)) for values in np.asarray(points_xy).T.tolist())


def _oversampling(unit_transform: FloatArray, size: int) -> int:
    """The least whole multiple of `size` at which a crop has a sample for each of the picture's pixels, 1 or more."""
    a, b, _, c, d, _ = map(float, unit_transform.flat)
    # The columns of the inverse: how many pixels the crop's width and height span.
    pixels_per_unit = max(math.hypot(a, b), math.hypot(c, d)) / max(abs(a * d - b * c), 1e-24)
    return max(math.ceil(pixels_per_unit / size - 0.01), 1)


def _shrunk_region(image_rgb: UInt8Array, unit_transform: FloatArray, ratio: float) -> tuple[UInt8Array, FloatArray]:
    """The part of the picture that a crop shows, averaged down by about `ratio`, and its transform to the unit square.

    Two pixels are kept around it. Where the crop reaches beyond the picture, the part ends at the
    picture's border, so that replicating goes on from there; at least one pixel is left.
    """
    height, width = image_rgb.shape[:2]
    linear, shift = unit_transform[:, :2], unit_transform[:, 2]
    corners = (np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) - shift) @ np.linalg.pinv(linear).T
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2, low + 1, [width, height]).astype(int)
    region = image_rgb[low[1] : high[1], low[0] : high[0]]
    size_wh = np.ceil((high - low) / ratio).astype(int)
    if ratio > 1:
        region = np.asarray(cv2.resize(region, size_wh.tolist(), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return region, np.column_stack([linear * ((high - low) / size_wh), linear @ low + shift])


def _averaged(large_rgb: UInt8Array, factor: int) -> UInt8Array:
    """A picture averaged down by a whole factor, 2 or more: each of its blocks becomes the mean."""
    size_wh = (large_rgb.shape[1] // factor, large_rgb.shape[0] // factor)
    if factor in _BOX_FILTERED:
        means = cv2.boxFilter(large_rgb, -1, (factor, factor), anchor=(0, 0))
        return np.asarray(cv2.resize(means, size_wh, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    return np.asarray(cv2.resize(large_rgb, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def warp_crop(image_rgb: UInt8Array, unit_transform: FloatArray, size: int) -> UInt8Array:
    """Cut a crop: uint8 (size, size, 3), from a transform (2, 3) to the unit square.

    The centre of pixel (i, j) lies at (i + 0.5, j + 0.5), so that a crop of any size shows the same
    region. Where the crop is smaller than its region, it is made at a whole multiple and averaged down;
    where that would be more than 16 times, the region is averaged down first.
    """
    factor = _oversampling(unit_transform, size)
    if factor > _MAX_OVERSAMPLING or max(image_rgb.shape[:2]) > _CV2_MAX_SIDE:
        image_rgb, unit_transform = _shrunk_region(image_rgb, unit_transform, max(factor / _MAX_OVERSAMPLING, 1.0))
        factor = min(_oversampling(unit_transform, size), _MAX_OVERSAMPLING)
    side = size * factor
    matrix = unit_transform * side
    # From corner-based to centre-based coordinates, which warpAffine works in.
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5
    large = cv2.warpAffine(image_rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    crop_rgb = np.asarray(large, dtype=np.uint8)
    return crop_rgb if factor == 1 else _averaged(crop_rgb, factor)


def crop_face(image_rgb: UInt8Array, detection: Detection, spec: CropSpec, size: int) -> UInt8Array:
    """The crop of one face: uint8 RGB (size, size, 3).

    Args:
        image_rgb: the whole picture, uint8 RGB (height, width, 3).
        detection: the face, in that picture's pixels.
        spec: the model's crop, from its card.
        size: side of the crop in pixels, from the card.
    """
    return warp_crop(image_rgb, crop_transform(detection, spec), size)
