"""Curves of stability: by an estimator whose ages can be worked out, and by the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from agewise.detect import make_detector
from agewise.estimate import Estimator
from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import Detection, UInt8Array
from agewise_lab.evaluation.perturbations import FAMILIES, Family, brightness
from agewise_lab.evaluation.stability import (
    KEY_LEVELS,
    jittered_ages,
    key_points,
    perturbed_ages,
    stability,
)


class ByBrightness:
    """Its age is the crop's mean value."""

    def crop(self, image_rgb: UInt8Array, detection: Detection) -> UInt8Array:
        return crop_face(image_rgb, detection, CropSpec(), 16)

    def predict_crops(self, crops_rgb: UInt8Array) -> list[SimpleNamespace]:
        return [SimpleNamespace(age_years=float(crop.mean())) for crop in crops_rgb]


@pytest.fixture
def model() -> Estimator:
    return ByBrightness()  # type: ignore[return-value]


def _grey(*values: int) -> list[tuple[UInt8Array, Detection]]:
    face = Detection((0, 0, 32, 32), 1.0, is_crop=True)
    return [(np.full((32, 32, 3), value, dtype=np.uint8), face) for value in values]


@pytest.fixture
def pictures(clouds: Callable[..., UInt8Array]) -> list[tuple[UInt8Array, Detection]]:
    return [(clouds(seed, 60), Detection((10, 10, 50, 50), 1.0)) for seed in range(4)]


LIGHT = Family(name="brightness", title="", levels=(0.5, 2.0), change=brightness)


def test_by_hand(model: Estimator) -> None:
    darker, lighter = stability(model, _grey(20, 40, 60), np.array([20.0, 30.0, 60.0]), [LIGHT])
    assert (darker.family, darker.level, darker.count) == ("brightness", 0.5, 3)
    assert (darker.change, darker.signed, darker.largest) == (20, -20, 30)
    assert darker.mae == pytest.approx((10 + 10 + 30) / 3)
    assert darker.mae_change == pytest.approx(((10 - 0) + (10 - 10) + (30 - 0)) / 3)
    assert (lighter.change, lighter.signed) == (40, 40)
    assert darker.change_low < darker.change < darker.change_high
    assert darker.mae_change_low < darker.mae_change < darker.mae_change_high


def test_ages_before_and_after(model: Estimator) -> None:
    before, (after,) = perturbed_ages(model, _grey(20, 50), [LIGHT])
    assert before.tolist() == [20, 50]
    assert after.tolist() == [[10, 40], [25, 100]]


def test_the_same_seed_gives_the_same_curves_whatever_else_is_asked_for(
    model: Estimator, pictures: list[tuple[UInt8Array, Detection]]
) -> None:
    truths = np.full(4, 100.0)
    points = stability(model, pictures, truths)
    assert stability(model, pictures, truths) == points
    shifts = [family for family in FAMILIES if family.name == "shift"]
    assert stability(model, pictures, truths, shifts) == [point for point in points if point.family == "shift"]
    other = stability(model, pictures, truths, shifts, seed=1)
    assert all(a.change != b.change for a, b in zip(other, stability(model, pictures, truths, shifts), strict=True))


def test_every_level_of_every_family_has_its_point(
    model: Estimator, pictures: list[tuple[UInt8Array, Detection]]
) -> None:
    points = stability(model, pictures, np.zeros(4))
    assert [(point.family, point.level) for point in points] == [
        (family.name, level) for family in FAMILIES for level in family.levels
    ]
    assert [(point.family, point.level) for point in key_points(points)] == list(KEY_LEVELS)


def test_jittered_ages_differ_within_a_picture(model: Estimator, pictures: list[tuple[UInt8Array, Detection]]) -> None:
    ages = jittered_ages(model, pictures, 0.1, 6)
    assert ages.shape == (4, 6)
    assert (ages.std(axis=1) > 0).all()
    assert jittered_ages(model, pictures, 0, 6).std(axis=1) == pytest.approx(np.zeros(4))


@pytest.mark.parametrize("count", [0, 2])
def test_pictures_and_ages_belong_together(count: int, model: Estimator) -> None:
    with pytest.raises(ValueError, match=f"expected one true age a picture, got 3 for {count} pictures"):
        stability(model, _grey(*range(count)), np.zeros(3), [LIGHT])


def test_ages_are_those_of_the_estimator_itself(photo: UInt8Array) -> None:
    (face, *_) = make_detector("mtcnn").detect(photo)
    estimator = Estimator()
    chosen = [family for family in FAMILIES if family.name in ("jpeg", "flip")]
    points = {point.level: point for point in stability(estimator, [(photo, face)], np.array([30.0]), chosen)}
    _, data = cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    saved = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]
    (before,), (after,) = (estimator(np.ascontiguousarray(picture), [face]) for picture in (photo, saved))
    assert points[60].signed == pytest.approx(after.age_years - before.age_years, abs=1e-3)
    assert points[60].mae == pytest.approx(abs(after.age_years - 30), abs=1e-3)
    assert 0 < points[1].change < 10
