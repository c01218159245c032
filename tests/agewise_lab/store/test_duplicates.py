"""Near-duplicates: what counts as the same photo, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from agewise.types import UInt8Array
from agewise_lab.store import duplicates
from agewise_lab.store.duplicates import MIN_CORRELATION, duplicate_groups, signature, similar_pairs

Change = Callable[[UInt8Array], UInt8Array]


def _jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    decoded = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.asarray(decoded, dtype=np.uint8)


def _resize(image: UInt8Array, side: int) -> UInt8Array:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


SAME: dict[str, Change] = {
    "itself": lambda image: image,
    "saved again": lambda image: _jpeg(image, 30),
    "smaller": lambda image: _resize(image, 57),
    "larger": lambda image: _resize(image, 300),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "mirrored, small, saved again": lambda image: _jpeg(_resize(np.ascontiguousarray(image[:, ::-1]), 80), 40),
    "brighter": lambda image: np.clip(image.astype(int) + 25, 0, 255).astype(np.uint8),
    "less contrast": lambda image: (image // 2 + 60).astype(np.uint8),
    "grey": lambda image: np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
}
OTHER: dict[str, Change] = {
    "upside down": lambda image: np.ascontiguousarray(image[::-1]),
    "negative": lambda image: 255 - image,
    "a part of it": lambda image: image[40:140, 30:130],
    "shifted": lambda image: np.roll(image, 25, axis=1),
}


def _correlation(a: UInt8Array, b: UInt8Array) -> float:
    return max((value for *_, value in similar_pairs(np.stack([signature(a), signature(b)]), -2)), default=0.0)


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_the_same_photo(chip: UInt8Array, change: Change) -> None:
    assert _correlation(chip, change(chip)) >= MIN_CORRELATION


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER.keys())
def test_another_photo(chip: UInt8Array, change: Change) -> None:
    assert _correlation(chip, change(chip)) < MIN_CORRELATION


def test_a_signature_has_mean_zero_and_norm_one(chip: UInt8Array) -> None:
    values = signature(chip)
    assert values.shape == (1024,)
    assert values.dtype == np.float32
    assert abs(float(values.mean())) < 1e-6
    assert float(np.linalg.norm(values)) == pytest.approx(1, abs=1e-5)


def test_pictures_of_one_colour_are_no_duplicates_of_anything(chip: UInt8Array) -> None:
    flat = [np.full((50, 50, 3), value, dtype=np.uint8) for value in (0, 127, 127, 255)]
    assert duplicate_groups(np.stack([signature(image) for image in [*flat, chip]])).tolist() == [0, 1, 2, 3, 4]


def _vectors(*angles_degrees: float) -> np.ndarray:
    """Unit vectors in a plane that mirroring does not map to itself: their correlations are cosines."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((2, 1024))
    basis -= basis.mean(axis=1, keepdims=True)
    basis = np.linalg.qr(basis.T)[0].T
    radians = np.radians(angles_degrees)
    return (np.cos(radians)[:, None] * basis[0] + np.sin(radians)[:, None] * basis[1]).astype(np.float32)


@pytest.mark.parametrize(
    ("angles", "groups"),
    [
        ((0, 90), [0, 1]),
        ((0, 10), [0, 0]),  # cos 10° = 0.985
        ((0, 20), [0, 1]),  # cos 20° = 0.940
        ((0, 20, 10), [0, 0, 0]),  # the third joins the first two
        ((90, 0, 10, 100), [0, 1, 1, 0]),  # two groups, each named by its first
        ((40, 20, 0, 30, 10, 90), [0, 0, 0, 0, 0, 5]),  # a chain
    ],
)
def test_groups(angles: tuple[float, ...], groups: list[int]) -> None:
    assert duplicate_groups(_vectors(*angles)).tolist() == groups


def test_blocks_of_any_size_find_the_same_pairs(
    monkeypatch: pytest.MonkeyPatch, clouds: Callable[..., UInt8Array]
) -> None:
    images = [clouds(i) for i in range(11)]
    images[9] = np.ascontiguousarray(images[0][:, ::-1])
    images[10] = images[3]
    signatures = np.stack([signature(image) for image in images])
    whole = sorted((i, j) for i, j, _ in similar_pairs(signatures, MIN_CORRELATION))
    monkeypatch.setattr(duplicates, "_BLOCK", 3)
    parts = sorted((i, j) for i, j, _ in similar_pairs(signatures, MIN_CORRELATION))
    assert whole == parts == [(0, 9), (3, 10)]
