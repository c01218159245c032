"""From an array in any of the usual forms to RGB, uint8 (height, width, 3). What `read` shares with it lives here too.

An array carries no colour order and no scale. The order must be said; the scale follows from the type,
and values that do not fit it are refused rather than guessed.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from agewise.errors import ArrayError, ImageTooLargeError, unknown_name
from agewise.types import UInt8Array

ColorOrder: TypeAlias = Literal["RGB", "BGR", "GRAY", "RGBA", "BGRA"]

_CHANNELS: dict[ColorOrder, int] = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
_SHAPES = {1: "(height, width) or (height, width, 1)", 3: "(height, width, 3)", 4: "(height, width, 4)"}


def rgb_from_array(array: npt.NDArray[Any], color_order: ColorOrder | None, max_pixels: int) -> UInt8Array:
    """An array as `agewise.imaging.read_image` describes it → RGB, uint8 (height, width, 3), C-contiguous.

    Raises:
        ArrayError: no colour order, or an array of another shape, type or range.
        ImageTooLargeError: more pixels than `max_pixels`.
    """
    array = np.asarray(array)  # drops the subclass: a matrix or a masked array has rules of its own
    if color_order is None:
        orders = ", ".join(get_args(ColorOrder))
        raise ArrayError(
            f"an array {array.shape} does not say its colours: pass color_order, one of {orders}"
            " (OpenCV gives BGR; PIL, imageio and scikit-image give RGB)"
        )
    if color_order not in _CHANNELS:
        raise ArrayError(unknown_name("color_order", color_order, _CHANNELS))
    _check_shape(array, color_order)
    check_pixels((array.shape[1], array.shape[0]), f"array {array.shape}", max_pixels)
    pixels = _to_uint8(array)
    if color_order == "GRAY":
        return gray_to_rgb(np.ascontiguousarray(pixels.reshape(pixels.shape[:2])))
    if color_order in ("BGR", "BGRA"):
        code = cv2.COLOR_BGR2RGB if color_order == "BGR" else cv2.COLOR_BGRA2RGBA
        pixels = cast(UInt8Array, cv2.cvtColor(pixels, code))
    if pixels.shape[2] == 4:
        return _over_white(pixels)
    return np.ascontiguousarray(pixels)


def _check_shape(array: npt.NDArray[Any], color_order: ColorOrder) -> None:
    """Raise an `ArrayError` that says how to mend the shape."""
    channels, shape = _CHANNELS[color_order], array.shape
    if (array.ndim == 3 and shape[2] == channels) or (array.ndim == 2 and channels == 1):
        if 0 in shape:
            raise ArrayError(f"the array is empty, shape {shape}: it has no pixels")
        return
    hint = ""
    if array.ndim == 1:
        hint = "; for an encoded file pass array.tobytes()"
    elif array.ndim == 4:
        hint = "; pass one picture at a time"
    elif array.ndim == 3 and shape[0] == channels:
        hint = "; if channels come first: numpy.moveaxis(array, 0, -1)"
    elif array.ndim in (2, 3):
        fits = [order for order, n in _CHANNELS.items() if n == (*shape, 1)[2]]
        hint = f"; this shape fits color_order {' or '.join(fits)}" if fits else ""
    raise ArrayError(f"{color_order} needs an array {_SHAPES[channels]}, got shape {shape}{hint}")


def _to_uint8(array: npt.NDArray[Any]) -> UInt8Array:
    """uint8 as it is, uint16 scaled from 0..65535, floats from 0..1; refuse all else."""
    if array.dtype == np.uint8:
        return cast(UInt8Array, array)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return scaled_to_uint8(array, 65535)
    if array.dtype.kind != "f":
        raise ArrayError(f"expected uint8, uint16, or floats 0..1, got {array.dtype}: convert it first")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise ArrayError(f"{bad} of {array.size} values are NaN or infinite: expected floats 0..1")
    low, high = array.min(), array.max()
    if low < 0 or high > 1:
        raise ArrayError(
            f"float values from {low:g} to {high:g}: expected 0..1; clip them, or divide by 255, or convert to uint8"
        )
    return scaled_to_uint8(array, 1)


def _over_white(pixels_rgba: UInt8Array) -> UInt8Array:
    """Compose RGBA (alpha not premultiplied) over white, rounded to the nearest."""
    alpha = pixels_rgba[:, :, 3:].astype(np.uint16)
    mixed = pixels_rgba[:, :, :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def check_pixels(size_wh: tuple[int, int], name: str, max_pixels: int) -> None:
    """Raise an `ImageTooLargeError` where a picture has more pixels than the limit; `name` is for the message."""
    width, height = size_wh
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name}: {width}x{height} = {width * height:,} pixels, the limit is {max_pixels:,}:"
            f" make it smaller, or pass max_pixels={width * height} if you trust it"
        )


def scaled_to_uint8(values: npt.NDArray[Any], white: int) -> UInt8Array:
    """0..white → 0..255, rounded to the nearest; in float32, which holds every 16-bit number."""
    scaled: UInt8Array = np.rint(values.astype(np.float32) * np.float32(255 / white)).astype(np.uint8)
    return scaled


def gray_to_rgb(gray: UInt8Array) -> UInt8Array:
    """(height, width) → (height, width, 3), the same value in each channel."""
    return cast(UInt8Array, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))
