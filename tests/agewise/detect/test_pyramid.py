"""Cutting squares out of a picture at any size: the right place, the right shade, grey beyond."""

from __future__ import annotations

import numpy as np
import pytest

from agewise.detect import pyramid
from agewise.detect.pyramid import GREY, Pyramid
from agewise.types import UInt8Array


@pytest.fixture(scope="module")
def ramp() -> UInt8Array:
    """Red grows by a half a pixel to the right, green downwards; 400 wide, 300 high."""
    y, x = np.mgrid[0:300, 0:400]
    return np.stack([x / 2, y / 2, np.full_like(x, 40)], axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("square", [(10, 20, 34, 44), (100.5, 50.25, 220.5, 170.25), (0, 0, 300, 300), (7, 9, 13, 15)])
@pytest.mark.parametrize("size", [24, 48])
def test_a_cut_shows_its_square(ramp: UInt8Array, square: tuple[float, ...], size: int) -> None:
    (cut,) = Pyramid(ramp, 12).cut(np.array([square]), size).astype(float)
    centres = (np.arange(size) + 0.5) / size * (square[2] - square[0])
    red, green = (square[0] + centres - 0.5) / 2, (square[1] + centres - 0.5) / 2
    inner = slice(1, -1)  # at the picture's own border half a pixel is grey
    assert np.abs(cut[inner, inner, 0] - red[None, inner]).max() < 1.6
    assert np.abs(cut[inner, inner, 1] - green[inner, None]).max() < 1.6
    assert np.abs(cut[inner, inner, 2] - 40).max() <= 1


def test_cuts_of_very_different_sizes_come_back_in_their_order(ramp: UInt8Array) -> None:
    squares = np.array([[0, 0, 290, 290], [50, 60, 62, 72], [100, 10, 200, 110], [52, 60, 64, 72]], dtype=float)
    together = Pyramid(ramp, 12).cut(squares, 24)
    for i, square in enumerate(squares):
        np.testing.assert_array_equal(together[i], Pyramid(ramp, 12).cut(square[None], 24)[0])


@pytest.mark.parametrize(
    "square", [(-500, -500, -400, -400), (1e6, 10, 1e6 + 50, 60), (-1e7, -1e7, -9e6, -9e6), (500, 400, 524, 424)]
)
def test_beyond_the_picture_all_is_grey(ramp: UInt8Array, square: tuple[float, ...]) -> None:
    assert (Pyramid(ramp, 12).cut(np.array([square]), 24) == GREY).all()


def test_a_square_over_the_border_is_grey_on_that_side_only(ramp: UInt8Array) -> None:
    (cut,) = Pyramid(ramp, 12).cut(np.array([[-24.0, 100.0, 24.0, 148.0]]), 48)
    assert (cut[:, :23] == GREY).all()
    assert np.abs(cut[:, 25:, 0].astype(float) - np.arange(1, 24) / 2).max() < 1.1


@pytest.mark.parametrize(
    ("scale", "size_wh"), [(1.0, (400, 300)), (0.6, (240, 180)), (0.1, (40, 30)), (0.333, (134, 100))]
)
def test_a_level_is_the_whole_picture(ramp: UInt8Array, scale: float, size_wh: tuple[int, int]) -> None:
    level = Pyramid(ramp, 12).scaled(scale)
    assert level.shape == (size_wh[1], size_wh[0], 3)
    across = (np.arange(size_wh[0]) + 0.5) * 400 / size_wh[0] - 0.5
    assert np.abs(level[:, :, 0].astype(float) - across / 2).max() < 1.6


def test_fine_stripes_are_averaged_not_sampled() -> None:
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(Pyramid(stripes, 12).cut(np.array([[40.0, 40.0, 440.0, 440.0]]), 24).astype(int) - 100).max() <= 1


def test_a_picture_too_long_for_remap_is_cut_from_a_coarser_level(
    monkeypatch: pytest.MonkeyPatch, ramp: UInt8Array
) -> None:
    monkeypatch.setattr(pyramid, "_LONGEST_REMAP", 250)
    (cut,) = Pyramid(ramp, 12).cut(np.array([[100.0, 100.0, 124.0, 124.0]]), 24)
    assert np.abs(cut[:, :, 0].astype(float) - (100 + np.arange(24)) / 2).max() < 1.6
    long = np.full((40, 33_000, 3), 9, dtype=np.uint8)
    monkeypatch.undo()
    assert (Pyramid(long, 12).cut(np.array([[32_000.0, 8.0, 32_024.0, 32.0]]), 24) == 9).all()
