"""A picture → its faces, each with age and gender. Composition only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agewise.detect import Detector, make_detector
from agewise.engine import EngineConfig
from agewise.errors import ArrayError
from agewise.estimate import Estimator
from agewise.imaging import DEFAULT_MAX_PIXELS, ColorOrder, ImageSource, read_image
from agewise.quality import QualityThresholds
from agewise.store import DEFAULT_MODEL
from agewise.types import Detection, Face, UInt8Array


class Analyzer:
    """Finds the faces of a picture and estimates their ages and genders.

    >>> import agewise                                               # doctest: +SKIP
    >>> for face in agewise.Analyzer()("photo.jpg"):                 # doctest: +SKIP
    ...     print(face.box_xyxy, face.age_years, face.age_interval_years)

    Make one and use it for many pictures: loading the networks takes longer than a picture does.

    Args:
        model: an embedded model's name, the path of an `.onnx` file with a card, or an `Estimator`.
        detector: a detector's name (see `agewise detectors`), or a `Detector`.
        min_face: side in pixels of the smallest face looked for; None leaves it to the detector. A
            `Detector` that is given has its own.
        max_faces: at most so many faces of a picture, the largest; None for all.
        threads: of each network call; 0 for all cores. An `Estimator` or `Detector` that is given keeps its own.
        batch: most faces in one network call. An `Estimator` that is given keeps its own.
        max_pixels: larger pictures are refused before they are decoded.
        quality: which faces are judged; by default the card's thresholds. An `Estimator` that is given keeps its own.
        answer_all: judge every face. An `Estimator` that is given keeps its own.

    Raises:
        UnknownModelError, UnknownDetectorError: no such name.
        MissingExtraError: the detector needs a package that is not installed.
        ModelError: the model file cannot be used.
        ValueError: `max_faces`, `threads` or `batch` out of range.

    One Analyzer may be called from several threads at once if its detector may; the default one may.
    """

    def __init__(
        self,
        model: str | Path | Estimator = DEFAULT_MODEL,
        detector: str | Detector = "mtcnn",
        *,
        min_face: int | None = None,
        max_faces: int | None = None,
        threads: int = 1,
        batch: int = 32,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        quality: QualityThresholds | None = None,
        answer_all: bool = False,
    ) -> None:
        if max_faces is not None and max_faces < 1:
            raise ValueError(f"max_faces must be at least 1, got {max_faces}")
        config = EngineConfig(threads=threads)
        self.detector: Detector = (
            make_detector(detector, min_face=min_face, engine_config=config) if isinstance(detector, str) else detector
        )
        self.estimator = (
            model
            if isinstance(model, Estimator)
            else Estimator(model, engine_config=config, batch=batch, quality=quality, answer_all=answer_all)
        )
        self._max_faces = max_faces
        self._max_pixels = max_pixels

    def __call__(self, source: ImageSource, *, color_order: ColorOrder | None = None) -> list[Face]:
        """The faces of a picture, the largest first; an empty list where there is none.

        Args:
            source: a path, the bytes of an encoded picture, a PIL image, or an array.
            color_order: of an array, which must state it: "RGB", "BGR", "GRAY", "RGBA" or "BGRA".

        Raises:
            ImageReadError: the picture cannot be read.
            ImageTooLargeError: it has more pixels than `max_pixels`.
            ArrayError: an array of the wrong shape, type or range, or without `color_order`.
        """
        return self.analyze(self.read(source, color_order=color_order))

    def read(self, source: ImageSource, *, color_order: ColorOrder | None = None) -> UInt8Array:
        """The picture, upright, uint8 RGB (height, width, 3). See `agewise.imaging.read_image`."""
        return read_image(source, color_order=color_order, max_pixels=self._max_pixels)

    def analyze(self, image_rgb: UInt8Array) -> list[Face]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the largest first.

        Raises:
            ArrayError: another shape or type; `read` makes such a picture of anything.
        """
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8 or not image_rgb.size:
            raise ArrayError(
                f"expected a uint8 RGB picture (height, width, 3), got {image_rgb.dtype} {image_rgb.shape}: "
                "pass it to the Analyzer itself, with its color_order"
            )
        detections = self.detect(image_rgb)
        predictions = self.estimator(image_rgb, detections)
        return [Face(*pair) for pair in zip(detections, predictions, strict=True)]

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces that `analyze` estimates: the largest first, no more than `max_faces`."""
        return sorted(self.detector.detect(image_rgb), key=_area, reverse=True)[: self._max_faces]


def _area(detection: Detection) -> float:
    x0, y0, x1, y1 = detection.box_xyxy
    return (x1 - x0) * (y1 - y0)
