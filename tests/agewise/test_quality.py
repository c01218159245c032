"""Quality of a face's picture: worked numbers, geometry on a modelled head, and what blur and light must do."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest

from agewise.imaging import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.quality import ANSWER_ALL, QualityThresholds, angles, cut_share, measure, reasons, sharpness
from agewise.types import Detection, FloatArray, Quality, UInt8Array

GOOD = Quality(
    face_pixels=100.0,
    sharpness=0.4,
    brightness=0.5,
    clipped=0.01,
    yaw_degrees=3.0,
    pitch_degrees=-4.0,
    roll_degrees=2.0,
    cut=0.0,
    detector_score=0.99,
)


def texture(side: int, seed: int = 0) -> UInt8Array:
    """Structures of all sizes, the large ones the strongest, as in pictures: uint8 RGB (side, side, 3)."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC) / n**0.5
        for n in (2, 4, 8, 16, 32)
    ]
    total = np.sum(layers, axis=0)
    return np.asarray(255 * (total - total.min()) / np.ptp(total), dtype=np.uint8)


def head(yaw: float, pitch: float, roll: float) -> FloatArray:
    """The five points of a head with eyes at ±1/2, the mouth 1.046 below, the nose's tip 1/2 in front: turned, flat."""
    height, nose = 82.85 / 79.2, 47.65 / 79.2
    points = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, nose, 0.5], [-0.4, height, 0], [0.4, height, 0]])
    y, p, r = (math.radians(a) for a in (yaw, pitch, roll))
    turn = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    nod = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    tilt = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray((tilt @ nod @ turn @ points.T).T[:, :2] * 80 + 200)


# ---------------------------------------------------------------- angles


def test_a_frontal_face_looks_straight_ahead() -> None:
    yaw, pitch, roll = angles(np.array(UTKFACE_TEMPLATE) * 200)
    assert (yaw, pitch, roll) == pytest.approx((0, 0, 0), abs=1.5)


@pytest.mark.parametrize("degrees", [-60, -30, -10, 10, 30, 60])
def test_each_angle_of_a_modelled_head_comes_back(degrees: float) -> None:
    assert angles(head(degrees, 0, 0)) == pytest.approx((degrees, 0, 0), abs=0.1)
    assert angles(head(0, degrees, 0)) == pytest.approx((0, degrees, 0), abs=0.1)
    assert angles(head(0, 0, degrees)) == pytest.approx((0, 0, degrees), abs=0.1)


def test_angles_together_are_about_right() -> None:
    assert angles(head(25, 10, 30)) == pytest.approx((25, 10, 30), abs=6)


def test_signs_as_they_are_stated() -> None:
    points = np.array(UTKFACE_TEMPLATE) * 200
    nose_right, nose_down, right_eye_down = points.copy(), points.copy(), points.copy()
    nose_right[2, 0] += 20
    nose_down[2, 1] += 20
    right_eye_down[1, 1] += 20
    assert angles(nose_right)[0] > 20  # type: ignore[operator]
    assert angles(nose_down)[1] > 20  # type: ignore[operator]
    assert angles(right_eye_down)[2] > 10  # type: ignore[operator]


@pytest.mark.parametrize("turns", [(20.0, 5.0, 10.0), (-35.0, -12.0, -40.0)])
def test_a_mirrored_face_turns_the_other_way(turns: tuple[float, float, float]) -> None:
    points = head(*turns)
    mirrored = np.column_stack([400 - points[:, 0], points[:, 1]])[[1, 0, 2, 4, 3]]
    (yaw, pitch, roll), (yaw2, pitch2, roll2) = angles(points), angles(mirrored)
    assert (yaw2, pitch2, roll2) == pytest.approx((-yaw, pitch, -roll))  # type: ignore[operator]


def test_angles_do_not_depend_on_size_or_place() -> None:
    points = head(25, -8, 12)
    assert angles(points * 0.07 - 300) == pytest.approx(angles(points))


def test_points_that_make_no_face_give_no_angle_or_a_finite_one() -> None:
    assert angles(np.zeros((5, 2))) == (None, None, None)
    upside = np.array([[0.0, 10.0], [10.0, 10.0], [5.0, 5.0], [0.0, 0.0], [10.0, 0.0]])
    assert all(math.isfinite(value) for value in angles(upside) if value is not None)


# ---------------------------------------------------------------- sharpness, light, cuts


def test_sharpness_by_hand() -> None:
    """Stripes of one pixel, 0 and 200: the Laplacian is ±400 everywhere, the contrast 100."""
    stripes = np.tile(np.array([0, 200], dtype=np.uint8), (64, 32))
    assert sharpness(stripes) == pytest.approx(4.0, abs=1e-4)


@pytest.mark.parametrize("side", [48, 96, 160])
def test_more_blur_is_less_sharp(side: int) -> None:
    crop = texture(side)
    values = [measure(crop).sharpness]
    values += [
        measure(np.asarray(cv2.GaussianBlur(crop, (0, 0), share * side))).sharpness
        for share in (0.01, 0.02, 0.03, 0.04, 0.06)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 4


def test_crops_of_one_face_in_several_sizes_compare() -> None:
    large = texture(512, 3)
    whole = Detection((0.0, 0.0, 512.0, 512.0), 1.0, None, True)
    values = [measure(crop_face(large, whole, CropSpec(), size)).sharpness for size in (64, 96, 128, 224)]
    assert max(values) / min(values) < 1.15


def test_less_light_or_contrast_is_not_less_sharp() -> None:
    crop = texture(96)
    dimmed = (crop * 0.5).astype(np.uint8)
    assert measure(dimmed).sharpness == pytest.approx(measure(crop).sharpness, rel=0.05)


def test_brightness_and_clipping_by_hand() -> None:
    crop = np.full((10, 10, 3), 102, dtype=np.uint8)
    crop[:2], crop[2:3] = 0, 255
    quality = measure(crop)
    assert quality.brightness == pytest.approx((70 * 102 + 10 * 255) / 100 / 255)
    assert quality.clipped == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("level", "is_clipped"), [(0, 1), (2, 1), (3, 0), (128, 0), (249, 0), (252, 0), (253, 1), (255, 1)]
)
def test_what_counts_as_black_or_white(level: int, is_clipped: int) -> None:
    assert measure(np.full((8, 8, 3), level, dtype=np.uint8)).clipped == is_clipped


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0.0, 0.0, 100.0, 100.0), 0.0),
        ((-10.0, 0.0, 10.0, 10.0), 0.5),
        ((90.0, 90.0, 110.0, 110.0), 0.75),
        ((200.0, 0.0, 300.0, 10.0), 1.0),
        ((-100.0, -100.0, 200.0, 200.0), 1 - 1 / 9),
    ],
)
def test_cut_share(box: tuple[float, float, float, float], share: float) -> None:
    assert cut_share(box, (100, 100)) == pytest.approx(share)


def test_what_is_measured_of_a_face_and_what_of_a_crop_alone() -> None:
    crop = texture(32)
    face = Detection((-20.0, 0.0, 20.0, 90.0), 0.75, np.array(UTKFACE_TEMPLATE) * 100)
    quality = measure(crop, face, (100, 100))
    assert quality.face_pixels == pytest.approx(60)
    assert (quality.cut, quality.detector_score) == (0.5, 0.75)
    assert quality.yaw_degrees is not None
    alone = measure(crop)
    assert alone.sharpness == quality.sharpness
    assert {f.name for f in dataclasses.fields(Quality) if getattr(alone, f.name) is None} == {
        *("face_pixels", "yaw_degrees", "pitch_degrees", "roll_degrees", "cut", "detector_score")
    }
    assert measure(crop, Detection((0.0, 0.0, 9.0, 9.0), 0.5)).yaw_degrees is None, "no landmarks, no angles"


@pytest.mark.parametrize("side", [1, 2, 8, 64, 300])
def test_crops_of_any_size_and_flat_ones(side: int) -> None:
    for crop in (np.zeros((side, side, 3), np.uint8), texture(max(side, 4))[:side, :side]):
        quality = measure(np.ascontiguousarray(crop), Detection((0.0, 0.0, 1.0, 1.0), 0.5), (1, 1))
        assert all(math.isfinite(value) for value in dataclasses.astuple(quality) if value is not None)
        assert quality.face_pixels == 1.0
    assert measure(np.zeros((side, side, 3), np.uint8)).sharpness == 0.0


def test_the_same_picture_gives_the_same_numbers() -> None:
    assert measure(texture(96)) == measure(texture(96))


# ---------------------------------------------------------------- reasons


def why(quality: Quality, thresholds: QualityThresholds, **changes: object) -> tuple[str, ...]:
    given: dict[str, object] = {"age_years": 30.0, "interval": (20.0, 40.0), "valid_ages": (0.0, 100.0)}
    return reasons(quality, thresholds, **(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"face_pixels": 18.4}, "face too small (18 px < 24)"),
        ({"sharpness": 0.05}, "blurred (sharpness 0.05 < 0.10)"),
        ({"brightness": 0.04}, "too dark (brightness 0.04 < 0.10)"),
        ({"brightness": 0.95}, "too bright (brightness 0.95 > 0.90)"),
        ({"clipped": 0.7}, "badly exposed (70 % black or white > 64 %)"),
        ({"yaw_degrees": -61.0}, "turned away (yaw 61° > 42°)"),
        ({"pitch_degrees": 44.0}, "looks up or down (pitch 44° > 31°)"),
        ({"roll_degrees": -90.0}, "tilted (roll 90° > 60°)"),
        ({"cut": 0.7}, "cut by the image border (70 % > 54 %)"),
        ({"detector_score": 0.3}, "detector unsure (score 0.30 < 0.50)"),
    ],
)
def test_each_measure_has_its_reason(changes: dict[str, float], reason: str) -> None:
    thresholds = QualityThresholds(max_brightness=0.9, max_roll_degrees=60.0, min_detector_score=0.5)
    assert why(GOOD, thresholds) == ()
    bad = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    assert why(bad, thresholds) == (reason,)
    assert why(bad, ANSWER_ALL) == ()


def test_width_and_validity() -> None:
    assert why(GOOD, QualityThresholds(max_interval_years=15.5)) == ("interval wider than 15.5 years (20.0)",)
    assert why(GOOD, QualityThresholds(max_interval_years=20.0)) == (), "as wide is not wider"
    assert why(GOOD, QualityThresholds(max_interval_years=1.0), interval=None) == ()
    sentence = "outside the ages that this model was validated for (30.0, not 40 to 60)"
    assert why(GOOD, ANSWER_ALL, valid_ages=(40.0, 60.0)) == (sentence,)
    assert why(GOOD, ANSWER_ALL, valid_ages=(30.0, 60.0)) == ()


def test_several_reasons_come_together_and_nothing_measured_is_no_reason() -> None:
    bad = dataclasses.replace(GOOD, face_pixels=9.0, cut=0.9)
    assert [reason.split(" (")[0] for reason in why(bad, QualityThresholds())] == [
        *("face too small", "cut by the image border")
    ]
    nothing = dataclasses.replace(
        GOOD, face_pixels=None, yaw_degrees=None, pitch_degrees=None, roll_degrees=None, cut=None, detector_score=None
    )
    strict = QualityThresholds(min_face_pixels=999, max_yaw_degrees=0, max_cut=0, min_detector_score=1)
    assert why(nothing, strict) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_face_pixels": -1.0}, "min_face_pixels must be 0 or more, got -1.0"),
        ({"max_cut": math.nan}, "max_cut must be 0 or more, got nan"),
        ({"min_brightness": 0.6, "max_brightness": 0.6}, "min_brightness must be below max_brightness"),
    ],
)
def test_thresholds_that_make_no_sense(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityThresholds(**changes)
