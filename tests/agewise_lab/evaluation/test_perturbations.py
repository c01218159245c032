"""Changes to pictures and boxes: nothing at the level of nothing, and what they say at others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.types import Detection, UInt8Array
from agewise_lab.evaluation import perturbations
from agewise_lab.evaluation.perturbations import FAMILIES

POINTS = np.asarray(UTKFACE_TEMPLATE) * 60 + [20, 10]
FACE = Detection((20, 10, 80, 70), 0.9, POINTS)


@pytest.fixture(scope="module")
def image(clouds: Callable[..., UInt8Array]) -> UInt8Array:
    return clouds(5, 100)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("scale", 1),
        ("brightness", 1),
        ("gamma", 1),
        ("side_light", 1),
        ("shift", 0),
        ("zoom", 1),
        ("rotate", 0),
        ("jitter", 0),
    ],
)
def test_no_change_changes_nothing(name: str, nothing: float, image: UInt8Array) -> None:
    changed, face = getattr(perturbations, name)(image, FACE, nothing, _rng())
    assert np.array_equal(changed, image)
    assert face == FACE
    assert face.landmarks_xy == pytest.approx(POINTS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_all_levels_give_a_picture_and_leave_the_first_one_alone(
    family: perturbations.Family,
) -> None:
    image = _rng().integers(0, 256, (400, 400, 3), dtype=np.uint8)
    before = image.copy()
    for level in family.levels:
        for face in (Detection((80, 40, 320, 280), 0.9, POINTS * 4), Detection((0, 0, 400, 400), 1.0, is_crop=True)):
            changed, moved = family.change(image, face, level, _rng())
            again, moved_again = family.change(image, face, level, _rng())
            assert np.array_equal(changed, again)
            assert moved == moved_again
            assert (changed.dtype, changed.ndim, moved.is_crop) == (np.uint8, 3, face.is_crop)
            assert not np.array_equal(changed, image) or moved != face
    assert np.array_equal(image, before)


def test_more_is_more(image: UInt8Array) -> None:
    def difference(name: str, level: float) -> float:
        changed, _ = getattr(perturbations, name)(image, FACE, level, _rng())
        return float(np.abs(changed.astype(float) - image).mean())

    assert difference("jpeg", 95) < difference("jpeg", 60) < difference("jpeg", 10)
    assert difference("blur", 0.01) < difference("blur", 0.02) < difference("blur", 0.1)


def test_blur_is_a_share_of_the_face(image: UInt8Array) -> None:
    small, large = Detection((0, 0, 50, 50), 1.0), Detection((0, 0, 100, 100), 1.0)
    once, _ = perturbations.blur(image, small, 0.08, _rng())
    twice, _ = perturbations.blur(image, large, 0.04, _rng())
    assert np.array_equal(once, twice)


def test_a_scaled_picture_shows_the_same_face(image: UInt8Array) -> None:
    small, face = perturbations.scale(image, FACE, 0.5, _rng())
    assert small.shape == (50, 50, 3)
    assert face.box_xyxy == (10, 5, 40, 35)
    before, after = (crop_face(*pair, CropSpec(), 24) for pair in ((image, FACE), (small, face)))
    assert np.abs(before.astype(float) - after).mean() < 2


@pytest.mark.parametrize(
    ("name", "level", "value"), [("brightness", 0.5, 50), ("brightness", 3, 255), ("gamma", 2, 39)]
)
def test_values(name: str, level: float, value: int) -> None:
    grey = np.full((4, 4, 3), 100, dtype=np.uint8)
    changed, _ = getattr(perturbations, name)(grey, FACE, level, _rng())
    assert (changed == value).all()  # 255 · (100 / 255)² = 39.2


def test_light_from_one_side() -> None:
    grey = np.full((100, 100, 3), 200, dtype=np.uint8)
    for seed in range(8):
        lit, same = perturbations.side_light(grey, FACE, 0.1, _rng(seed))
        assert same == FACE
        columns = lit[40, 20:80, 0].astype(float)  # through the middle of the face
        if columns[0] > columns[-1]:
            columns = columns[::-1]
        assert (np.diff(columns) >= -4).all()  # brighter towards the lamp; its height lets it fall off at the very edge
        assert columns[0] == pytest.approx(200 * 0.1 ** (1 / 2.2), abs=1)
        assert columns.max() > 150
        assert lit.max() <= 200
        assert (lit[:, :, 0] == lit[:, :, 2]).all()


def test_shift_has_the_stated_length(image: UInt8Array) -> None:
    for seed in range(5):
        _, face = perturbations.shift(image, FACE, 0.1, _rng(seed))
        moved = np.subtract(face.box_xyxy, FACE.box_xyxy)
        assert np.hypot(*moved[:2]) == pytest.approx(6)
        assert moved[:2] == pytest.approx(moved[2:])
        assert face.landmarks_xy == pytest.approx(POINTS + moved[:2])


def test_zoom_is_about_the_centre(image: UInt8Array) -> None:
    _, face = perturbations.zoom(image, FACE, 1.2, _rng())
    assert face.box_xyxy == pytest.approx((14, 4, 86, 76))
    assert face.landmarks_xy == pytest.approx((POINTS - [50, 40]) * 1.2 + [50, 40])


def test_jitter_stays_within_its_share_and_moves_each_edge_apart(image: UInt8Array) -> None:
    moves = np.array(
        [
            np.subtract(perturbations.jitter(image, FACE, 0.05, _rng(seed))[1].box_xyxy, FACE.box_xyxy)
            for seed in range(200)
        ]
    )
    assert np.abs(moves).max() <= 3
    assert np.abs(moves).max(axis=0) == pytest.approx([3] * 4, abs=0.2)
    assert np.abs(np.corrcoef(moves.T) - np.eye(4)).max() < 0.3
    _, face = perturbations.jitter(image, FACE, 0.05, _rng())
    assert 0 < np.abs(face.landmarks_xy - POINTS).max() <= 3


def test_turning_goes_about_the_face_and_back() -> None:
    picture = np.zeros((101, 101, 3), dtype=np.uint8)
    picture[10, 50] = 255  # above the centre of a face in the middle
    face = Detection((20, 20, 81, 81), 1.0)
    turned, same = perturbations.rotate(picture, face, 90, _rng())
    assert same == face
    assert np.argwhere(turned[:, :, 0] > 128).tolist() == [[50, 10]]  # counter-clockwise: to its image-left


def test_mirrored_twice_is_the_same(image: UInt8Array) -> None:
    once, face = perturbations.flip(image, FACE, 1, _rng())
    assert np.array_equal(once, image[:, ::-1])
    assert face.box_xyxy == (20, 10, 80, 70)
    points = face.landmarks_xy
    assert points is not None
    assert points[0, 0] < points[1, 0]  # image-left eye first
    assert points[3, 0] < points[4, 0]
    twice, back = perturbations.flip(once, face, 1, _rng())
    assert np.array_equal(twice, image)
    assert back.landmarks_xy == pytest.approx(POINTS)
