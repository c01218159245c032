"""uint8 crops to a network's numbers: the order of channels, the formula, the layout, each by a worked number."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pytest

from agewise.errors import ArrayError
from agewise.imaging.normalise import to_network_input
from agewise.types import FloatArray, UInt8Array

PLAIN: dict[str, Any] = {"color_order": "RGB", "scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def crops(n: int = 2, height: int = 3, width: int = 4) -> UInt8Array:
    """Every value occurs once, as long as they last."""
    return np.arange(n * height * width * 3).astype(np.uint8).reshape(n, height, width, 3)


def by_loops(
    crops_rgb: UInt8Array, color_order: str, scale: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> FloatArray:
    n, height, width, _ = crops_rgb.shape
    out = np.empty((n, 3, height, width))
    for i in range(n):
        for channel, letter in enumerate(color_order):
            for y in range(height):
                for x in range(width):
                    pixel = float(crops_rgb[i, y, x, "RGB".index(letter)])
                    out[i, channel, y, x] = (pixel * scale - mean[channel]) / std[channel]
    return out


def test_one_pixel_by_hand() -> None:
    """(255/255 − .5)/.25 = 2; (51/255 − .1)/.5 = .2; (0 − .2)/.1 = −2."""
    pixel = np.array([[[[255, 51, 0]]]], dtype=np.uint8)
    got = to_network_input(pixel, color_order="RGB", scale=1 / 255, mean=(0.5, 0.1, 0.2), std=(0.25, 0.5, 0.1))
    assert got.reshape(-1).tolist() == pytest.approx([2.0, 0.2, -2.0], abs=1e-6)


def test_mean_and_std_are_in_the_networks_own_order() -> None:
    """BGR: the same pixel comes as 0, 51, 255, and meets the same means in that order."""
    pixel = np.array([[[[255, 51, 0]]]], dtype=np.uint8)
    got = to_network_input(pixel, color_order="BGR", scale=1 / 255, mean=(0.5, 0.1, 0.2), std=(0.25, 0.5, 0.1))
    assert got.reshape(-1).tolist() == pytest.approx([-2.0, 0.2, 8.0], abs=1e-6)


@pytest.mark.parametrize("color_order", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (1.0, (127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
        (1 / 255, (0.0, 0.0, 0.1), (1.0, 2.0, 4.0)),
    ],
)
def test_against_plain_loops(color_order: Literal["RGB", "BGR"], scale: float, mean: Any, std: Any) -> None:
    got = to_network_input(crops(), color_order=color_order, scale=scale, mean=mean, std=std)
    expected = by_loops(crops(), color_order, scale, mean, std)
    assert np.abs(got - expected).max() <= 2e-6 * max(1.0, float(np.abs(expected).max()))


@pytest.mark.parametrize("color_order", ["RGB", "BGR"])
def test_the_form_of_the_result(color_order: Literal["RGB", "BGR"]) -> None:
    source = crops()
    kept = source.copy()
    got = to_network_input(source, **PLAIN | {"color_order": color_order})
    assert got.shape == (2, 3, 3, 4)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert np.array_equal(source, kept)
    assert not np.shares_memory(got, source)


def test_a_crop_that_is_a_view_gives_the_same() -> None:
    wide = crops(2, 3, 8)
    view = wide[:, :, ::2]
    assert np.array_equal(to_network_input(view, **PLAIN), to_network_input(view.copy(), **PLAIN))


def test_none_give_none() -> None:
    assert to_network_input(crops(0), **PLAIN).shape == (0, 3, 3, 4)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((3, 4, 3), dtype=np.uint8), "uint8 (3, 4, 3)"),
        (np.zeros((2, 3, 4, 4), dtype=np.uint8), "uint8 (2, 3, 4, 4)"),
        (np.zeros((2, 3, 4), dtype=np.uint8), "uint8 (2, 3, 4)"),
        (np.zeros((2, 3, 4, 3)), "float64 (2, 3, 4, 3)"),
        (np.zeros((2, 3, 4, 3), dtype=np.int8), "int8 (2, 3, 4, 3)"),
    ],
)
def test_other_arrays_are_refused(array: Any, got: str) -> None:
    with pytest.raises(ArrayError, match=re.escape(f"crops must be uint8 RGB (n, size, size, 3), got {got}")):
        to_network_input(array, **PLAIN)
