"""Which way up a frame is shown: FFmpeg's display matrix, as phones write it."""

from __future__ import annotations

from typing import Any

import numpy as np

from agewise.types import UInt8Array


def display_matrix(picture: Any) -> tuple[int, int, int, int] | None:
    """The signs (a, b, c, d) of a frame's display matrix, None where there is none or it turns nothing.

    After FFmpeg's `libavutil/display.h`: a point (x, y) is shown at (a·x + c·y, b·x + d·y).
    """
    for data in picture.side_data:
        if data.type.name == "DISPLAYMATRIX":
            values = np.frombuffer(bytes(data), np.int32)
            a, b, c, d = (int(np.sign(values[at])) if abs(int(values[at])) > 1 << 15 else 0 for at in (0, 1, 3, 4))
            return None if (a, b, c, d) == (1, 0, 0, 1) else (a, b, c, d)
    return None


def upright(image_rgb: UInt8Array, matrix: tuple[int, int, int, int] | None) -> UInt8Array:
    """A view of the picture turned and mirrored by right angles as its display matrix says."""
    if matrix is None:
        return image_rgb
    a, b, c, d = matrix
    if a and d and not (b or c):
        return image_rgb[::d, ::a]
    if b and c and not (a or d):
        return image_rgb.transpose(1, 0, 2)[::b, ::c]
    return image_rgb  # a slant: not a thing of cameras
