"""Boxes and labels on one frame of a moving picture: quick, and calm from frame to frame.

The look is that of `agewise.draw`. What differs serves the eye: the letters' size depends on the picture alone, a
label stays above its box wherever it can, and there is no probability, whose digits would flicker. Colour tells
whether an estimate holds still yet. Only the pixels of lines and plates are touched, and plates are kept.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from agewise.draw import Colour, DrawOptions, LabelDetail, Pen, label_text
from agewise.errors import ArrayError
from agewise.types import Box, Detection, Face, Prediction, UInt8Array

if TYPE_CHECKING:
    from agewise.track import TrackedFace

_Rect: TypeAlias = tuple[int, int, int, int]

SETTLED_RGB: Colour = (255, 221, 87)
UNSETTLED_RGB: Colour = (226, 232, 240)
_DETAILS: tuple[LabelDetail, ...] = ("full", "short", "age")
_NOWHERE = Detection(box_xyxy=(0.0, 0.0, 1.0, 1.0), score=1.0)
_MOST_HIDDEN = 1 / 3  # of a face by its own label
_SMALL = 3  # heights of a label
_MOST_OF_FACE = 4  # a label wider than so many faces is shortened


def draw_tracked(
    image_rgb: UInt8Array, faces: Sequence[TrackedFace], *, scale: float = 1.0, in_place: bool = False
) -> UInt8Array:
    """Draws each face's box with its age, interval and gender.

    Yellow: the estimate holds still. Pale: it is still coming. A face without an estimate has a box only.

    Args:
        image_rgb: the upright frame, uint8 RGB (height, width, 3).
        faces: of this frame.
        scale: factor on the size of lines and letters, 0.25 to 4.
        in_place: draw on `image_rgb` itself, which must be writable; else on a copy.

    Returns:
        The frame that was drawn on.

    Raises:
        ArrayError: not a uint8 RGB array with at least one pixel.
        ValueError: `scale` out of range.
    """
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8 or not image_rgb.size:
        raise ArrayError(f"expected a uint8 RGB frame (height, width, 3), got {image_rgb.dtype} {image_rgb.shape}")
    canvas = image_rgb if in_place else image_rgb.copy()
    seen = [face for face in faces if _is_visible(face.detection.box_xyxy, canvas)]
    if not seen:
        return canvas
    # The eldest track first: a label that has its place keeps it when another face comes near.
    seen.sort(key=lambda face: face.track_id)
    pens = {
        settled: Pen(canvas, (), DrawOptions(scale=scale, colour_rgb=SETTLED_RGB if settled else UNSETTLED_RGB))
        for settled in {face.settled for face in seen}
    }
    rects = [pens[face.settled].outline_rect(face.detection.box_xyxy) for face in seen]
    for face, rect in zip(reversed(seen), reversed(rects), strict=True):
        pens[face.settled].draw_outline(rect, face.detection.box_xyxy)
    taken: list[_Rect] = []
    for face, rect in zip(seen, rects, strict=True):
        if face.prediction is not None:
            _draw_label(pens[face.settled], face, rect, taken, [other for other in rects if other is not rect])
    return canvas


def tracked_text(prediction: Prediction, detail: LabelDetail = "full") -> str:
    """A fused estimate in words, as `agewise.draw.label_text` has them, without the probability.

    Raises:
        ValueError: an unknown detail.
    """
    return label_text(Face(_NOWHERE, dataclasses.replace(prediction, gender_probability=None)), detail)


def _draw_label(pen: Pen, face: TrackedFace, rect: _Rect, taken: list[_Rect], others: Sequence[_Rect]) -> None:
    """The fullest text that hides no label and no other face; in a crowd the age, or nothing."""
    assert face.prediction is not None
    texts = [(detail, tracked_text(face.prediction, detail)) for detail in _DETAILS]
    height = pen.plate_size("")[1]
    for kept_free in ([*taken, *(_with_room(other, height) for other in others)], [*taken, *others]):
        for detail, text in texts:
            width = pen.plate_size(text)[0]
            too_wide = detail == "full" and width > max(_MOST_OF_FACE * (rect[2] - rect[0]), pen.width // 5)
            if width > pen.width or height > pen.height or too_wide:
                continue
            for place in _places(rect, width, height, pen):
                if _hides_much(place, rect) or any(_meet(place, other) for other in kept_free):
                    continue
                x0, y0, x1, y1 = place
                pen.canvas[y0:y1, x0:x1] = _plate(text, pen.font_size, pen.colour)
                taken.append(place)
                return


def _with_room(other: _Rect, height: int) -> _Rect:
    """A face with the room above and below it for its own label, where it is so small that it needs that left free."""
    x0, y0, x1, y1 = other
    return (x0, y0 - height, x1, y1 + height) if x1 - x0 < _SMALL * height else other


def _hides_much(place: _Rect, rect: _Rect) -> bool:
    wide = min(place[2], rect[2]) - max(place[0], rect[0])
    high = min(place[3], rect[3]) - max(place[1], rect[1])
    area = (rect[2] - rect[0]) * (rect[3] - rect[1])
    return wide > 0 and high > 0 and wide * high > _MOST_HIDDEN * area


@functools.lru_cache(maxsize=512)
def _plate(text: str, font_size: int, colour_rgb: Colour) -> UInt8Array:
    """A label's picture, kept: the same few texts come on thousands of frames."""
    return Pen(np.zeros((1, 1, 3), np.uint8), (), DrawOptions(colour_rgb=colour_rgb), font_size=font_size).plate(text)


def _places(rect: _Rect, width: int, height: int, pen: Pen) -> Iterator[_Rect]:
    """Above, below, and inside the box, moved into the picture; at its left side, its right, its middle."""
    x0, y0, x1, y1 = rect
    for y in (y0 - height, y1, y0):
        if not 0 <= y <= pen.height - height:
            continue
        for x in (x0, x1 - width, (x0 + x1 - width) // 2):
            x = min(max(x, 0), pen.width - width)
            yield x, y, x + width, y + height


def _meet(first: _Rect, second: _Rect) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _is_visible(box: Box, canvas: UInt8Array) -> bool:
    return box[0] < canvas.shape[1] and box[1] < canvas.shape[0] and box[2] > 0 and box[3] > 0
