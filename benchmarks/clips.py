"""Synthetic clips with known truth: faces moved, scaled, blurred and hidden over a moving background.

Used by benchmarks and, loaded by its path, by tests. Nothing is stored: frames are made as they are asked for, from
pictures that the caller has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

Box = tuple[float, float, float, float]
FACE_SHARE: Box = (0.2, 0.14, 0.78, 0.86)
"""Of a picture of UTKFace's aligned part, the face as detectors box it, about."""


@dataclass(frozen=True)
class Actor:
    """One face and its way.

    Args:
        picture_rgb: uint8 RGB (side, side, 3), the whole head.
        place: seconds → (x, y, side) in pixels of the picture's middle and its side.
        blur: seconds → standard deviation in pixels of the frame; 0 for none.
        gain: seconds → factor of the light.
        face: the face's box as shares of the picture.
    """

    picture_rgb: Any
    place: Callable[[float], tuple[float, float, float]]
    blur: Callable[[float], float] = lambda seconds: 0.0
    gain: Callable[[float], float] = lambda seconds: 1.0
    face: Box = FACE_SHARE

    def box(self, seconds: float) -> Box:
        """The face's box in pixels of the frame."""
        x, y, side = self.place(seconds)
        return (
            x + (self.face[0] - 0.5) * side,
            y + (self.face[1] - 0.5) * side,
            x + (self.face[2] - 0.5) * side,
            y + (self.face[3] - 0.5) * side,
        )


@dataclass(frozen=True)
class Shot:
    """One frame. `boxes` has one an actor; None where it is hidden by a bar, by another face, or out of the picture."""

    image_rgb: Any
    seconds: float
    boxes: list[Box | None]


def line(start: tuple[float, float, float], end: tuple[float, float, float], seconds: float) -> Any:
    """A way straight from (x, y, side) to another, then it stays."""

    def place(now: float) -> tuple[float, float, float]:
        share = min(max(now / seconds, 0.0), 1.0)
        x, y, side = (a + (b - a) * share for a, b in zip(start, end, strict=True))
        return x, y, side

    return place


def sway(x: float, y: float, side: float, reach: float, period: float = 4.0, phase: float = 0.0) -> Any:
    """A way that swings about a place by `reach` pixels, and nods and nears a little."""

    def place(now: float) -> tuple[float, float, float]:
        turn = 2 * math.pi * now / period + phase
        return (
            x + reach * math.sin(turn),
            y + reach / 4 * math.sin(1.7 * turn),
            side * (1 + 0.05 * math.sin(0.6 * turn)),
        )

    return place


def clip(
    actors: Sequence[Actor],
    *,
    size_wh: tuple[int, int] = (640, 360),
    fps: float = 30.0,
    frames: int = 90,
    bars: Sequence[tuple[float, float]] = (),
    noise: float = 2.0,
    seed: int = 0,
) -> Iterator[Shot]:
    """Frames of actors over a drifting background; later actors are in front.

    Args:
        actors: the faces.
        size_wh: width and height.
        fps: frames a second.
        frames: how many.
        bars: upright pillars (x0, x1) in pixels, in front of all.
        noise: standard deviation of the camera's noise in grey levels.
        seed: of background and noise.
    """
    generator = np.random.default_rng(seed)
    width, height = size_wh
    wide = _background(generator, width + 200, height + 100)
    # a few pictures of noise, by turns: new ones for each frame would take most of the time
    grains = [generator.normal(0, noise, (height, width, 3)).astype(np.float32) for _ in range(3 if noise else 0)]
    for i in range(frames):
        seconds = i / fps
        left, top = round(100 + 90 * math.sin(0.5 * seconds)), round(50 + 40 * math.sin(0.3 * seconds))
        image = wide[top : top + height, left : left + width].copy()
        for actor in actors:
            _paste(image, actor, seconds)
        for x0, x1 in bars:
            image[:, round(x0) : round(x1)] = (90, 100, 80)
        if grains:
            image = np.clip(image + grains[i % 3], 0, 255).astype(np.uint8)
        yield Shot(image, seconds, _visible(actors, seconds, size_wh, bars))


def _background(generator: np.random.Generator, width: int, height: int) -> Any:
    """Soft structures of several sizes, uint8 RGB."""
    total = np.zeros((height, width, 3), dtype=np.float32)
    for cells, strength in ((6, 60.0), (24, 30.0), (96, 12.0)):
        small = generator.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 115, 0, 255).astype(np.uint8)


def _paste(image: Any, actor: Actor, seconds: float) -> None:
    """The picture with soft edges, at its place to a fraction of a pixel."""
    x, y, side = actor.place(seconds)
    picture, scale = actor.picture_rgb, side / actor.picture_rgb.shape[0]
    x0, y0 = max(math.floor(x - side / 2), 0), max(math.floor(y - side / 2), 0)
    x1, y1 = min(math.ceil(x + side / 2), image.shape[1]), min(math.ceil(y + side / 2), image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    if scale < 0.7:  # averaged down first, as a lens would
        smaller = cv2.resize(picture, None, fx=scale * 1.4, fy=scale * 1.4, interpolation=cv2.INTER_AREA)
        picture, scale = smaller, side / smaller.shape[0]
    to_frame = np.array([[scale, 0, x - side / 2 - x0], [0, scale, y - side / 2 - y0]])
    mask = np.zeros(picture.shape[:2], dtype=np.float32)
    centre = (picture.shape[1] // 2, picture.shape[0] // 2)
    cv2.ellipse(mask, centre, (int(0.46 * centre[0] * 2), int(0.49 * centre[1] * 2)), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), picture.shape[0] / 60)
    size_wh = (x1 - x0, y1 - y0)
    pasted = cv2.warpAffine(picture, to_frame, size_wh, flags=cv2.INTER_LINEAR).astype(np.float32)
    share = cv2.warpAffine(mask, to_frame, size_wh, flags=cv2.INTER_LINEAR)[..., None]
    blur = actor.blur(seconds)
    if blur > 0:
        pasted = cv2.GaussianBlur(pasted, (0, 0), blur)
    under = image[y0:y1, x0:x1]
    image[y0:y1, x0:x1] = np.clip(under * (1 - share) + pasted * actor.gain(seconds) * share, 0, 255).astype(np.uint8)


def _visible(
    actors: Sequence[Actor], seconds: float, size_wh: tuple[int, int], bars: Sequence[tuple[float, float]]
) -> list[Box | None]:
    """The boxes of faces of which more than half is to be seen."""
    boxes = [actor.box(seconds) for actor in actors]
    seen: list[Box | None] = []
    for i, box in enumerate(boxes):
        covers = [(x0, 0.0, x1, float(size_wh[1])) for x0, x1 in bars] + boxes[i + 1 :]
        area = (box[2] - box[0]) * (box[3] - box[1])
        inside = _common(box, (0.0, 0.0, float(size_wh[0]), float(size_wh[1])))
        hidden = sum(_common(box, cover) for cover in covers)
        seen.append(box if inside - hidden > 0.5 * area else None)
    return seen


def _common(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    common = _common(a, b)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def ids_of(boxes: Sequence[Box | None], faces: Sequence[tuple[int, Box]], least: float = 0.3) -> list[int | None]:
    """For each true box the id of the found box (id, box) that overlaps it most, or None."""
    found: list[int | None] = []
    for box in boxes:
        best = max(faces, key=lambda face: overlap(box, face[1]), default=None) if box is not None else None
        found.append(best[0] if box is not None and best is not None and overlap(box, best[1]) >= least else None)
    return found
