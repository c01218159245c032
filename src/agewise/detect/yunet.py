"""YuNet through OpenCV's FaceDetectorYN, on a model file that the user names.

Wu, Peng, Yu: «YuNet: A Tiny Millisecond-level Face Detector», Machine Intelligence Research, 2023. agewise
ships no YuNet model: give the path of a `face_detection_yunet_*.onnx` file, as `yunet:PATH`. None was at hand
when this was written: the tests run OpenCV's detector on a made network with YuNet's inputs and outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agewise.errors import DetectorError
from agewise.types import Detection, UInt8Array

_SCORE, _OVERLAP, _MOST = 0.8, 0.3, 5000


class YunetDetector:
    """Finds faces with five landmarks.

    Args:
        model: the path of a YuNet ONNX file.
        min_face: faces of a smaller side are dropped; None keeps all.
        detector: instead of a model, an object like cv2.FaceDetectorYN (for tests).

    Raises:
        DetectorError: no such file, or not a YuNet model, or an OpenCV without FaceDetectorYN.
    """

    name = "yunet"

    def __init__(self, model: Path | None, min_face: int | None = None, detector: Any = None) -> None:
        self._least = min_face or 0
        if detector is not None:
            self._detector: Any = detector
            return
        if model is None:
            raise DetectorError("the detector 'yunet' needs its model file: name it as yunet:PATH (an .onnx file)")
        if not model.is_file():
            raise DetectorError(f"the detector 'yunet' finds no model file at {model}")
        if not hasattr(cv2, "FaceDetectorYN"):
            raise DetectorError(f"OpenCV {cv2.__version__} has no FaceDetectorYN: install opencv-python-headless>=4.14")
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), _SCORE, _OVERLAP, _MOST)
        except cv2.error as error:
            raise DetectorError(f"OpenCV cannot load {model} as a YuNet model: {error.err}") from error

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the surest first."""
        height, width = image_rgb.shape[:2]
        self._detector.setInputSize((width, height))
        try:
            _, rows = self._detector.detect(np.ascontiguousarray(image_rgb[:, :, ::-1]))
        except cv2.error as error:
            raise DetectorError(f"YuNet failed on a picture of {width}x{height}: {error.err}") from error
        if rows is None:
            return []
        # A row: x, y, w, h, five points (the subject's right eye, which is image-left, comes first), score.
        faces = [
            Detection(
                (float(r[0]), float(r[1]), float(r[0] + r[2]), float(r[1] + r[3])),
                float(r[14]),
                np.asarray(r[4:14], dtype=np.float32).reshape(5, 2),
            )
            for r in rows
            if min(r[2], r[3]) >= max(self._least, 1)
        ]
        return sorted(faces, key=lambda face: -face.score)
