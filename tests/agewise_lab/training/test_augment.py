"""Augmentation: none of it is the crop that is served, each knob does something, a seed gives the same picture."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import Detection, UInt8Array
from agewise_lab.training.augment import NO_AUGMENTATION, AugmentConfig, augment_crop, augment_twice

KNOBS = [
    *("flip", "rotate_degrees", "scale", "shift", "shear", "colour", "grey"),
    *("low_resolution", "few_pixels", "blur", "dark", "uneven", "noise", "jpeg", "erase"),
]


@pytest.fixture(scope="module")
def crop(chip: UInt8Array) -> UInt8Array:
    entire = Detection((0, 0, 200, 200), 1.0, is_crop=True)
    return crop_face(chip, entire, CropSpec(), 80)


def _augmented(crop: UInt8Array, config: AugmentConfig, seed: int = 0, size: int = 48) -> UInt8Array:
    return augment_crop(crop, size, config, np.random.default_rng(seed))


@pytest.mark.parametrize("size", [16, 48, 80, 100])
def test_without_augmentation_it_is_the_served_crop_to_the_bit(crop: UInt8Array, size: int) -> None:
    entire = Detection((0, 0, 80, 80), 1.0, is_crop=True)
    assert np.array_equal(_augmented(crop, NO_AUGMENTATION, size=size), crop_face(crop, entire, CropSpec(), size))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_changes_the_picture(crop: UInt8Array, knob: str, seed: int) -> None:
    value = {"rotate_degrees": 15.0, "scale": 0.2, "shift": 0.1, "shear": 0.2}.get(knob, 1.0)
    changed = _augmented(crop, dataclasses.replace(NO_AUGMENTATION, **{knob: value}), seed)
    plain = _augmented(crop, NO_AUGMENTATION, seed)
    assert np.abs(changed.astype(int) - plain).mean() > 0.5
    # It is still the same face.
    assert np.corrcoef(changed.ravel(), plain.ravel())[0, 1] > 0.3


@pytest.mark.parametrize("size", [16, 33, 48])
@pytest.mark.parametrize("seed", range(4))
def test_shape_type_and_layout(crop: UInt8Array, size: int, seed: int) -> None:
    image = _augmented(crop, dataclasses.replace(AugmentConfig(), **dict.fromkeys(KNOBS[5:], 1.0)), seed, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_a_seed_gives_the_same_picture_and_another_one_another(crop: UInt8Array) -> None:
    config = AugmentConfig()
    assert np.array_equal(_augmented(crop, config, 1), _augmented(crop, config, 1))
    assert not np.array_equal(_augmented(crop, config, 1), _augmented(crop, config, 2))


def test_the_stored_crop_is_not_written_to(crop: UInt8Array) -> None:
    before = crop.copy()
    for seed in range(10):
        _augmented(crop, dataclasses.replace(AugmentConfig(), **dict.fromkeys(KNOBS[5:], 1.0)), seed, 80)
    assert np.array_equal(crop, before)


def test_a_flip_is_a_mirror_image(crop: UInt8Array) -> None:
    flipped = _augmented(crop, dataclasses.replace(NO_AUGMENTATION, flip=1.0))
    mirror = _augmented(crop, NO_AUGMENTATION)[:, ::-1]
    assert np.abs(flipped.astype(int) - mirror).max() <= 2


def test_grey_has_no_colour(crop: UInt8Array) -> None:
    image = _augmented(crop, dataclasses.replace(NO_AUGMENTATION, grey=1.0)).astype(int)
    assert np.ptp(image, axis=2).max() <= 1


@pytest.mark.parametrize(("knob", "value"), [("rotate_degrees", 10.0), ("scale", 0.1), ("shift", 0.05), ("shear", 0.1)])
def test_geometry_has_no_bias(chip: UInt8Array, knob: str, value: float) -> None:
    """A spot in the middle keeps its place and size on average, and black stays out: borders are replicated."""
    white = np.full((40, 40, 3), 255, dtype=np.uint8)
    spot = np.zeros((40, 40, 3), dtype=np.uint8)
    spot[16:24, 16:24] = 255
    config = dataclasses.replace(NO_AUGMENTATION, **{knob: value})
    centres, sizes = [], []
    for seed in range(200):
        assert _augmented(white, config, seed, 20).min() == 255
        image = _augmented(spot, config, seed, 40)[:, :, 0].astype(float)
        sizes.append(image.sum() / 255)
        centres.append([(image.sum(axis=axis) * (np.arange(40) + 0.5)).sum() / image.sum() for axis in (0, 1)])
    assert np.exp(np.mean(np.log(sizes))) == pytest.approx(64, rel=0.06)
    assert np.mean(centres, axis=0) == pytest.approx([20, 20], abs=0.5)
    assert (np.std(centres, axis=0).max() > 1) == (knob == "shift")


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_weakened(share: float) -> None:
    config = AugmentConfig(flip=0.4)
    weaker = config.weakened(share)
    assert weaker.flip == 0.4
    for knob in KNOBS[1:]:
        assert getattr(weaker, knob) == pytest.approx(share * getattr(config, knob)), knob
    assert (weaker == config) == (share == 1.0)


def test_weakening_leaves_how_things_are_drawn() -> None:
    how = {
        "blur_sigma": (1.0, 3.0),
        "erase_area": (0.1, 0.2),
        "erase_aspect": 2.0,
        "crop": 0.1,
        "spread": "uniform",
        "each": 0.25,
    }
    config = dataclasses.replace(AugmentConfig(brightness=0.4), **how)
    weaker = config.weakened(0.5)
    assert {name: getattr(weaker, name) for name in how} == how
    assert weaker.brightness == 0.2


def test_weakening_on_demand_leaves_what_moves_the_face() -> None:
    weaker = AugmentConfig(rotate_degrees=4.0, scale=0.1, shift=0.2, shear=0.3, dark=0.4).weakened(0.5, moves=False)
    assert (weaker.rotate_degrees, weaker.scale, weaker.shift, weaker.shear, weaker.dark) == (4.0, 0.1, 0.2, 0.3, 0.2)


def test_little_light_is_a_share_of_it_and_black_stays_black() -> None:
    ramp = np.arange(0, 250, 10, dtype=np.uint8).repeat(25).reshape(25, 25, 1).repeat(3, axis=2)
    config = dataclasses.replace(NO_AUGMENTATION, dark=1.0)
    for seed in range(30):
        image = _augmented(ramp, config, seed, 25).astype(float)
        share = image[-1, 0, 0] / 240
        assert 0.14 < share < 0.81
        assert np.abs(image - ramp * share).max() <= 1.6


def test_light_from_one_side() -> None:
    """A grey wall is as bright as before, or up to twice, on one side and darker on the other, in one direction."""
    grey = np.full((48, 48, 3), 60, dtype=np.uint8)
    config = dataclasses.replace(NO_AUGMENTATION, uneven=1.0)
    falls = []
    for seed in range(60):
        image = _augmented(grey, config, seed).astype(float)
        assert (image[:, :, 0] == image[:, :, 2]).all()
        assert image.min() >= 60 * 0.05 - 1
        assert image.max() <= 120
        down, across = np.gradient(image[:, :, 0])
        for change in (down, across):  # never up and down again
            assert (change >= -0.51).all() or (change <= 0.51).all()
        falls.append(image.min() / image.max())
    assert min(falls) < 0.2
    assert max(falls) > 0.6


def test_a_crop_lit_from_one_side_is_not_dark_too() -> None:
    wall = np.full((48, 48, 3), 100, dtype=np.uint8)
    lit = dataclasses.replace(NO_AUGMENTATION, uneven=1.0)
    both = dataclasses.replace(lit, dark=1.0)
    for seed in range(5):
        assert np.array_equal(_augmented(wall, lit, seed), _augmented(wall, both, seed))


def test_few_pixels_are_spoilt_before_they_are_enlarged() -> None:
    """Noise of a small face is coarse when it is enlarged: neighbours are alike. Noise of a large one is not."""
    grey = np.full((48, 48, 3), 128, dtype=np.uint8)

    def alike(few_pixels: float, seed: int) -> float:
        config = dataclasses.replace(NO_AUGMENTATION, few_pixels=few_pixels, noise=1.0)
        noise = _augmented(grey, config, seed)[:, :, 0].astype(float) - 128
        return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])

    coarse = [alike(1.0, seed) for seed in range(12)]
    assert max(abs(alike(0.0, seed)) for seed in range(12)) < 0.1
    assert min(coarse) > 0.1
    assert max(coarse) > 0.7  # of a quarter of the pixels


def test_a_small_face_is_blurred_in_shares_of_its_side() -> None:
    """An edge is as wide, in shares of the crop, whether it was blurred small or large."""
    edge = np.zeros((96, 96, 3), dtype=np.uint8)
    edge[:, 48:] = 255
    widths = []
    for few_pixels in (0.0, 1.0):
        config = dataclasses.replace(NO_AUGMENTATION, few_pixels=few_pixels, blur=1.0, blur_sigma=(6.0, 6.0))
        middles = [_augmented(edge, config, seed, 96)[48, :, 0].astype(float) for seed in range(40)]
        # Motion blurs, whose length is in pixels, are left out: they are narrower.
        widths.append(np.median([((row > 32) & (row < 223)).sum() for row in middles if 0 < row[40] < 110]))
    assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_a_wider_blur_takes_more_detail_away(crop: UInt8Array) -> None:
    def detail(sigma: float) -> float:
        config = dataclasses.replace(NO_AUGMENTATION, blur=1.0, blur_sigma=(sigma, sigma))
        images = [_augmented(crop, config, seed).astype(float) for seed in range(20)]
        return float(np.median([np.abs(np.diff(image, axis=1)).mean() for image in images]))

    assert detail(3.0) < 0.7 * detail(0.8)


# ---------------------------------------------------------------- two crops of a face


def _twice(
    crop: UInt8Array, first: AugmentConfig, second: AugmentConfig, seed: int = 0
) -> tuple[UInt8Array, UInt8Array]:
    return augment_twice(crop, 48, first, second, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_a_second_crop_without_augmentation_is_the_first_ones_place(crop: UInt8Array, seed: int) -> None:
    moved = AugmentConfig().weakened(0.0)
    moved = dataclasses.replace(moved, rotate_degrees=9.0, scale=0.1, shift=0.1, shear=0.1)
    first, second = _twice(crop, moved, NO_AUGMENTATION, seed)
    assert np.array_equal(first, second)
    coloured, plain = _twice(crop, dataclasses.replace(moved, grey=1.0), NO_AUGMENTATION, seed)
    assert np.ptp(coloured.astype(int), axis=2).max() <= 1
    assert np.array_equal(plain, second)


@pytest.mark.parametrize("seed", range(6))
def test_a_second_crop_is_moved_from_the_first_one_even_if_that_is_mirrored(seed: int) -> None:
    spot = np.zeros((64, 64, 3), dtype=np.uint8)
    spot[24:28, 36:40] = 255
    place = dataclasses.replace(NO_AUGMENTATION, flip=0.5, shift=0.08)
    first, second = _twice(spot, place, dataclasses.replace(NO_AUGMENTATION, shift=0.03), seed)
    _, still = _twice(spot, place, NO_AUGMENTATION, seed)
    assert np.array_equal(first, still)
    centres = [np.argwhere(image[:, :, 0] > 100).mean(axis=0) for image in (first, second)]
    assert 0 < np.abs(centres[0] - centres[1]).max() <= 3 * 0.03 * 48 + 1


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_a_second_crop_is_turned_as_the_first_one_is_seen_and_not_against_it_where_that_is_mirrored(seed: int) -> None:
    spot = np.zeros((64, 64, 3), dtype=np.uint8)
    spot[8:14, 40:46] = 255
    turned = dataclasses.replace(NO_AUGMENTATION, rotate_degrees=15.0)
    angles = []
    for flip in (0.0, 1.0):
        pair = _twice(spot, dataclasses.replace(NO_AUGMENTATION, flip=flip), turned, seed)
        first, second = (_direction(image) for image in pair)
        angles.append((second - first + 180) % 360 - 180)
    assert abs(angles[0]) > 2
    assert angles[1] == pytest.approx(angles[0], abs=1)


def _direction(image: UInt8Array) -> float:
    """Of the light's centre from the picture's, in degrees."""
    light, places = image[:, :, 0].astype(float), np.arange(len(image)) - (len(image) - 1) / 2
    return math.degrees(math.atan2((light * places[:, None]).sum(), (light * places).sum()))


def test_the_second_crop_leaves_the_first_as_it_is_alone(crop: UInt8Array) -> None:
    first, _ = _twice(crop, AugmentConfig(), AugmentConfig(), 7)
    assert np.array_equal(first, _augmented(crop, AugmentConfig(), 7))


# ---------------------------------------------------------------- as the published systems have it


def test_brightness_moves_all_pixels_by_one_amount() -> None:
    grey = np.full((16, 16, 3), 128, dtype=np.uint8)
    config = dataclasses.replace(NO_AUGMENTATION, brightness=63 / 255)
    levels = [_augmented(grey, config, seed, 16) for seed in range(60)]
    assert all(len(np.unique(level)) == 1 for level in levels)
    changes = np.array([int(level[0, 0, 0]) - 128 for level in levels])
    assert -64 <= changes.min() < -40
    assert 40 < changes.max() <= 63


def test_a_random_crop_shows_a_window_of_the_picture() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    config = dataclasses.replace(NO_AUGMENTATION, crop=0.25)
    lefts, widths = [], []
    for seed in range(40):
        row = _augmented(ramp, config, seed, 48)[24, :, 0].astype(float) / 255
        lefts.append(row[0])
        widths.append(row[-1] - row[0])
    assert np.array(widths) == pytest.approx(0.75, abs=0.03)
    assert min(lefts) < 0.05
    assert max(lefts) > 0.2


def test_uniform_changes_happen_as_often_as_asked() -> None:
    spot = np.zeros((64, 64, 3), dtype=np.uint8)
    spot[28:36, 28:36] = 255
    config = dataclasses.replace(NO_AUGMENTATION, shift=0.2, spread="uniform", each=0.25)
    moved = []
    for seed in range(200):
        image = _augmented(spot, config, seed, 64)[:, :, 0].astype(float)
        moved.append((image.sum(axis=0) * np.arange(64)).sum() / image.sum() - 31.5)
    share = np.mean(np.abs(moved) > 0.3)
    assert share == pytest.approx(0.25, abs=0.08)
    assert np.abs(moved).max() <= 0.2 * 64 + 0.5


def test_erased_rectangles_have_the_asked_size_and_shape() -> None:
    white = np.full((40, 40, 3), 255, dtype=np.uint8)
    config = dataclasses.replace(NO_AUGMENTATION, erase=1.0, erase_area=(0.1, 0.1), erase_aspect=1.0)
    for seed in range(10):
        rows, columns = np.where((_augmented(white, config, seed, 40) != 255).any(axis=2))
        assert np.ptp(rows) + 1 == pytest.approx(math.sqrt(0.1) * 40, abs=1.5)
        assert np.ptp(columns) + 1 == pytest.approx(math.sqrt(0.1) * 40, abs=1.5)


def test_weakened_to_nothing_leaves_the_flip(crop: UInt8Array) -> None:
    weakest = AugmentConfig(flip=0.0).weakened(0.0)
    assert np.array_equal(_augmented(crop, weakest, 5), _augmented(crop, NO_AUGMENTATION, 6))
