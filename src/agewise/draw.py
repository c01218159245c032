"""Boxes and labels on a picture, readable on any background and at any size; and the picture to a file.

A box is a light line between two dark ones, so one of them is seen on anything. A text stands on a plate of
its own. Sizes follow the picture and the faces in it. Labels are placed greedily, large faces first: the
longest text that finds a place where it hides nothing and cannot be taken for another face's label, else the
least bad place. The font is Pillow's own (Aileron in part: without an en dash, so intervals have a hyphen).
"""

from __future__ import annotations

import functools
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from agewise._files import atomic_write, shown
from agewise.errors import ArrayError, OutputError
from agewise.types import Box, Face, UInt8Array

LabelDetail: TypeAlias = Literal["full", "short", "age"]
Colour: TypeAlias = tuple[int, int, int]
_Rect: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels, x1 and y1 exclusive

_LEAST_FONT = 11  # px; smaller digits cannot be told apart
_FONT_BY_FACE = 0.13  # font size as a share of the median face's width …
_FONT_BY_PICTURE = (1 / 70, 1 / 28)  # … within these shares of the picture's size, √(width · height)
_LINE_BY_PICTURE = 1 / 280
_LINE_BY_FACE = 1 / 12

# What makes a label's place bad. The full text may hide a little of a face before it is shortened.
_COST_OF_DETAIL = {"full": 0.0, "short": 0.2, "age": 0.6}
_COST_OF_RANK = 0.01  # by place: above is better than below, and so on
_COST_INSIDE = 0.3
_COST_NEAR = 0.25  # so near another face that it could be taken for that face's label
_COST_OWN = 1.5  # times the share of its own face that is hidden
_COST_OTHER = 3.0  # times the shares of other faces that are hidden, and besides …
_COST_ANY_OTHER = 0.2  # … once if anything of another face is
_MOST_HIDDEN = 1 / 3  # a label that must hide more of a face is left out

_FORMATS: dict[str, tuple[str, dict[str, int], int]] = {
    # suffix: Pillow's format, its settings, the most pixels a side that it can hold
    ".jpg": ("JPEG", {"quality": 92, "subsampling": 0}, 65_500),
    ".jpeg": ("JPEG", {"quality": 92, "subsampling": 0}, 65_500),
    ".png": ("PNG", {}, 2**31 - 1),
    ".webp": ("WEBP", {"quality": 92}, 16_383),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """What is drawn, and how.

    Args:
        detail: the fullest label to use; it is shortened where it does not fit. None draws no labels.
        landmarks: whether the five points are drawn, for faces that have them.
        colour_rgb: colour of the line and the plate, RGB, 0 to 255 each.
        scale: factor on the size of lines and letters, 0.25 to 4; letters never get smaller than 11 px.

    Raises:
        ValueError: an unknown detail, a colour that is not three values 0 to 255, or a scale out of range.
    """

    detail: LabelDetail | None = "full"
    landmarks: bool = False
    colour_rgb: Colour = (255, 221, 87)
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.detail is not None:
            _check_detail(self.detail)
        if len(self.colour_rgb) != 3 or not all(0 <= value <= 255 for value in self.colour_rgb):
            raise ValueError(f"colour_rgb must be three values 0 to 255, got {self.colour_rgb}")
        if not 0.25 <= self.scale <= 4.0:
            raise ValueError(f"scale must be 0.25 to 4, got {self.scale}")


def label_text(face: Face, detail: LabelDetail = "full") -> str:
    """The face in words, for display: years rounded half up, the interval, gender with its probability.

    "full" is `31 (24-39) · female 97 %`, "short" is `31 · F`, "age" is `31`. What the model does not give is
    left out. A probability under 1 is never shown as 100 %. A gender of which the model is not sure has a question
    mark: `4 (1-7) · female? 62 %`, `4 · F?`. Of a face that the model declines to judge only that is
    shown: "full" is `declined (31?)`, the others `31?`.

    Raises:
        ValueError: an unknown detail.
    """
    _check_detail(detail)
    text = str(_half_up(face.age_years))
    if not face.answered:
        return f"declined ({text}?)" if detail == "full" else f"{text}?"
    if detail == "full" and face.age_interval_years is not None:
        low, high = face.age_interval_years
        text += f" ({_half_up(low)}-{_half_up(high)})"
    if detail == "age" or face.gender is None:
        return text
    mark = "?" if face.gender_sure is False else ""
    if detail == "short":
        return f"{text} · {face.gender.value[0].upper()}{mark}"
    text += f" · {face.gender.value}{mark}"
    if face.gender_probability is not None:
        percent = _half_up(100 * face.gender_probability)
        text += f" {min(percent, 99) if face.gender_probability < 1 else percent} %"
    return text


def draw_faces(image_rgb: UInt8Array, faces: Sequence[Face], *, options: DrawOptions | None = None) -> UInt8Array:
    """A new picture with each face's box and label; the one that came in is not changed.

    Lines lie outside the boxes, so that they hide nothing of a small face; at the picture's border they move
    in. Labels lie wholly within the picture, never on each other, and never hide more than a third of a face;
    a face gets none where not even its age finds such a place (a crowd of tiny faces, a picture of 10 pixels).
    A face outside the picture is not drawn.

    Args:
        image_rgb: the upright picture, uint8 RGB (height, width, 3).
        faces: in that picture's pixels; boxes may reach beyond it.
        options: by default full labels and no landmarks.

    Returns:
        uint8 RGB (height, width, 3), C-contiguous.

    Raises:
        ArrayError: not a uint8 RGB array with at least one pixel.
    """
    _check_image(image_rgb)
    options = options or DrawOptions()
    canvas = np.array(image_rgb, order="C", copy=True)
    ordered = sorted((face for face in faces if _is_visible(face.box_xyxy, canvas)), key=_turn)
    if not ordered:
        return canvas
    pen = Pen(canvas, [face.box_xyxy for face in ordered], options)
    rects = [pen.outline_rect(face.box_xyxy) for face in ordered]
    for face, rect in zip(reversed(ordered), reversed(rects), strict=True):  # large ones lie on top
        pen.draw_outline(rect, face.box_xyxy)
        if options.landmarks and face.landmarks_xy is not None:
            pen.draw_points(face)
    if options.detail is not None:
        for text, (x0, y0, x1, y1) in _place(pen, ordered, rects, options.detail):
            canvas[y0:y1, x0:x1] = pen.plate(text)
    return canvas


def save_image(image_rgb: UInt8Array, path: str | os.PathLike[str]) -> None:
    """Writes a picture as JPEG (quality 92, 4:4:4), PNG or WebP, by the path's suffix.

    Nothing half-written is ever left, and a failure leaves the file that was there: see `atomic_write`.

    Args:
        image_rgb: uint8 RGB (height, width, 3).
        path: ends in .jpg, .jpeg, .png or .webp, in any case; its folder must exist.

    Raises:
        ArrayError: not a uint8 RGB array with at least one pixel.
        OutputError: an unknown suffix, a picture too large for the format, or a file that cannot be written.
    """
    _check_image(image_rgb)
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise OutputError(f"cannot write {shown(path)}: unknown suffix {suffix!r}; use one of {', '.join(_FORMATS)}")
    kind, settings, most = _FORMATS[suffix]
    height, width = image_rgb.shape[:2]
    if max(height, width) > most:
        reason = f"{kind} holds at most {most} pixels a side, the picture has {width}×{height}; use .png"
        raise OutputError(f"cannot write {shown(path)}: {reason}")
    # Encoded in memory first: Pillow's own writing to a file hides why a write failed.
    encoded = io.BytesIO()
    try:
        Image.fromarray(image_rgb).save(encoded, kind, **settings)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {shown(path)}: encoding as {kind} failed: {error}") from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())


class Pen:
    """Draws on one canvas; holds what depends on the picture and its faces: sizes, font, colours."""

    def __init__(
        self, canvas: UInt8Array, boxes: Sequence[Box], options: DrawOptions, *, font_size: int | None = None
    ) -> None:
        """With no boxes the letters' size depends on the picture alone, so that it holds still in a moving one."""
        self.canvas = canvas
        self.height, self.width = canvas.shape[:2]
        size = math.sqrt(self.height * self.width)
        least, most = (share * size for share in _FONT_BY_PICTURE)
        wanted = _FONT_BY_FACE * float(np.median([_side(box) for box in boxes])) if boxes else math.sqrt(least * most)
        self.font_size = font_size or max(_LEAST_FONT, round(min(max(wanted, least), most) * options.scale))
        self.font = _font(self.font_size)
        self.line = max(1.0, size * _LINE_BY_PICTURE * options.scale)
        self.colour = options.colour_rgb
        # Black contrasts more from this luminance on; either way the ratio is 4.58 or more (text wants 4.5).
        self.contrary: Colour = (0, 0, 0) if _luminance(self.colour) > 0.179 else (255, 255, 255)
        self.edge = max(1, self.font_size // 14)
        self.padding = max(2, self.font_size // 5)
        # One height for all labels, whatever letters they have.
        _, top, _, bottom = self.font.getbbox("(Mg%0", anchor="ls")
        self.text_top, self.text_height = math.floor(top), math.ceil(bottom) - math.floor(top)

    def _line_and_edge(self, box: Box) -> tuple[int, int]:
        """Widths of a box's light line and of each of its dark edges; thinner on small faces."""
        line = max(1, round(min(self.line, _side(box) * _LINE_BY_FACE)))
        return line, max(1, line // 2)

    def outline_rect(self, box: Box) -> _Rect:
        """The outer border of a visible box's outline, cut to the picture."""
        line, edge = self._line_and_edge(box)
        grow = line + 2 * edge
        left, top = (max(math.floor(value) - grow, 0) for value in box[:2])
        right, bottom = min(box[2], self.width), min(box[3], self.height)
        return left, top, min(math.ceil(right) + grow, self.width), min(math.ceil(bottom) + grow, self.height)

    def draw_outline(self, rect: _Rect, box: Box) -> None:
        """A line in the colour on a wider contrary one, inside `rect`."""
        line, edge = self._line_and_edge(box)
        x0, y0, x1, y1 = rect
        for inset, thick, colour in ((0, line + 2 * edge, self.contrary), (edge, line, self.colour)):
            inside = self.canvas[y0 + inset : y1 - inset, x0 + inset : x1 - inset]
            inside[:thick] = inside[-thick:] = colour
            inside[:, :thick] = inside[:, -thick:] = colour

    def draw_points(self, face: Face) -> None:
        """The landmarks as discs with a contrary rim."""
        assert face.landmarks_xy is not None
        line, edge = self._line_and_edge(face.box_xyxy)
        for x, y in face.landmarks_xy.tolist():
            self._disc(x, y, line + 0.5 + edge, self.contrary)
            self._disc(x, y, line + 0.5, self.colour)

    def _disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        if not (-radius < x < self.width + radius and -radius < y < self.height + radius):
            return
        x0, y0 = max(math.floor(x - radius), 0), max(math.floor(y - radius), 0)
        window = self.canvas[y0 : math.ceil(y + radius) + 1, x0 : math.ceil(x + radius) + 1]
        row, column = np.ogrid[y0 : y0 + window.shape[0], x0 : x0 + window.shape[1]]
        window[(column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= radius**2] = colour

    def plate_size(self, text: str) -> tuple[int, int]:
        """(width, height) in pixels of the plate that holds a text."""
        around = 2 * (self.padding + self.edge)
        return math.ceil(self.font.getlength(text)) + around, self.text_height + around

    def plate(self, text: str) -> UInt8Array:
        """The label as uint8 RGB (height, width, 3): contrary text and rim on a plate in the colour."""
        picture = Image.new("RGB", self.plate_size(text), self.colour)
        pen = ImageDraw.Draw(picture)
        pen.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=self.contrary, width=self.edge)
        start = self.edge + self.padding
        pen.text((start, start - self.text_top), text, fill=self.contrary, font=self.font, anchor="ls")
        return np.asarray(picture, dtype=np.uint8)


@functools.lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _luminance(colour_rgb: Colour) -> float:
    """Relative luminance, 0 to 1, as WCAG 2.1 defines it."""
    shares = (value / 255 for value in colour_rgb)
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _place(
    pen: Pen, faces: Sequence[Face], rects: Sequence[_Rect], fullest: LabelDetail
) -> Iterator[tuple[str, _Rect]]:
    """For each face in turn the text and the place of its label; nothing for a face that finds no place."""
    boxes = np.array(rects, dtype=np.int64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    taken = np.empty((0, 4), dtype=np.int64)
    for index, face in enumerate(faces):
        best: tuple[float, str, _Rect] | None = None
        for least_cost, text, plate in _candidates(pen, face, rects[index], fullest):
            if best is not None and best[0] <= least_cost:
                break  # candidates come by rising least cost
            hidden = _shared(plate, boxes) / areas
            if hidden.max() > _MOST_HIDDEN or _shared(plate, taken, pen.padding).any():
                continue
            near = _shared(plate, boxes, (plate[3] - plate[1]) // 3) > 0
            cost = least_cost + _COST_OWN * hidden[index]
            hidden[index] = near[index] = 0
            cost += _COST_OTHER * hidden.sum() + _COST_ANY_OTHER * hidden.any() + _COST_NEAR * near.any()
            if best is None or cost < best[0]:
                best = float(cost), text, plate
        if best is not None:
            taken = np.concatenate([taken, [best[2]]])
            yield best[1:]


def _candidates(pen: Pen, face: Face, rect: _Rect, fullest: LabelDetail) -> list[tuple[float, str, _Rect]]:
    """Every text that fits the picture at every place around and in the box: (least cost, text, plate)."""
    details = get_args(LabelDetail)
    allowed = reversed(details[details.index(fullest) :])  # without a gender, "short" is "age": the cheaper one stays
    texts = {label_text(face, detail): _COST_OF_DETAIL[detail] for detail in allowed}
    found = []
    for text, text_cost in texts.items():
        width, height = pen.plate_size(text)
        if width > pen.width or height > pen.height:
            continue
        for place_cost, x, y in _places(rect, width, height):
            x_in, y_in = min(max(x, 0), pen.width - width), min(max(y, 0), pen.height - height)
            found.append((text_cost + place_cost, text, (x_in, y_in, x_in + width, y_in + height)))
    return sorted(found, key=lambda candidate: candidate[0])


def _places(rect: _Rect, width: int, height: int) -> Iterator[tuple[float, int, int]]:
    """Places of a plate's upper left corner, each with a cost: above, below, beside and inside a box."""
    x0, y0, x1, y1 = rect
    middle = (x0 + x1 - width) // 2
    outside = [(x, y) for x in (x0, x1 - width, middle) for y in (y0 - height, y1)]
    outside += [(x, y) for y in (y0, y1 - height) for x in (x1, x0 - width)]
    for rank, (x, y) in enumerate(outside):
        yield _COST_OF_RANK * rank, x, y
    yield _COST_INSIDE, x0, y0


def _shared(plate: _Rect, rects: npt.NDArray[np.int64], margin: int = 0) -> npt.NDArray[np.int64]:
    """The area in pixels that a plate with a margin around it shares with each of `rects` (n, 4): (n,)."""
    width = np.minimum(plate[2] + margin, rects[:, 2]) - np.maximum(plate[0] - margin, rects[:, 0])
    height = np.minimum(plate[3] + margin, rects[:, 3]) - np.maximum(plate[1] - margin, rects[:, 1])
    area: npt.NDArray[np.int64] = np.maximum(width, 0) * np.maximum(height, 0)
    return area


def _is_visible(box: Box, canvas: UInt8Array) -> bool:
    return box[0] < canvas.shape[1] and box[1] < canvas.shape[0] and box[2] > 0 and box[3] > 0


def _turn(face: Face) -> tuple[int, float, float]:
    """Sorts large faces before small ones, and those of about one size (within a fifth) as one reads."""
    size = math.log2(min(max(_side(face.box_xyxy), 1.0), 1e9))
    return -round(4 * size), face.box_xyxy[1], face.box_xyxy[0]


def _side(box: Box) -> float:
    """A box's size as one number: the geometric mean of its sides."""
    return math.sqrt((box[2] - box[0]) * (box[3] - box[1]))


def _half_up(value: float) -> int:
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)


def _check_detail(detail: str) -> None:
    if detail not in get_args(LabelDetail):
        raise ValueError(f"detail must be one of {', '.join(get_args(LabelDetail))}, got {detail!r}")


def _check_image(image_rgb: UInt8Array) -> None:
    shape, dtype = np.shape(image_rgb), getattr(image_rgb, "dtype", type(image_rgb).__name__)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ArrayError(f"expected a uint8 RGB array (height, width, 3) with at least one pixel, got {dtype} {shape}")
