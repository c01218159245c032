"""Which face of a photo is the labelled one, and how it is cut."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from agewise.detect import make_detector
from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.types import Detection, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.faces import (
    Dropped,
    cut,
    find_in_photo,
    intersection_over_union,
    labelled_box,
    pick_labelled,
)
from agewise_lab.store.quality import measure

LEFT, RIGHT, MIDDLE = (10, 10, 50, 60), (200, 20, 250, 80), (110, 110, 140, 150)


def _points(box: tuple[float, float, float, float]) -> np.ndarray:
    """Landmarks where a face in the box would have them, about."""
    x0, y0, x1, y1 = box
    shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return np.array([x0, y0]) + shares * [x1 - x0, y1 - y0]


FACES = [Detection(box, 0.99, _points(box)) for box in (LEFT, RIGHT, MIDDLE)]


def _record(**fields: object) -> Record:
    return Record("a.jpg", 30.0, None, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "box"),
    [
        (_record(box_xyxy=LEFT), LEFT),
        (_record(box_xyxy=(205, 35, 245, 82)), RIGHT),
        (_record(box_xyxy=(180, 0, 270, 100)), RIGHT),  # a data set that counts hair and neck in
        (_record(box_xyxy=(300, 300, 340, 350)), None),
        (_record(box_xyxy=(245, 75, 300, 130)), None),  # a corner is no overlap
        (_record(landmarks_xy=_points(MIDDLE) + 2), MIDDLE),
        (_record(landmarks_xy=_points(MIDDLE) + 30), None),
        (_record(landmarks_xy=_points(LEFT), box_xyxy=RIGHT), LEFT),  # landmarks say more than a box
        (_record(), MIDDLE),  # the photo is 250×260: the most central
    ],
)
def test_the_labelled_face(record: Record, box: tuple[float, ...] | None) -> None:
    found = pick_labelled(FACES, record, (250, 260))
    assert (found and found.box_xyxy) == box


@pytest.mark.parametrize("record", [_record(), _record(box_xyxy=LEFT), _record(landmarks_xy=_points(LEFT))])
def test_no_faces_no_labelled_one(record: Record) -> None:
    assert pick_labelled([], record, (100, 100)) is None


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 1, 1), (2, 2, 3, 3), 0.0),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),
    ],
)
def test_overlap(a: tuple[float, ...], b: tuple[float, ...], value: float) -> None:
    assert intersection_over_union(a, b) == pytest.approx(value)  # type: ignore[arg-type]
    assert intersection_over_union(b, a) == pytest.approx(value)  # type: ignore[arg-type]


def test_a_box_about_landmarks_holds_the_face() -> None:
    box = labelled_box(_record(landmarks_xy=_points(RIGHT)))
    assert box is not None
    assert intersection_over_union(box, RIGHT) > 0.5
    assert labelled_box(_record(box_xyxy=LEFT, landmarks_xy=_points(RIGHT))) == LEFT
    assert labelled_box(_record()) is None


# ---------------------------------------------------------------- on real pixels


@pytest.fixture(scope="module")
def face(photo: UInt8Array) -> Detection:
    """The one face of the photo, as the detector finds it in all of it."""
    (face, *_) = make_detector("mtcnn").detect(photo)
    return face


@pytest.fixture(scope="module")
def two(photo: UInt8Array) -> UInt8Array:
    """The photo beside its mirror image: the same face at the left and at the right."""
    return np.ascontiguousarray(np.hstack([photo, photo[:, ::-1]]))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_boxed_face_is_found_at_any_size(photo: UInt8Array, face: Detection, scale: float) -> None:
    side = round(512 * scale)
    large = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    box = tuple(scale * (edge + shift) for edge, shift in zip(face.box_xyxy, (-8, 5, 9, 12), strict=True))
    found = find_in_photo(np.asarray(large, dtype=np.uint8), _record(box_xyxy=box))
    assert found is not None
    assert found.landmarks_xy is not None
    assert face.landmarks_xy is not None
    between = float(np.linalg.norm(face.landmarks_xy[0] - face.landmarks_xy[1]))
    error = np.linalg.norm(found.landmarks_xy / scale - face.landmarks_xy, axis=1).max() / between
    assert error < 0.08


def test_the_box_decides_between_two_faces(two: UInt8Array, face: Detection) -> None:
    x0, y0, x1, y1 = face.box_xyxy
    left = find_in_photo(two, _record(box_xyxy=(x0, y0, x1, y1)))
    right = find_in_photo(two, _record(box_xyxy=(1024 - x1, y0, 1024 - x0, y1)))
    assert left is not None
    assert right is not None
    assert intersection_over_union(left.box_xyxy, (x0, y0, x1, y1)) > 0.7
    assert intersection_over_union(right.box_xyxy, (1024 - x1, y0, 1024 - x0, y1)) > 0.7


def test_a_photo_is_cut_as_predict_would(photo: UInt8Array, face: Detection) -> None:
    parts = cut(photo, _record(box_xyxy=face.box_xyxy), framing="photo", crops="both", side=96)
    assert parts.face is not None
    assert parts.aligned is not None
    assert parts.whole is not None
    served = crop_face(photo, face, CropSpec(), 96)
    assert np.abs(parts.aligned.astype(int) - served).mean() < 8
    assert np.array_equal(parts.whole, crop_face(photo, face, CropSpec(kind="box", margin=0.2), 96))
    assert parts.crop_landmarks_xy is not None
    assert np.abs(parts.crop_landmarks_xy / 96 - UTKFACE_TEMPLATE).max() < 0.06
    assert parts.size_wh == (512, 512)
    x0, y0, x1, y1 = parts.face.box_xyxy
    assert parts.quality.face_side_px == pytest.approx(((x1 - x0) * (y1 - y0)) ** 0.5)


def test_a_tight_crop_is_found_in_a_photos_set_as_well(chip: UInt8Array) -> None:
    parts = cut(chip, _record(), framing="photo", crops="both", side=64)
    assert parts.face is not None
    assert parts.aligned is not None
    expected = cut(chip, _record(), framing="chip", crops="both", side=64).aligned
    assert expected is not None
    assert np.abs(parts.aligned.astype(int) - expected).mean() < 6


def test_the_data_sets_own_landmarks_stand_in_where_nothing_is_found(clouds: Callable[..., UInt8Array]) -> None:
    picture = clouds(3, 400)
    points = np.asarray(UTKFACE_TEMPLATE) * 100 + 150
    parts = cut(picture, _record(landmarks_xy=points), framing="photo", crops="both", side=100)
    assert parts.face is None
    assert parts.aligned is not None
    assert np.abs(parts.aligned.astype(int) - picture[150:250, 150:250]).mean() < 1
    boxed = cut(picture, _record(box_xyxy=(150, 150, 250, 250)), framing="photo", crops="both", side=140)
    assert (boxed.face, boxed.aligned) == (None, None)
    assert boxed.whole is not None
    assert np.abs(boxed.whole.astype(int) - picture[130:270, 130:270]).mean() < 1


def test_a_photo_without_a_face_or_a_box_is_dropped(clouds: Callable[..., UInt8Array]) -> None:
    with pytest.raises(Dropped) as dropped:
        cut(clouds(4, 400), _record(), framing="photo", crops="both", side=32)
    assert dropped.value.reason == "no face found"
    # Where no face is looked for, the picture is its own crop.
    parts = cut(clouds(4, 400), _record(), framing="photo", crops="as-is", side=32)
    assert parts.whole is not None
    assert parts.aligned is None


def test_a_box_beyond_the_picture_gives_a_crop(photo: UInt8Array) -> None:
    parts = cut(photo, _record(box_xyxy=(500, 500, 700, 700)), framing="photo", crops="both", side=32)
    assert parts.face is None
    outside = cut(photo, _record(box_xyxy=(900, 900, 1000, 1000)), framing="photo", crops="both", side=32)
    assert outside.whole is not None
    assert (outside.whole == outside.whole[0, 0]).all()


def test_sharpness_falls_with_blur_and_not_with_size(chip: UInt8Array) -> None:
    box = (0.0, 0.0, 200.0, 200.0)
    sharp = measure(box, chip).sharpness
    blurred = measure(box, np.asarray(cv2.GaussianBlur(chip, (0, 0), 3), dtype=np.uint8)).sharpness
    assert blurred < sharp / 5
    assert measure((0, 0, 30, 120), chip).face_side_px == 60
