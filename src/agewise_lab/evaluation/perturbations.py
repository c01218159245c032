"""Small changes to a picture or to where its face is said to be, that should not change an age.

A family is one kind of change with its levels. Lengths are shares of the side of the face's box (the mean of its
width and height), so that they mean the same in pictures of any size. What is random is drawn from the generator
that is handed in, so that equal generators give equal pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np

from agewise.types import Detection, UInt8Array

Change: TypeAlias = Callable[[UInt8Array, Detection, float, np.random.Generator], tuple[UInt8Array, Detection]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of change.

    Args:
        name: for a table.
        title: for a reader, with the unit of the levels.
        levels: in the order of a curve.
        change: picture (uint8 RGB), face, level, generator → picture, face.
    """

    name: str
    title: str
    levels: tuple[float, ...]
    change: Change


def _side(face: Detection) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return ((x1 - x0) + (y1 - y0)) / 2


def _centre(face: Detection) -> tuple[float, float]:
    x0, y0, x1, y1 = face.box_xyxy
    return (x0 + x1) / 2, (y0 + y1) / 2


def _moved(face: Detection, factor: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> Detection:
    """The face's box and landmarks scaled about the box's centre and shifted, in pixels."""
    x, y = _centre(face)
    x0, y0, x1, y1 = face.box_xyxy
    box = (
        x + (x0 - x) * factor + dx,
        y + (y0 - y) * factor + dy,
        x + (x1 - x) * factor + dx,
        y + (y1 - y) * factor + dy,
    )
    points = face.landmarks_xy
    if points is not None:
        points = (points - [x, y]) * factor + [x + dx, y + dy]
    return replace(face, box_xyxy=box, landmarks_xy=points)


def jpeg(image: UInt8Array, face: Detection, quality: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Saved as JPEG (4:2:0) and read again."""
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    assert done
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None
    return np.ascontiguousarray(again[:, :, ::-1], dtype=np.uint8), face


def blur(image: UInt8Array, face: Detection, share: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Gaussian blur of a sigma of that share of the face's side."""
    blurred = cv2.GaussianBlur(image, (0, 0), share * _side(face), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.uint8), face


def scale(image: UInt8Array, face: Detection, factor: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """The picture averaged down to a share of its size, and the face with it."""
    height, width = image.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    x, y = size[0] / width, size[1] / height
    x0, y0, x1, y1 = face.box_xyxy
    points = None if face.landmarks_xy is None else face.landmarks_xy * [x, y]
    return small, replace(face, box_xyxy=(x0 * x, y0 * y, x1 * x, y1 * y), landmarks_xy=points)


def brightness(
    image: UInt8Array, face: Detection, factor: float, rng: np.random.Generator
) -> tuple[UInt8Array, Detection]:
    """Values times a factor, cut at 255."""
    table = np.clip(np.arange(256) * factor + 0.5, 0, 255).astype(np.uint8)
    return table[image], face


def gamma(image: UInt8Array, face: Detection, power: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Values, as shares of 255, to a power: below 1 brighter, above 1 darker."""
    table = np.clip(255 * (np.arange(256) / 255) ** power + 0.5, 0, 255).astype(np.uint8)
    return table[image], face


def side_light(
    image: UInt8Array, face: Detection, least: float, rng: np.random.Generator
) -> tuple[UInt8Array, Detection]:
    """Lit from one side: the other gets that share of the light, to the power of 1 / 2.2 as pixels store it.

    The head is an ellipsoid as wide as the face's box and 1.3 times as high, and as bright as Lambert's cosine law says
    for a lamp at its left or right, 20° below to 60° above it; what is around it is lit like its border.
    """
    (x, y), (height, width) = _centre(face), image.shape[:2]
    across = ((np.arange(width) + 0.5 - x) / (_side(face) / 2))[None, :, None]
    down = ((np.arange(height) + 0.5 - y) / (1.3 * _side(face) / 2))[:, None, None]
    beyond = np.maximum(1.0, np.hypot(across, down))
    across, down = across / beyond, down / beyond
    depth = np.sqrt(np.maximum(0.0, 1 - across**2 - down**2))
    elevation, sign = np.radians(rng.uniform(-20, 60)), rng.choice([-1, 1])
    lamp = np.array([sign * np.cos(elevation), -np.sin(elevation), 0.2]) / np.hypot(1, 0.2)
    cosine = np.maximum(0.0, lamp[0] * across + lamp[1] * down + lamp[2] * depth)
    light = (least + (1 - least) * cosine) ** (1 / 2.2)
    return np.clip(image * light + 0.5, 0, 255).astype(np.uint8), face


def shift(image: UInt8Array, face: Detection, share: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Box and landmarks moved by that share of the face's side, into a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    reach = share * _side(face)
    return image, _moved(face, dx=reach * np.cos(angle), dy=reach * np.sin(angle))


def zoom(image: UInt8Array, face: Detection, factor: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Box and landmarks made larger by a factor: above 1 the crop shows more around the face."""
    return image, _moved(face, factor=factor)


def rotate(
    image: UInt8Array, face: Detection, degrees: float, rng: np.random.Generator
) -> tuple[UInt8Array, Detection]:
    """The picture turned about the face's centre, under the same box and landmarks; borders replicated."""
    x, y = _centre(face)
    height, width = image.shape[:2]
    # To the coordinates of pixel centres, which cv2 works in.
    turn = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), degrees, 1.0)
    turned = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8), face


def jitter(image: UInt8Array, face: Detection, share: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Each edge of the box, and each coordinate of a landmark, moved by up to that share of the face's side.

    Uniformly and independently: an unsteady detector.
    """
    reach = share * _side(face)
    x0, y0, x1, y1 = np.asarray(face.box_xyxy) + rng.uniform(-reach, reach, 4)
    points = None if face.landmarks_xy is None else face.landmarks_xy + rng.uniform(-reach, reach, (5, 2))
    return image, replace(face, box_xyxy=(x0, y0, x1, y1), landmarks_xy=points)


def flip(image: UInt8Array, face: Detection, level: float, rng: np.random.Generator) -> tuple[UInt8Array, Detection]:
    """Mirrored, the face with it: the landmarks keep their order, image-left first."""
    width = image.shape[1]
    x0, y0, x1, y1 = face.box_xyxy
    points = face.landmarks_xy
    if points is not None:
        points = (np.asarray(points) * [-1, 1] + [width, 0])[[1, 0, 2, 4, 3]]
    mirrored = np.ascontiguousarray(image[:, ::-1])
    return mirrored, replace(face, box_xyxy=(width - x1, y0, width - x0, y1), landmarks_xy=points)


FAMILIES: tuple[Family, ...] = (
    Family(name="jpeg", title="JPEG, quality", levels=(95, 80, 60, 40, 20, 10), change=jpeg),
    Family(name="blur", title="blur, sigma / side", levels=(0.0025, 0.005, 0.01, 0.02, 0.04), change=blur),
    Family(name="scale", title="scaled to", levels=(0.75, 0.5, 0.35, 0.25, 0.15), change=scale),
    Family(name="brightness", title="brightness ×", levels=(0.4, 0.6, 0.8, 1.25, 1.5), change=brightness),
    Family(name="gamma", title="gamma", levels=(0.5, 0.7, 1.4, 2.0), change=gamma),
    Family(name="side light", title="lit from one side, the other ×", levels=(0.3, 0.1, 0.03), change=side_light),
    Family(name="shift", title="crop shifted, share of side", levels=(0.02, 0.05, 0.1, 0.15), change=shift),
    Family(name="zoom", title="crop's side ×", levels=(0.8, 0.9, 0.95, 1.05, 1.1, 1.2), change=zoom),
    Family(name="rotate", title="turned, degrees", levels=(-20, -10, -5, 5, 10, 20), change=rotate),
    Family(name="jitter", title="box and landmarks jittered, share of side", levels=(0.02, 0.05, 0.1), change=jitter),
    Family(name="flip", title="mirrored", levels=(1,), change=flip),
)
"""What `stability` goes through."""
