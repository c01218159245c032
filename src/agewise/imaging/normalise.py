"""From uint8 crops to a network's input."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np

from agewise.errors import ArrayError
from agewise.types import FloatArray, UInt8Array


def to_network_input(
    crops_rgb: UInt8Array,
    *,
    color_order: Literal["RGB", "BGR"],
    scale: float,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> FloatArray:
    """uint8 RGB (n, h, w, 3) → float32 (n, 3, h, w), contiguous: (pixel · scale − mean) / std.

    `mean` and `std` are in the order of `color_order`, the network's own.

    Raises:
        ArrayError: another shape or type.
    """
    if crops_rgb.ndim != 4 or crops_rgb.shape[3] != 3 or crops_rgb.dtype != np.uint8:
        raise ArrayError(f"crops must be uint8 RGB (n, size, size, 3), got {crops_rgb.dtype} {crops_rgb.shape}")
    n, height, width, _ = crops_rgb.shape
    ordered = crops_rgb if color_order == "RGB" else crops_rgb[..., ::-1]
    factor, offset = _factor_and_offset(scale, mean, std)
    planes = np.empty((n, 3, height, width), dtype=np.float32)
    # One pass: numpy turns uint8 into float32 a piece at a time, in the order that is being written.
    np.multiply(ordered.transpose(0, 3, 1, 2), factor, out=planes, dtype=np.float32)
    if offset is not None:
        planes -= offset
    return planes


@functools.lru_cache(maxsize=32)
def _factor_and_offset(
    scale: float, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray | None]:
    """scale / std and mean / std, float32 (3, 1, 1); None for an offset of nothing. Read only: they are shared."""
    divisor = np.asarray(std, dtype=np.float64)
    factor = (scale / divisor).astype(np.float32)[:, None, None]
    offset = (np.asarray(mean) / divisor).astype(np.float32)[:, None, None]
    factor.flags.writeable = offset.flags.writeable = False
    return factor, offset if offset.any() else None
