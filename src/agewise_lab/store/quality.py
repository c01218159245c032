"""How good a stored face is to look at: its side in the picture, and how sharp its crop is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2

from agewise.types import Box, UInt8Array

_SIDE = 112  # sharpness depends on the size, so all crops are compared at one


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of one face.

    Args:
        face_side_px: the side of a square as large as the face's box, in pixels of the picture.
        sharpness: the variance of the Laplacian of the grey crop at 112 px; about 10 and less is blurred.
    """

    face_side_px: float
    sharpness: float


def measure(box_xyxy: Box, crop_rgb: UInt8Array) -> Quality:
    """The quality of a face, from its box in the picture and its crop, uint8 RGB (side, side, 3)."""
    x0, y0, x1, y1 = box_xyxy
    grey = cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY)
    larger = max(grey.shape) > _SIDE
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if larger else cv2.INTER_LINEAR)
    return Quality(math.sqrt((x1 - x0) * (y1 - y0)), float(cv2.Laplacian(small, cv2.CV_64F).var()))
