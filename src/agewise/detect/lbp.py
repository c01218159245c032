"""The LBP cascade that scikit-image ships: fast on small pictures, frontal faces only, no landmarks.

SSR-Net's webcam demo uses such a cascade. Liao et al.: «Learning Multi-scale Block Local Binary Patterns for
Face Recognition», ICB 2007. Where OpenCV has its cascade classifier (version 4) it runs there, otherwise
in scikit-image, slower.

The cascade's squares lie too high for a crop: on 90 of 101 UTKFace images, padded, their median side was 204
and their median centre (99, 82.5) of a crop of 200 pixels. They are moved down by that much, so that a crop with
no margin frames what UTKFace's crops frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agewise.detect.boxes import suppress
from agewise.errors import DetectorError, MissingExtraError
from agewise.types import Box, Detection, FloatArray, UInt8Array

_LEAST = 24  # side of the cascade's window
_DEFAULT_LEAST = 40
_MIN_NEIGHBOURS = 3
_SHIFT_DOWN = 0.086  # of the side
_SCALE = 0.98
_MOST_OVERLAP = 0.4


class LbpDetector:
    """Finds frontal faces; boxes only.

    Args:
        min_face: side in pixels of the smallest face looked for, at least 24; None is 40.

    Raises:
        MissingExtraError: scikit-image, which ships the cascade, is not installed.
    """

    name = "lbp"

    def __init__(self, min_face: int | None = None) -> None:
        if min_face is not None and min_face < _LEAST:
            raise ValueError(f"min_face must be at least {_LEAST} pixels for lbp, got {min_face}")
        self._least = min_face or _DEFAULT_LEAST
        try:
            import skimage.data
        except ImportError as error:
            raise MissingExtraError("the detector 'lbp'", "lbp") from error
        cascade_file: Any = skimage.data.lbp_frontal_face_cascade_filename  # scikit-image is not typed
        path = Path(cascade_file())
        self._opencv: Any = _opencv_cascade(path) if hasattr(cv2, "CascadeClassifier") else None
        self._skimage: Any = None if self._opencv is not None else _skimage_cascade(path)

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the largest first; the score is 1."""
        if min(image_rgb.shape[:2]) < self._least:
            return []
        boxes = self._by_opencv(image_rgb) if self._opencv is not None else self._by_skimage(image_rgb)
        if not boxes:
            return []
        squares = np.array([(x, y, x + side, y + side) for x, y, side in boxes])
        kept = suppress(squares, squares[:, 2] - squares[:, 0], _MOST_OVERLAP, "smaller")
        return [Detection(_framed(squares[i]), 1.0) for i in kept]

    def _by_opencv(self, image_rgb: UInt8Array) -> list[tuple[float, float, float]]:
        grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
        found = self._opencv.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=_MIN_NEIGHBOURS, minSize=(self._least, self._least)
        )
        return [(float(x), float(y), float(w)) for x, y, w, _ in found]

    def _by_skimage(self, image_rgb: UInt8Array) -> list[tuple[float, float, float]]:
        shorter = min(image_rgb.shape[:2])
        found = self._skimage.detect_multi_scale(
            img=image_rgb, scale_factor=1.2, step_ratio=1, min_size=(self._least,) * 2, max_size=(shorter,) * 2
        )
        return [(float(face["c"]), float(face["r"]), float(face["width"])) for face in found]


def _framed(square_xyxy: FloatArray) -> Box:
    """The cascade's square moved and scaled to frame what UTKFace's crops frame."""
    x0, y0, x1, y1 = (float(value) for value in square_xyxy)
    half = _SCALE * (x1 - x0) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + _SHIFT_DOWN * (y1 - y0)
    return x - half, y - half, x + half, y + half


def _opencv_cascade(path: Path) -> Any:
    """scikit-image's XML in OpenCV. The file misspells one tag, which OpenCV refuses: mended in memory."""
    text = path.read_text(encoding="utf-8").replace("featuhreParams", "featureParams")
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    cascade = cv2.CascadeClassifier()  # type: ignore[attr-defined,unused-ignore]
    if not cascade.read(storage.getFirstTopLevelNode()):
        raise DetectorError(f"OpenCV {cv2.__version__} cannot read {path}: install opencv-python-headless<5")
    return cascade


def _skimage_cascade(path: Path) -> Any:
    from skimage.feature import Cascade

    return Cascade(str(path))
