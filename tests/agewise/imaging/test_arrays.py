"""Arrays: each order, type and layout that is taken, and each that is refused, with what the message says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agewise.errors import ArrayError, ImageTooLargeError
from agewise.imaging.read import read_image
from agewise.types import UInt8Array

WIDE = [[0, 128, 32896, 65407, 65535]]  # 16-bit values and, to the nearest, their 8 bits
WIDE_8 = [[0, 0, 128, 255, 255]]


def gray_rgb(values: Any) -> UInt8Array:
    return np.repeat(np.asarray(values, dtype=np.uint8)[:, :, None], 3, axis=2)


def small(channels: int = 3) -> UInt8Array:
    return np.random.default_rng(1).integers(0, 256, (4, 6, channels), dtype=np.uint8)


ARRAYS: list[tuple[str, Any, Any, Any]] = [
    ("RGB", small(), "RGB", small()),
    ("BGR", small(), "BGR", small()[:, :, ::-1]),
    ("GRAY", small(1)[:, :, 0], "GRAY", gray_rgb(small(1)[:, :, 0])),
    ("GRAY with a channel", small(1), "GRAY", gray_rgb(small(1)[:, :, 0])),
    ("RGBA opaque", np.dstack([small(), np.full((4, 6), 255, np.uint8)]), "RGBA", small()),
    ("RGBA clear", np.dstack([small(), np.zeros((4, 6), np.uint8)]), "RGBA", np.full((4, 6, 3), 255)),
    ("RGBA a fifth", np.array([[[255, 0, 100, 51]]], np.uint8), "RGBA", [[[255, 204, 224]]]),
    ("BGRA a fifth", np.array([[[100, 0, 255, 51]]], np.uint8), "BGRA", [[[255, 204, 224]]]),
    ("uint16", np.array([[[0, 32896, 65535]]], np.uint16), "RGB", [[[0, 128, 255]]]),
    ("uint16, other byte order", np.array([[[0, 32896, 65535]]], ">u2"), "BGR", [[[255, 128, 0]]]),
    ("uint16 grey", np.array(WIDE, np.uint16), "GRAY", gray_rgb(WIDE_8)),
    ("float32", np.array([[[0, 0.5, 1]]], np.float32), "RGB", [[[0, 128, 255]]]),
    ("float64", np.array([[[0, 0.25, 1]]]), "BGR", [[[255, 64, 0]]]),
    ("float16", np.array([[[0, 0.5, 1]]], np.float16), "RGB", [[[0, 128, 255]]]),
    ("floats with alpha", np.array([[[1, 0, 0, 0.2]]]), "RGBA", [[[255, 204, 204]]]),
    ("columns first in memory", np.asfortranarray(small()), "RGB", small()),
    ("a view, backwards", small()[::-1, ::-1], "RGB", small()[::-1, ::-1]),
    ("a view, backwards, as OpenCV has it", small()[::-1, ::-1], "BGR", small()[::-1, ::-1, ::-1]),
    ("every second pixel", small()[::2, ::2], "BGR", small()[::2, ::2, ::-1]),
    ("a masked array", np.ma.masked_array(small(), mask=small() > 99), "RGB", small()),
    ("one pixel", np.full((1, 1, 3), 7, np.uint8), "RGB", [[[7, 7, 7]]]),
]


@pytest.mark.parametrize(("array", "order", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ARRAYS])
def test_arrays(array: Any, order: Any, expected: Any) -> None:
    before = array.copy()
    pixels = read_image(array, color_order=order)
    assert pixels.dtype == np.uint8
    assert type(pixels) is np.ndarray
    assert pixels.flags.c_contiguous
    assert pixels.tolist() == np.asarray(expected).tolist()
    assert np.array_equal(array, before)


def test_an_rgb_array_is_not_copied() -> None:
    array = small()
    assert read_image(array, color_order="RGB") is array


BAD_ARRAYS: list[tuple[str, Any, Any, str]] = [
    ("no order", small(), None, "an array (4, 6, 3) does not say its colours: pass color_order, one of RGB, BGR, GRAY"),
    ("unknown order", small(), "RBG", "unknown color_order 'RBG': did you mean"),
    ("four channels as RGB", small(4), "RGB", "got shape (4, 6, 4); this shape fits color_order RGBA or BGRA"),
    ("three channels as GRAY", small(), "GRAY", "got shape (4, 6, 3); this shape fits color_order RGB or BGR"),
    ("grey as RGB", small()[:, :, 0], "RGB", "got shape (4, 6); this shape fits color_order GRAY"),
    ("two channels", small(2), "RGB", "RGB needs an array (height, width, 3), got shape (4, 6, 2)"),
    ("channels first", np.zeros((3, 8, 9), np.uint8), "RGB", "numpy.moveaxis(array, 0, -1)"),
    ("a batch", np.zeros((2, 8, 9, 3), np.uint8), "RGB", "one picture at a time"),
    ("an encoded file", np.zeros(100, np.uint8), "RGB", "pass array.tobytes()"),
    ("no dimension", np.array(5, np.uint8), "GRAY", "got shape ()"),
    ("no rows", np.zeros((0, 5, 3), np.uint8), "RGB", "the array is empty, shape (0, 5, 3)"),
    ("no columns", np.zeros((5, 0), np.uint8), "GRAY", "the array is empty, shape (5, 0)"),
    ("nan", np.array([[[0.5, np.nan, 0.1]]]), "RGB", "1 of 3 values are NaN or infinite"),
    ("too high, masked", np.ma.masked_greater(np.array([[[0.0, 9.0, 1.0]]]), 1), "RGB", "float values from 0 to 9"),
    ("infinite", np.array([[[np.inf, 0, -np.inf]]]), "RGB", "2 of 3 values are NaN or infinite"),
    ("floats to 255", np.array([[[0.0, 255.0, 3.0]]]), "RGB", "float values from 0 to 255: expected 0..1"),
    ("floats about 0", np.array([[[-1.0, 1.0, 0.0]]]), "RGB", "float values from -1 to 1: expected 0..1"),
    ("bool", np.ones((2, 2, 3), bool), "RGB", "got bool"),
    ("int8", np.ones((2, 2, 3), np.int8), "RGB", "got int8"),
    ("int64", np.ones((2, 2, 3), np.int64), "RGB", "expected uint8, uint16, or floats 0..1, got int64"),
    ("uint32", np.ones((2, 2, 3), np.uint32), "RGB", "got uint32"),
    ("complex", np.ones((2, 2, 3), complex), "RGB", "got complex128"),
    ("objects", np.full((2, 2, 3), None), "RGB", "got object"),
]


@pytest.mark.parametrize(("array", "order", "message"), [pytest.param(*row[1:], id=row[0]) for row in BAD_ARRAYS])
def test_arrays_that_are_no_pictures(array: Any, order: Any, message: str) -> None:
    with pytest.raises(ArrayError) as caught:
        read_image(array, color_order=order)
    assert message in str(caught.value)


def test_an_array_over_the_limit_is_refused() -> None:
    with pytest.raises(ImageTooLargeError, match=r"array \(4, 6, 3\): 6x4 = 24 pixels, the limit is 23"):
        read_image(small(), color_order="RGB", max_pixels=23)
    assert read_image(small(), color_order="RGB", max_pixels=24).shape == (4, 6, 3)
