"""Crops against pictures whose every pixel is known."""

from __future__ import annotations

import math
import re
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from agewise.imaging import crop
from agewise.imaging.crop import (
    UTKFACE_TEMPLATE,
    CropSpec,
    box_transform,
    crop_face,
    crop_transform,
    similarity_transform,
)
from agewise.types import Box, Detection, FloatArray, UInt8Array

TEMPLATE = np.asarray(UTKFACE_TEMPLATE)
BOX = CropSpec(kind="box")
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def noise_rgb(height: int, width: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def waves_rgb(height: int, width: int) -> UInt8Array:
    """Smooth, without any symmetry: it may be turned and scaled with little loss."""
    y, x = np.mgrid[0:height, 0:width]
    parts = [np.sin(x / 17 + y / 40), np.sin(y / 23 - x / 60 + 1), np.sin((x + 2 * y) / 50 + 2)]
    return np.stack([128 + 100 * part for part in parts], axis=2).astype(np.uint8)


def from_gray(values: npt.NDArray[Any]) -> UInt8Array:
    return np.asarray(cv2.cvtColor(values.astype(np.uint8), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def face(box_xyxy: Box, landmarks_xy: FloatArray | None = None, **options: Any) -> Detection:
    return Detection(box_xyxy, 1.0, landmarks_xy, **options)


def difference(a: UInt8Array, b: UInt8Array, *, border: int = 0) -> int:
    """The largest difference, without a border of so many pixels."""
    assert a.shape == b.shape
    inner = slice(border, -border or None)
    return int(np.abs(a[inner, inner].astype(int) - b[inner, inner].astype(int)).max())


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> FloatArray:
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def moved(points_xy: FloatArray, transform: FloatArray) -> FloatArray:
    return np.asarray(points_xy @ transform[:, :2].T + transform[:, 2])


# ---------------------------------------------------------------- transforms


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -135])
@pytest.mark.parametrize("scale", [0.01, 1.0, 37.0])
def test_similarity_transform_finds_the_transform_that_was_applied(scale: float, degrees: float) -> None:
    truth = similarity(scale, degrees, (5.0, -70.0))
    assert np.allclose(similarity_transform(TEMPLATE, moved(TEMPLATE, truth)), truth)


def test_similarity_transform_is_the_best_of_its_kind() -> None:
    rng = np.random.default_rng(0)
    points, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    best = similarity_transform(points, target)

    def error(transform: FloatArray) -> float:
        return float(((moved(points, transform) - target) ** 2).sum())

    a, b, shift = best[0, 0], best[1, 0], best[:, 2]
    for da, db, dx, dy in rng.normal(scale=0.05, size=(200, 4)):
        other = np.array([[a + da, -b - db, shift[0] + dx], [b + db, a + da, shift[1] + dy]])
        assert error(other) > error(best)


@pytest.mark.parametrize(
    ("points", "target", "message"),
    [
        (np.zeros((5, 2)), TEMPLATE, "all points are the same"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "n >= 2, got (1, 2)"),
        (TEMPLATE, TEMPLATE[:3], "got (5, 2) and (3, 2)"),
        (TEMPLATE.ravel(), TEMPLATE.ravel(), "got (10,)"),
    ],
)
def test_similarity_transform_refuses(points: FloatArray, target: FloatArray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        similarity_transform(points, target)


@pytest.mark.parametrize(
    ("box", "margin", "square", "region"),
    [
        ((10, 20, 30, 60), 0.0, False, (10, 20, 30, 60)),
        ((10, 20, 30, 60), 0.5, False, (0, 0, 40, 80)),
        ((10, 20, 30, 60), 0.0, True, (0, 20, 40, 60)),
        ((10, 20, 30, 60), 0.4, True, (-16, 4, 56, 76)),
        ((20, 10, 60, 30), 0.0, True, (20, 0, 60, 40)),
        ((10, 20, 30, 60), -0.25, False, (15, 30, 25, 50)),
    ],
)
def test_box_transform_maps_its_region_to_the_unit_square(box: Box, margin: float, square: bool, region: Box) -> None:
    x0, y0, x1, y1 = region
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=float)
    units = moved(corners, box_transform(box, margin, square))
    assert np.allclose(units, [[0, 0], [1, 0], [0, 1], [1, 1]])


def test_landmarks_at_the_template_give_the_identity() -> None:
    points = TEMPLATE * 200
    transform = crop_transform(face((50, 50, 90, 120), points), CropSpec())
    assert np.allclose(transform * 200, IDENTITY, atol=1e-9)
    picture = noise_rgb(200, 200)
    assert difference(crop_face(picture, face((50, 50, 90, 120), points), CropSpec(), 200), picture) == 0


@pytest.mark.parametrize(
    ("what", "landmarks", "spec"),
    [
        ("no landmarks", None, CropSpec(margin=0.2)),
        ("all on one point", np.full((5, 2), 40.0), CropSpec(margin=0.2)),
        ("all within a pixel", np.full((5, 2), 40.0) + np.eye(5, 2) * 0.9, CropSpec(margin=0.2)),
        ("landmarks not wanted", TEMPLATE * 100, CropSpec(kind="box", margin=0.2)),
    ],
)
def test_the_box_is_cut_where_landmarks_do_not_serve(what: str, landmarks: Any, spec: CropSpec) -> None:
    picture = noise_rgb(100, 100)
    expected = crop_face(picture, face((30, 20, 70, 90)), CropSpec(kind="box", margin=0.2), 32)
    assert np.array_equal(crop_face(picture, face((30, 20, 70, 90), landmarks), spec, 32), expected), what


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize("side", [1, 2, 63, 64, 200])
def test_the_whole_picture_at_its_own_size_is_the_picture(side: int) -> None:
    picture = noise_rgb(side, side)
    assert np.array_equal(crop_face(picture, face((0, 0, side, side)), BOX, side), picture)


def test_a_box_is_cut_to_the_pixel() -> None:
    picture = noise_rgb(90, 120)
    assert np.array_equal(crop_face(picture, face((20, 10, 84, 74)), BOX, 64), picture[10:74, 20:84])


@pytest.mark.parametrize("factor", [2, 3, 16])
def test_whole_multiples_are_averaged_exactly(factor: int) -> None:
    picture = noise_rgb(20 * factor, 20 * factor)
    blocks = picture.reshape(20, factor, 20, factor, 3).mean(axis=(1, 3))
    cut = crop_face(picture, face((0, 0, 20 * factor, 20 * factor)), BOX, 20)
    assert np.abs(cut - blocks).max() <= 1


@pytest.mark.parametrize("size", [1, 20, 97])
@pytest.mark.parametrize("factor", [3, 5, 7])
def test_means_of_odd_blocks_are_rounded_to_the_nearest(factor: int, size: int) -> None:
    """None lies halfway, so there is one right answer, by whichever of OpenCV's filters it comes."""
    side = size * factor
    for picture in (noise_rgb(side, side), noise_rgb(side, side) // 128 * 255):
        sums = picture.reshape(size, factor, size, factor, 3).sum(axis=(1, 3), dtype=np.int64)
        cut = crop_face(picture, face((0, 0, side, side)), BOX, size)
        assert np.array_equal(cut, (2 * sums + factor**2) // (2 * factor**2))


def test_a_box_is_stretched_or_widened_to_a_square() -> None:
    """A box of 20×40: stretched, its two halves fill the crop; widened, they fill the middle half."""
    picture = np.zeros((80, 80, 3), dtype=np.uint8)
    picture[20:60, 30:40], picture[20:60, 40:50] = 100, 200
    stretched = crop_face(picture, face((30, 20, 50, 60)), CropSpec(kind="box", square=False), 40)
    assert stretched[20, [3, 17, 22, 36], 0].tolist() == [100, 100, 200, 200]
    widened = crop_face(picture, face((30, 20, 50, 60)), BOX, 40)
    assert widened[20, [3, 12, 17, 22, 27, 36], 0].tolist() == [0, 100, 100, 200, 200, 0]


def test_a_margin_shows_more() -> None:
    picture = noise_rgb(100, 100)
    assert np.array_equal(
        crop_face(picture, face((40, 40, 60, 60)), CropSpec(kind="box", margin=0.5), 40), picture[30:70, 30:70]
    )


@pytest.mark.parametrize("box", [(-20, -10, 44, 54), (70, 60, 134, 124), (-30, -30, 130, 130), (300, 20, 364, 84)])
def test_beyond_the_picture_its_border_goes_on(box: Box) -> None:
    picture = noise_rgb(90, 110)
    side = round(box[2] - box[0])
    padded = np.pad(picture, ((400, 400), (400, 400), (0, 0)), mode="edge")
    x0, y0 = round(box[0]) + 400, round(box[1]) + 400
    assert np.array_equal(crop_face(picture, face(box), BOX, side), padded[y0 : y0 + side, x0 : x0 + side])


@pytest.mark.parametrize("degrees", [30, -30, 90, 170])
def test_a_turned_face_is_set_upright(degrees: float) -> None:
    """Turn a picture about its centre, with its landmarks: the crop is that of the picture as it was."""
    upright = waves_rgb(300, 300)
    points = TEMPLATE * 120 + 90
    expected = crop_face(upright, face((90, 90, 210, 210), points), CropSpec(), 120)
    centre = np.array([150.0, 150.0])
    turn = similarity(1.0, degrees, (0.0, 0.0))
    turn[:, 2] = centre - turn[:, :2] @ centre
    in_pixel_centres = turn.copy()
    in_pixel_centres[:, 2] += 0.5 * turn[:, :2].sum(axis=1) - 0.5
    turned = np.asarray(cv2.warpAffine(upright, in_pixel_centres, (300, 300)), dtype=np.uint8)
    got = crop_face(turned, face((90, 90, 210, 210), moved(points, turn)), CropSpec(), 120)
    assert difference(got, expected) <= 4
    assert difference(turned[90:210, 90:210], expected) > 100  # it was not upright before


def test_a_mirrored_face_gives_the_mirrored_crop() -> None:
    """Image-left stays image-left: in the mirrored picture the other eye is the left one."""
    even = ((0.3, 0.3), (0.7, 0.3), (0.5, 0.5), (0.35, 0.7), (0.65, 0.7))
    spec = CropSpec(template=even)
    picture = waves_rgb(240, 240)
    points = moved(np.asarray(even) * 100, similarity(1.1, 12, (50, 40)))
    mirrored_points = (points * [-1, 1] + [240, 0])[[1, 0, 2, 4, 3]]
    crop_here = crop_face(picture, face((1, 1, 2, 2), points), spec, 80)
    crop_there = crop_face(picture[:, ::-1], face((1, 1, 2, 2), mirrored_points), spec, 80)
    assert difference(crop_there[:, ::-1], crop_here) <= 2
    assert difference(crop_there, crop_here) > 100


def test_a_crop_of_any_size_shows_the_same() -> None:
    picture = waves_rgb(400, 400)
    where = face((1, 1, 2, 2), moved(TEMPLATE * 200, similarity(0.9, -20, (60, 130))))
    small, large = (crop_face(picture, where, CropSpec(), size) for size in (64, 128))
    averaged = large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small).max() <= 2


def test_a_face_of_any_size_gives_the_same_crop() -> None:
    picture = waves_rgb(100, 100)
    crops = []
    for scale in (1, 4, 25, 40):
        side = 100 * scale
        large = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
        crops.append(crop_face(large, face((0, 0, side, side)), BOX, 50))
    assert max(difference(crops[0], other) for other in crops[1:]) <= 1


@pytest.mark.parametrize(("side", "period"), [(512, 2), (1000, 2), (1024, 4), (4096, 4), (4096, 2)])
def test_fine_patterns_are_averaged_not_sampled(side: int, period: int) -> None:
    """Stripes and checkers much finer than a crop's pixel are mid-grey, wherever the samples would fall."""
    for offset in range(period):
        x = ((np.arange(side) + offset) // (period // 2) % 2 * 255).astype(np.uint8)
        for pattern in (np.tile(x, (side, 1)), x[:, None] ^ x[None, :]):
            cut = crop_face(from_gray(pattern), face((0, 0, side, side)), BOX, 64)
            assert np.abs(cut.astype(int) - 127.5).max() <= 8


def test_a_long_box_is_averaged_along_its_long_side() -> None:
    stripes = from_gray(np.tile((np.arange(1024) + 1) // 2 % 2 * 255, (64, 1)))
    cut = crop_face(stripes, face((0, 0, 1024, 64)), CropSpec(kind="box", square=False), 64)
    assert np.abs(cut.astype(int) - 127.5).max() <= 2


@pytest.mark.parametrize(("height", "width"), [(80, 80), (60, 80), (80, 50)])
def test_a_picture_that_is_the_crop_is_taken_whole(height: int, width: int) -> None:
    """The shorter side is widened by its border; landmarks, margin and kind play no part."""
    picture = noise_rgb(height, width)
    whole = face((0, 0, width, height), TEMPLATE * 30, is_crop=True)
    down, across = (80 - height) // 2, (80 - width) // 2
    expected = np.pad(picture, ((down, down), (across, across), (0, 0)), mode="edge")
    assert np.array_equal(crop_face(picture, whole, CropSpec(margin=0.7), 80), expected)


# ---------------------------------------------------------------- large pictures, limits


@pytest.mark.parametrize(("height", "width"), [(40, 40_000), (40_000, 40)])
def test_a_face_far_out_in_a_very_long_picture(height: int, width: int) -> None:
    picture = noise_rgb(height, width)
    x, y = max(width - 2_000, 0), max(height - 2_000, 0)
    assert np.array_equal(crop_face(picture, face((x, y, x + 40, y + 40)), BOX, 40), picture[y : y + 40, x : x + 40])
    corner = crop_face(picture, face((width - 20, height - 20, width + 20, height + 20)), BOX, 40)
    assert np.array_equal(corner, np.pad(picture[-20:, -20:], ((0, 20), (0, 20), (0, 0)), mode="edge"))
    outside = crop_face(picture, face((-900, -900, -860, -860)), BOX, 40)
    assert np.array_equal(outside, np.broadcast_to(picture[0, 0], (40, 40, 3)))


@pytest.mark.parametrize(("limit", "tolerance"), [(2, 12), (4, 6), (8, 3)])
def test_averaging_a_region_first_changes_little(limit: int, tolerance: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst is where the crop leaves the picture: the last block's average goes on instead of the last pixel."""
    picture = waves_rgb(700, 900)
    where = face((1, 1, 2, 2), moved(TEMPLATE, similarity(640, 25, (250, -100))))
    direct = crop_face(picture, where, CropSpec(), 64)
    monkeypatch.setattr(crop, "_MAX_OVERSAMPLING", limit)
    assert difference(crop_face(picture, where, CropSpec(), 64), direct) <= tolerance


def test_a_box_far_larger_than_the_picture_costs_no_more_than_the_picture() -> None:
    """One sample for each of its 100,000 by 100,000 pixels would be 30 GB."""
    picture = np.full((50, 60, 3), 90, dtype=np.uint8)
    cut = crop_face(picture, face((-49_975, -49_975, 50_025, 50_025)), BOX, 64)
    assert np.array_equal(cut, np.full((64, 64, 3), 90))


def test_the_picture_is_left_alone_and_may_be_any_view() -> None:
    picture = noise_rgb(120, 120)
    picture.flags.writeable = False
    for view in (picture, picture[::-1], picture[:, ::-1], picture[::2, ::2], np.asfortranarray(picture)):
        straight = np.ascontiguousarray(view)
        cut = crop_face(view, face((10, 12, 50, 52)), BOX, 40)
        assert np.array_equal(cut, straight[12:52, 10:50])
        assert cut.flags.c_contiguous


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "points"}, "crop kind must be 'landmarks' or 'box', got 'points'"),
        ({"template": ((0.1, 0.2),) * 4}, "a landmark template has five points"),
        ({"template": ((0.1, math.nan),) * 5}, "a landmark template has five points"),
        ({"margin": -0.5}, "margin is a share of the box, -0.4 to 2, got -0.5"),
        ({"margin": 2.1}, "got 2.1"),
        ({"margin": math.nan}, "got nan"),
    ],
)
def test_crop_specs_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CropSpec(**options)
