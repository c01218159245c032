"""What the shared types take, what they refuse, and in which words."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from typing import Any

import numpy as np
import pytest

from agewise.types import Detection, Face, Gender, Prediction

BOX = (1.0, 2.0, 3.0, 5.0)
POINTS = np.arange(10.0).reshape(5, 2)
PREDICTION: dict[str, Any] = {
    "age_years": 30.0,
    "age_std_years": 4.0,
    "age_interval_years": (25.0, 35.5),
    "interval_level": 0.9,
    "gender": Gender.FEMALE,
    "gender_probability": 0.75,
}


def test_gender_is_its_name() -> None:
    assert [str(gender) for gender in Gender] == ["female", "male"]
    assert json.dumps(Gender.MALE) == '"male"'
    assert Gender("female") is Gender.FEMALE
    with pytest.raises(ValueError, match="0 is not a valid Gender"):
        Gender(0)  # type: ignore[arg-type]


# ---------------------------------------------------------------- detections


@pytest.mark.parametrize("box", [BOX, list(BOX), (1, 2, 3, 5), np.array(BOX, dtype=np.float32)])
def test_a_box_becomes_four_plain_floats(box: Any) -> None:
    detection = Detection(box, 0.5)
    assert detection.box_xyxy == BOX
    assert [type(side) for side in detection.box_xyxy] == [float] * 4
    assert json.dumps(detection.box_xyxy) == "[1.0, 2.0, 3.0, 5.0]"


def test_a_box_may_reach_beyond_the_picture() -> None:
    assert Detection((-20.0, -5.0, 1e6, 4.0), 0.5).box_xyxy == (-20.0, -5.0, 1e6, 4.0)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((3.0, 2.0, 3.0, 5.0), "x0 < x1 and y0 < y1, got (3.0, 2.0, 3.0, 5.0)"),
        ((1.0, 5.0, 3.0, 5.0), "x0 < x1 and y0 < y1"),
        ((3.0, 2.0, 1.0, 5.0), "x0 < x1 and y0 < y1"),
        ((1.0, 5.0, 3.0, 2.0), "x0 < x1 and y0 < y1"),
        ((1.0, 2.0, float("nan"), 5.0), "box_xyxy must be finite, got 1.0, 2.0, nan, 5.0"),
        ((1.0, 2.0, float("inf"), 5.0), "box_xyxy must be finite"),
        ((float("-inf"), 2.0, 3.0, 5.0), "box_xyxy must be finite"),
        ((1.0, 2.0, 3.0), "box_xyxy must be four numbers (x0, y0, x1, y1), got (1.0, 2.0, 3.0)"),
        ((1.0, 2.0, 3.0, 5.0, 0.9), "box_xyxy must be four numbers"),
    ],
)
def test_a_bad_box_is_refused(box: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Detection(box, 0.5)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_is_finite(score: float) -> None:
    with pytest.raises(ValueError, match="score must be finite"):
        Detection(BOX, score)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (POINTS[:4], "five points (5, 2), got an array (4, 2)"),
        (POINTS.T, "five points (5, 2), got an array (2, 5)"),
        (np.zeros((68, 2)), "got an array (68, 2)"),
        (np.where(POINTS == 3, np.nan, POINTS), "landmarks_xy must be finite, got [[0.0, 1.0], [2.0, nan]"),
        (np.where(POINTS == 3, np.inf, POINTS), "landmarks_xy must be finite"),
    ],
)
def test_bad_landmarks_are_refused(points: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Detection(BOX, 0.5, points)


def test_detections_are_frozen_and_compare_by_box_and_score() -> None:
    a, b = Detection(BOX, 0.5, POINTS), Detection(BOX, 0.5, POINTS + 1)
    assert a == b
    assert hash(a) == hash(b)
    assert a != Detection(BOX, 0.6, POINTS)
    assert a != Detection(BOX, 0.5, POINTS, is_crop=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.score = 0.7  # type: ignore[misc]


# ---------------------------------------------------------------- predictions


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"age_interval_years": None, "interval_level": None},
        {"gender": None, "gender_probability": None},
        {"gender_probability": None},
        {"gender_probability": 0.5},
        {"gender_probability": 1.0},
        {"age_interval_years": (30.0, 30.0)},
        {"age_years": -0.25, "age_interval_years": (-0.25, 3.0)},
        {"age_std_years": 0.0},
    ],
)
def test_sound_predictions(changes: dict[str, Any]) -> None:
    fields = PREDICTION | changes
    prediction = Prediction(**fields)
    assert {name: getattr(prediction, name) for name in fields} == fields
    assert prediction.probs_over_ages is None
    assert prediction.class_ages is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age_years": float("nan")}, "age_years and age_std_years must be finite, got nan, 4.0"),
        ({"age_years": float("inf")}, "must be finite"),
        ({"age_std_years": float("nan")}, "must be finite"),
        ({"age_std_years": -1.0}, "age_std_years must be 0 or more, got -1.0"),
        ({"age_interval_years": (31.0, 35.0)}, "age 30.0 lies outside its interval 31.0 to 35.0"),
        ({"age_interval_years": (25.0, 29.0)}, "lies outside its interval"),
        ({"age_interval_years": (float("-inf"), 35.0)}, "age_interval_years must be finite"),
        ({"age_interval_years": (25.0, float("nan"))}, "age_interval_years must be finite"),
        ({"age_interval_years": None}, "together or not at all, got None and 0.9"),
        ({"interval_level": None}, "together or not at all, got (25.0, 35.5) and None"),
        ({"gender_probability": 0.49}, "0.5 to 1, got 0.49"),
        ({"gender_probability": 1.01}, "0.5 to 1, got 1.01"),
        ({"gender_probability": float("nan")}, "0.5 to 1, got nan"),
        ({"gender": None, "gender_probability": None, "gender_sure": False}, "gender_sure False belongs to a gender"),
        ({"gender": None}, "gender_probability 0.75 belongs to a gender, got None"),
    ],
)
def test_predictions_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Prediction(**PREDICTION | changes)


# ---------------------------------------------------------------- faces


def test_a_face_passes_on_its_parts() -> None:
    detection, prediction = Detection(BOX, 0.5, POINTS), Prediction(**PREDICTION)
    face = Face(detection, prediction)
    assert face.box_xyxy == BOX
    assert face.detector_score == 0.5
    assert face.landmarks_xy is POINTS
    for name in ("age_years", "age_std_years", "age_interval_years", "gender", "gender_probability"):
        assert getattr(face, name) == PREDICTION[name]


def test_a_face_survives_pickling() -> None:
    face = Face(Detection(BOX, 0.5, POINTS), Prediction(**PREDICTION))
    back = pickle.loads(pickle.dumps(face))
    assert back == face
    assert np.array_equal(back.landmarks_xy, POINTS)
