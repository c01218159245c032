"""Near-duplicates: what counts as the same photo, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from agewise.imaging import read_image
from agewise.types import UInt8Array
from agewise_lab.store import duplicates
from agewise_lab.store.duplicates import (
    MIN_CORRELATION,
    banded_pairs,
    duplicate_groups,
    joined,
    signature,
    signatures_of,
    similar_pairs,
    thumbnail,
)

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
    assert duplicate_groups(np.stack([thumbnail(image) for image in [*flat, chip]])).tolist() == [0, 1, 2, 3, 4]


def _thumbnails(*angles_degrees: float) -> UInt8Array:
    """Thumbnails in a plane that mirroring does not map to itself: their correlations are cosines, about."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((2, 1024))
    basis -= basis.mean(axis=1, keepdims=True)
    basis = np.linalg.qr(basis.T)[0].T
    radians = np.radians(angles_degrees)
    vectors = np.cos(radians)[:, None] * basis[0] + np.sin(radians)[:, None] * basis[1]
    return np.clip(np.round(127.5 + 900 * vectors), 0, 255).astype(np.uint8).reshape(-1, 32, 32)


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
    assert duplicate_groups(_thumbnails(*angles)).tolist() == groups


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


# ---------------------------------------------------------------- without comparing all


def _population(clouds: Callable[..., UInt8Array], count: int) -> UInt8Array:
    """Thumbnails that look alike as faces do: a common picture with much of its own in each."""
    common = clouds(10_000, 32).astype(float)
    own = np.stack([clouds(i, 32) for i in range(count)]).astype(float)
    return (0.4 * common + 0.6 * own).mean(axis=3).astype(np.uint8)


@pytest.fixture(scope="module")
def planted(clouds: Callable[..., UInt8Array]) -> tuple[UInt8Array, list[tuple[int, int]]]:
    """600 thumbnails, then changed copies of the first 150, and the pairs that were planted."""
    originals = _population(clouds, 600)
    rng = np.random.default_rng(1)
    copies = []
    for i, picture in enumerate(originals[:150]):
        noisy = picture + rng.normal(0, 3, picture.shape)
        copies.append([noisy, noisy[:, ::-1], noisy * 0.7 + 30][i % 3])
    return (
        np.concatenate([originals, np.clip(copies, 0, 255).astype(np.uint8)]),
        [(i, 600 + i) for i in range(150)],
    )


def test_the_banded_search_finds_what_all_pairs_find(planted: tuple[UInt8Array, list[tuple[int, int]]]) -> None:
    thumbnails, pairs = planted
    i, j, values = banded_pairs(thumbnails)
    all_pairs = {(a, b): value for a, b, value in similar_pairs(signatures_of(thumbnails), MIN_CORRELATION)}
    found = dict(zip(zip(i.tolist(), j.tolist(), strict=True), values.tolist(), strict=True))
    assert set(pairs) <= set(all_pairs), "the planted pairs must be near-duplicates for this to show anything"
    assert found.keys() == all_pairs.keys()
    for pair, value in found.items():
        assert value == pytest.approx(all_pairs[pair], abs=1e-5)


def test_the_banded_search_compares_few(
    planted: tuple[UInt8Array, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    correlations = duplicates._correlations

    def counting(thumbnails: UInt8Array, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.append(len(a))
        return correlations(thumbnails, a, b)

    monkeypatch.setattr(duplicates, "_correlations", counting)
    banded_pairs(planted[0])
    assert 150 <= sum(seen) < 750 * 749 / 2 / 50


def test_few_candidates_at_once_change_nothing(
    planted: tuple[UInt8Array, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = banded_pairs(planted[0])
    monkeypatch.setattr(duplicates, "_CANDIDATES", 7)
    parts = banded_pairs(planted[0])
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a, b)


def test_groups_are_the_same_by_either_search(
    planted: tuple[UInt8Array, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails, pairs = planted
    all_compared = duplicate_groups(thumbnails)
    monkeypatch.setattr(duplicates, "_ALL_PAIRS", 0)
    banded = duplicate_groups(thumbnails)
    assert np.array_equal(all_compared, banded)
    assert all(banded[a] == banded[b] for a, b in pairs)


def test_thousands_of_one_picture_are_one_group(chip: UInt8Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_ALL_PAIRS", 0)
    same = np.repeat(thumbnail(chip)[None], 5000, axis=0)
    same[7] = 90  # one colour
    groups = duplicate_groups(same)
    assert groups[7] == 7
    assert set(np.delete(groups, 7).tolist()) == {0}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_or_none(count: int, clouds: Callable[..., UInt8Array], monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = np.stack([thumbnail(clouds(i)) for i in range(2)])[:count]
    assert duplicate_groups(thumbnails).tolist() == list(range(count))
    monkeypatch.setattr(duplicates, "_ALL_PAIRS", 0)
    assert duplicate_groups(thumbnails).tolist() == list(range(count))


def test_joining_is_transitive_and_named_by_the_first() -> None:
    assert joined(6, [(5, 4), (4, 1), (2, 3)]).tolist() == [0, 1, 2, 2, 1, 1]


def test_a_thumbnail_keeps_all_that_a_signature_needs(chip: UInt8Array) -> None:
    small = thumbnail(chip)
    assert (small.shape, small.dtype) == ((32, 32), np.uint8)
    restored = np.frombuffer(small.tobytes(), dtype=np.uint8).reshape(1, 32, 32)
    assert np.array_equal(signatures_of(restored)[0], signature(chip))


def test_utkface_loses_nothing_by_the_banded_search(utkface: Path) -> None:
    images = [read_image(path) for path in sorted(utkface.glob("6[0-3]_*"))]
    thumbnails = np.stack([thumbnail(image) for image in images])
    expected = {(i, j) for i, j, _ in similar_pairs(signatures_of(thumbnails), MIN_CORRELATION)}
    assert len(expected) > 5
    i, j, _ = banded_pairs(thumbnails)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected
