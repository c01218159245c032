from __future__ import annotations

import json

import numpy as np
import pytest

from agewise.sinks import COLUMNS, ImageResult, to_json_line, to_object, to_records
from agewise.types import Detection, Face, Gender, Prediction, Quality

LANDMARKS = np.array([[1.5, 2.25], [3, 4], [5, 6], [7, 8], [9, 10.00004]], dtype=np.float32)
FULL = Face(
    Detection((0.125, -3.0, 20.5, 31.123456), 0.99987654321, LANDMARKS),
    Prediction(
        31.48291,
        6.5,
        (24.25, 39.75),
        0.9,
        Gender.FEMALE,
        0.9712345678,
        answered=False,
        reasons=("blurred (sharpness 0.05 < 0.10)", "turned away (yaw 61° > 45°)"),
        quality=Quality(
            face_pixels=26.612345,
            sharpness=0.05,
            brightness=0.5,
            clipped=0.0,
            yaw_degrees=-61.0,
            pitch_degrees=2.5,
            roll_degrees=0.0,
            cut=0.25,
            detector_score=0.99987654321,
        ),
        age_ranges_years=((24.0, 28.0), (31.0, 38.0)),
        gender_sure=True,
    ),
)
BARE = Face(Detection((1.0, 2.0, 3.0, 4.0), 1.0), Prediction(50.0, 0.0, None, None, None, None))

FULL_OBJECT = {
    "box_xyxy": [0.125, -3.0, 20.5, 31.1235],
    "detector_score": 0.999877,
    "landmarks_xy": [[1.5, 2.25], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]],
    "age_years": 31.4829,
    "age_std_years": 6.5,
    "age_interval_years": [24.25, 39.75],
    "gender": "female",
    "gender_probability": 0.971235,
    "age_ranges_years": [[24.0, 28.0], [31.0, 38.0]],
    "answered": False,
    "reasons": ["blurred (sharpness 0.05 < 0.10)", "turned away (yaw 61° > 45°)"],
    "quality": {
        "face_pixels": 26.6123,
        "sharpness": 0.05,
        "brightness": 0.5,
        "clipped": 0.0,
        "yaw_degrees": -61.0,
        "pitch_degrees": 2.5,
        "roll_degrees": 0.0,
        "cut": 0.25,
    },
    "gender_sure": True,
}
BARE_OBJECT = {
    "box_xyxy": [1.0, 2.0, 3.0, 4.0],
    "detector_score": 1.0,
    "landmarks_xy": None,
    "age_years": 50.0,
    "age_std_years": 0.0,
    "age_interval_years": None,
    "gender": None,
    "gender_probability": None,
    "age_ranges_years": None,
    "answered": True,
    "reasons": [],
    "quality": None,
    "gender_sure": None,
}


def test_the_object_has_exactly_the_promised_keys_in_order() -> None:
    result = ImageResult("a.jpg", 640, 480, (FULL, BARE))
    expected = {"source": "a.jpg", "width": 640, "height": 480, "faces": [FULL_OBJECT, BARE_OBJECT], "error": None}
    assert to_object(result) == expected
    assert json.dumps(to_object(result)) == json.dumps(expected), "order, too"


def test_an_error_has_no_faces_and_no_size() -> None:
    assert to_object(ImageResult("a.jpg", error="empty, 0 bytes")) == {
        "source": "a.jpg",
        "width": None,
        "height": None,
        "faces": [],
        "error": "empty, 0 bytes",
    }


@pytest.mark.parametrize(
    "name", ["plain.jpg", "with space.jpg", "合影.jpg", "line\nbreak\t.jpg", '"quoted".jpg', "\\xe9"]
)
def test_a_json_line_is_one_line_of_utf8(name: str) -> None:
    line = to_json_line(ImageResult(name, 1, 1))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["source"] == name
    if name == "合影.jpg":
        assert name.encode() in line, "readable as it is"


def test_records_are_one_a_face() -> None:
    records = [
        dict(zip(COLUMNS, record, strict=True)) for record in to_records(ImageResult("a", 640, 480, (FULL, BARE)))
    ]
    assert [record["face_index"] for record in records] == [0, 1]
    assert {(record["source"], record["width"], record["height"], record["error"]) for record in records} == {
        ("a", 640, 480, None)
    }
    assert list(records[0].values())[4:] == [
        *(0.125, -3.0, 20.5, 31.1235),
        0.999877,
        *(1.5, 2.25, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0),
        *(31.4829, 6.5, 24.25, 39.75),
        "female",
        0.971235,
        None,
        False,
        "blurred (sharpness 0.05 < 0.10); turned away (yaw 61° > 45°)",
        "24-28; 31-38",
        *(26.6123, 0.05, 0.5, 0.0, -61.0, 2.5, 0.0, 0.25),
        True,
    ]
    assert [key for key, value in records[1].items() if value is None] == [
        *(f"{point}_{axis}" for point in LANDMARK_COLUMNS for axis in "xy"),
        "age_interval_low",
        "age_interval_high",
        "gender",
        "gender_probability",
        "error",
        *("reasons", "age_ranges", "face_pixels", "sharpness", "brightness", "clipped"),
        *("yaw_degrees", "pitch_degrees", "roll_degrees", "cut", "gender_sure"),
    ]


LANDMARK_COLUMNS = ("eye_image_left", "eye_image_right", "nose", "mouth_image_left", "mouth_image_right")


@pytest.mark.parametrize(
    "result",
    [ImageResult("a.jpg", 640, 480), ImageResult("a.jpg", error="no such file"), ImageResult("a.jpg", 9, 9, error="x")],
)
def test_a_picture_without_a_face_keeps_one_record(result: ImageResult) -> None:
    (values,) = to_records(result)
    record = dict(zip(COLUMNS, values, strict=True))
    given = {"source": "a.jpg", "width": result.width, "height": result.height, "error": result.error}
    assert record == dict.fromkeys(COLUMNS) | given


def test_no_float32_leaks_into_json() -> None:
    face = Face(
        Detection((np.float32(0.1), np.float32(0), np.float32(9), np.float32(9)), np.float32(0.5)),  # type: ignore[arg-type]
        Prediction(float(np.float32(31.1)), 0.0, None, None, None, None),
    )
    assert json.loads(to_json_line(ImageResult("a", 1, 1, (face,))))["faces"][0]["box_xyxy"] == [0.1, 0.0, 9.0, 9.0]
