"""dlib, the LBP cascade and YuNet behind the protocol: boxes and landmarks in our terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agewise.detect import detector_infos, make_detector
from agewise.detect.yunet import YunetDetector
from agewise.imaging import UTKFACE_TEMPLATE, CropSpec
from agewise.imaging.crop import crop_transform
from agewise.types import UInt8Array

# Where the face of skimage's astronaut lies, in UTKFace's framing, by MTCNN's landmarks.
ASTRONAUT_CENTRE, ASTRONAUT_SIDE = (224.0, 122.0), 110.0


@pytest.fixture(scope="module")
def astronaut() -> UInt8Array:
    data = pytest.importorskip("skimage.data", reason="scikit-image ships the photo")
    return np.asarray(data.astronaut(), dtype=np.uint8)


@pytest.mark.parametrize("name", ["mtcnn", "dlib-hog", "dlib-hog-68", "lbp"])
def test_every_detector_leads_to_the_same_crop(name: str, astronaut: UInt8Array) -> None:
    if name.startswith("dlib"):
        info = next(info for info in detector_infos() if info.name == name)
        if not info.available:
            pytest.skip(info.reason)
    faces = make_detector(name).detect(astronaut)
    found = [face for face in faces if face.box_xyxy[0] < 224 < face.box_xyxy[2] and face.box_xyxy[1] < 122]
    assert len(found) == 1
    transform = crop_transform(found[0], CropSpec())
    centre = np.linalg.solve(transform[:, :2], np.array([0.5, 0.5]) - transform[:, 2])
    side = 1 / np.sqrt(np.linalg.det(transform[:, :2]))
    assert np.abs(centre - ASTRONAUT_CENTRE).max() < 12
    assert 0.85 < side / ASTRONAUT_SIDE < 1.15


@pytest.mark.parametrize("name", ["dlib-hog", "lbp"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 400, 3), (120, 90, 3)])
def test_pictures_without_a_face_give_none(name: str, shape: tuple[int, int, int]) -> None:
    pytest.importorskip("dlib" if name == "dlib-hog" else "skimage", reason="optional detector")
    assert make_detector(name).detect(np.full(shape, 127, dtype=np.uint8)) == []


def test_dlib_points_at_their_medians_give_the_template() -> None:
    from agewise.detect.dlib_detectors import our_landmarks

    five = np.array([(153.0, 60.0), (122.0, 62.0), (44.0, 60.0), (75.0, 62.0), (98.0, 118.0)])
    np.testing.assert_allclose(our_landmarks(five), np.asarray(UTKFACE_TEMPLATE) * 200, atol=0.01)
    shifted = our_landmarks(five * 2 + [10, 20])
    np.testing.assert_allclose(shifted, np.asarray(UTKFACE_TEMPLATE) * 400 + [10, 20], atol=0.02)


class _FaceDetectorYN:
    """Answers as OpenCV's does: rows of x, y, w, h, five points, score."""

    def __init__(self, rows: Any) -> None:
        self.rows, self.sizes, self.pixels = rows, [], []

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 (OpenCV's name)
        self.sizes.append(size)

    def detect(self, image: UInt8Array) -> tuple[int, Any]:
        self.pixels.append(image[0, 0].tolist())
        return 1, self.rows


def test_yunet_rows_become_detections_and_the_picture_goes_in_as_bgr() -> None:
    points = np.arange(10, dtype=np.float32)
    rows = np.array([[10, 20, 30, 40, *points, 0.81], [1, 2, 50, 60, *points, 0.95]], dtype=np.float32)
    fake = _FaceDetectorYN(rows)
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    image[..., 0] = 255
    first, second = YunetDetector(None, detector=fake).detect(image)
    assert fake.sizes == [(200, 100)]
    assert fake.pixels == [[0, 0, 255]]
    assert first.box_xyxy == (1, 2, 51, 62)
    assert first.score == pytest.approx(0.95)
    assert second.box_xyxy == (10, 20, 40, 60)
    assert second.landmarks_xy is not None
    assert second.landmarks_xy.tolist() == points.reshape(5, 2).tolist()


def test_yunet_without_a_face_and_below_the_least_size() -> None:
    image = np.zeros((50, 50, 3), dtype=np.uint8)
    assert YunetDetector(None, detector=_FaceDetectorYN(None)).detect(image) == []
    small = np.array([[0, 0, 10, 12, *range(10), 0.9]], dtype=np.float32)
    assert YunetDetector(None, min_face=11, detector=_FaceDetectorYN(small)).detect(image) == []
    assert len(YunetDetector(None, min_face=10, detector=_FaceDetectorYN(small)).detect(image)) == 1
