"""dlib's detectors: HOG with a linear classifier, or a small CNN (MMOD), each with 5 or 68 landmarks.

King: «Dlib-ml: A Machine Learning Toolkit», JMLR 10, 2009; «Max-Margin Object Detection», 2015. Needs the
extra `dlib`: dlib-bin, and face_recognition_models, whose files are found without importing it (its import
fails on current setuptools). Its 68-point file was trained on iBUG 300-W, whose data are not for commercial use.

dlib's points are not ours: the 5-point model gives eye corners and the base of the nose, no mouth. So a
similarity transform is fitted from dlib's points to where dlib finds them in UTKFace's crops (medians over
194 images in 200×200 pixels, below), and our five landmarks are the crop template's, carried back. The crop
is then UTKFace's own; the landmarks are the fit's, not five measurements.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from agewise.errors import DetectorError, MissingExtraError
from agewise.imaging.crop import UTKFACE_TEMPLATE, similarity_transform
from agewise.types import Detection, FloatArray, UInt8Array

# Where dlib's points lie in UTKFace's crops, as shares of the side.
_FIVE = np.array([(153.0, 60.0), (122.0, 62.0), (44.0, 60.0), (75.0, 62.0), (98.0, 118.0)]) / 200
_OF_68 = np.array([(59.0, 60.0), (137.2, 60.0), (98.0, 102.0), (62.0, 137.0), (134.0, 137.0)]) / 200
_WINDOW = 80  # side of the smallest face that both detectors see
_DEFAULT_LEAST = 40
_MOST_PIXELS = {"hog": 8_000_000, "cnn": 1_000_000}  # after scaling; the CNN takes 4 s for a megapixel


@dataclass(frozen=True, slots=True, kw_only=True)
class DlibConfig:
    """Settings.

    Args:
        kind: "hog", or "cnn" (far slower, finds more).
        points: landmarks of the predictor, 5 or 68.
        min_face: side in pixels of the smallest face looked for; None is 40. The picture is scaled so that
            such a face fills dlib's window, within a limit on its size.
        threshold: least score; 0 is dlib's own, -0.4 is what Age-Gender-Pred used with the CNN.
    """

    kind: Literal["hog", "cnn"] = "hog"
    points: Literal[5, 68] = 5
    min_face: int | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.min_face is not None and self.min_face < 10:
            raise ValueError(f"min_face must be at least 10 pixels, got {self.min_face}")


def _model_file(stem: str) -> str:
    """The path of one of face_recognition_models' files."""
    try:
        distribution = importlib.metadata.distribution("face_recognition_models")
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError("the dlib detectors' models", "dlib") from error
    for item in distribution.files or ():
        if item.name == f"{stem}.dat":
            return str(distribution.locate_file(item))
    raise DetectorError(f"face_recognition_models {distribution.version} holds no {stem}.dat: install it again")


class DlibDetector:
    """Finds faces with five landmarks.

    Raises:
        MissingExtraError: dlib or its model files are not installed.
    """

    def __init__(self, config: DlibConfig | None = None) -> None:
        self.config = config = config or DlibConfig()
        try:
            import dlib
        except ImportError as error:
            raise MissingExtraError("the dlib detectors", "dlib") from error
        self.name = f"dlib-{config.kind}" + ("-68" if config.points == 68 else "")
        self._dlib: Any = dlib
        self._find: Any = (
            dlib.get_frontal_face_detector()
            if config.kind == "hog"
            else dlib.cnn_face_detection_model_v1(_model_file("mmod_human_face_detector"))
        )
        self._predict: Any = dlib.shape_predictor(_model_file(f"shape_predictor_{config.points}_face_landmarks"))

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the surest first."""
        height, width = image_rgb.shape[:2]
        scale = _WINDOW / (self.config.min_face or _DEFAULT_LEAST)
        scale = min(scale, (_MOST_PIXELS[self.config.kind] / (height * width)) ** 0.5)
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = np.ascontiguousarray(cv2.resize(image_rgb, size_wh, interpolation=how), dtype=np.uint8)
        faces = [self._detection(image_rgb, box, score, scale) for box, score in self._boxes(scaled)]
        return sorted(faces, key=lambda face: -face.score)

    def _boxes(self, scaled_rgb: UInt8Array) -> list[tuple[FloatArray, float]]:
        if self.config.kind == "hog":
            boxes, scores, _ = self._find.run(scaled_rgb, 0, self.config.threshold)
            found = list(zip(boxes, scores, strict=True))
        else:
            found = [(face.rect, face.confidence) for face in self._find(scaled_rgb, 0)]
        rows = ((np.array([b.left(), b.top(), b.right() + 1, b.bottom() + 1], float), float(s)) for b, s in found)
        return [(box, score) for box, score in rows if score >= self.config.threshold]

    def _detection(self, image_rgb: UInt8Array, scaled_box: FloatArray, score: float, scale: float) -> Detection:
        box = scaled_box / scale
        x0, y0, x1, y1 = (float(value) for value in box)
        region = self._dlib.rectangle(*(round(value) for value in (x0, y0, x1 - 1, y1 - 1)))
        parts = self._predict(np.ascontiguousarray(image_rgb), region).parts()
        points = np.array([(part.x, part.y) for part in parts], dtype=np.float64)
        return Detection((x0, y0, x1, y1), score, our_landmarks(points))


def our_landmarks(dlib_points_xy: FloatArray) -> FloatArray:
    """Five landmarks as agewise means them, float32 (5, 2), from dlib's 5 or 68 points (n, 2)."""
    if len(dlib_points_xy) == 68:
        eyes = [dlib_points_xy[36:42].mean(axis=0), dlib_points_xy[42:48].mean(axis=0)]
        points, places = np.stack([*eyes, *dlib_points_xy[[30, 48, 54]]]), _OF_68
    else:
        points, places = dlib_points_xy, _FIVE
    back = similarity_transform(places, points)
    carried = np.asarray(UTKFACE_TEMPLATE) @ back[:, :2].T + back[:, 2]
    return np.asarray(carried, dtype=np.float32)
