"""Thresholds by rule: found where the errors rise, left to the library where nothing tells."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from agewise.quality import QualityThresholds
from agewise.types import Quality
from agewise_lab.evaluation.degrade import Degraded
from agewise_lab.evaluation.thresholds import choose_thresholds, error_threshold

GOOD = Quality(
    face_pixels=200.0, sharpness=0.4, brightness=0.5, clipped=0.0, yaw_degrees=0.0, pitch_degrees=0.0,
    roll_degrees=0.0, cut=0.0, detector_score=1.0,
)  # fmt: skip


def test_errors_that_rise_at_a_value_give_that_value() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(10, 200, 4000)
    errors = np.where(values < 40, 12.0, 5.0) * rng.uniform(0.5, 1.5, 4000)
    found = error_threshold(values, errors, np.full(4000, 5.0), less_is_worse=True)
    assert found == pytest.approx(40, abs=5)
    assert error_threshold(-values, errors, np.full(4000, 5.0), less_is_worse=False) == pytest.approx(-40, abs=5)


def test_hard_faces_do_not_count_as_bad_pictures() -> None:
    """Faces that err much undegraded as well are no reason to decline."""
    values = np.linspace(10, 200, 1000)
    errors = np.where(values < 40, 12.0, 5.0)
    assert error_threshold(values, errors, errors, less_is_worse=True) is None
    assert error_threshold(values[:100], errors[:100] * 9, errors[:100], less_is_worse=True) is None, "too few"


def copies(count: int) -> list[Degraded]:
    """Each face clean and in a dozen sizes; under 50 pixels the error is doubled; every tenth is not found at 10."""
    found = []
    for face in range(count):
        for name, side in [("clean", 200.0), *((f"shrink {side}", float(side)) for side in range(10, 130, 10))]:
            if side == 10 and face % 10 == 0:
                found.append(Degraded(name, 30.0, False))
                continue
            quality = dataclasses.replace(GOOD, face_pixels=side + face / 1000, yaw_degrees=face * 20.0 / count)
            found.append(Degraded(name, 30.0, True, 4.0 if side >= 50 else 8.0, True, 10.0 + face / count, quality))
    return found


def test_thresholds_of_a_card() -> None:
    made = copies(300)
    clean = [copy for copy in made if copy.degradation == "clean"]
    got = choose_thresholds(made, clean, QualityThresholds(min_face_pixels=24))
    assert 40 <= got.min_face_pixels <= 50  # type: ignore[operator]
    assert got.max_yaw_degrees == 20
    assert got.max_interval_years == 11
    assert got.min_sharpness == QualityThresholds().min_sharpness, "no blurred copies: the library's"
    strict = choose_thresholds(made, clean, QualityThresholds(min_face_pixels=64))
    assert strict.min_face_pixels == 64, "never laxer than the card's validity"


def test_too_few_faces_leave_all_to_the_library() -> None:
    made = copies(5)
    got = choose_thresholds(made, made[:1], QualityThresholds(min_face_pixels=24))
    assert got == QualityThresholds(min_face_pixels=24)


def test_a_face_that_is_not_found_undegraded_counts_for_nothing() -> None:
    lost = [Degraded("clean", 30.0, False), *[Degraded("shrink 10", 30.0, True, 99.0, False, 5.0, GOOD)] * 500]
    assert math.isnan(lost[0].error)
    assert choose_thresholds(lost, [], QualityThresholds()) == QualityThresholds()
