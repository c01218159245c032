"""MTCNN: three small networks in a cascade, on ONNX Runtime. The default detector.

Zhang, Zhang, Li, Qiao: «Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks», IEEE Signal Processing Letters 23(10), 2016. The proposal network (P-Net) slides over an image
pyramid, the refinement network (R-Net) and the output network (O-Net) judge all candidates of a picture
in one batch each. The weights are those of the `mtcnn` distribution (MIT), see `agewise_lab.convert.mtcnn`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np

from agewise.detect.boxes import suppress, to_squares
from agewise.engine import Engine, EngineConfig, OnnxEngine
from agewise.types import Detection, FloatArray, UInt8Array

_CELL = 12  # side of the region that one P-Net output sees
_STRIDE = 2
_BATCH = 256  # candidates a network call; bounds memory on crowds
_AUTO_SHARE = 20  # by default a face is looked for from a twentieth of the picture's shorter side …
_AUTO_LEAST = 20  # … but from no less than this many pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class MtcnnConfig:
    """Settings of the cascade.

    Args:
        min_face: side in pixels of the smallest face that is looked for, >= 12; None takes a twentieth of
            the picture's shorter side, and at least 20 px. Time grows with (side of the picture / min_face)².
        thresholds: least scores after P-Net, R-Net and O-Net, 0 to 1.
        pyramid_factor: ratio of neighbouring pyramid scales, 0 to 1.
    """

    min_face: int | None = None
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.9)
    pyramid_factor: float = 0.709

    def __post_init__(self) -> None:
        if self.min_face is not None and self.min_face < _CELL:
            raise ValueError(f"min_face must be at least {_CELL} pixels, got {self.min_face}")
        if not all(0.0 <= value <= 1.0 for value in self.thresholds):
            raise ValueError(f"thresholds must be 0 to 1, got {self.thresholds}")
        if not 0.3 <= self.pyramid_factor <= 0.95:
            raise ValueError(f"pyramid_factor must be 0.3 to 0.95, got {self.pyramid_factor}")


class MtcnnDetector:
    """Finds faces with five landmarks.

    Args:
        config: cascade settings.
        engine_config: threads and providers.
        engines: P-Net, R-Net and O-Net; by default the embedded ones.
    """

    name = "mtcnn"

    def __init__(
        self,
        config: MtcnnConfig | None = None,
        engine_config: EngineConfig | None = None,
        engines: tuple[Engine, Engine, Engine] | None = None,
    ) -> None:
        self.config = config or MtcnnConfig()
        if engines is None:
            folder = resources.files("agewise.weights")
            pnet, rnet, onet = (
                OnnxEngine((folder / f"mtcnn-{stage}.onnx").read_bytes(), engine_config)
                for stage in ("pnet", "rnet", "onet")
            )
            engines = (pnet, rnet, onet)
        self._pnet, self._rnet, self._onet = engines

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the surest first."""
        if min(image_rgb.shape[:2]) < _CELL:
            return []
        boxes = self._propose(image_rgb)
        boxes = self._refine(image_rgb, boxes)
        return self._output(image_rgb, boxes)

    def _scales(self, height: int, width: int) -> list[float]:
        shorter = min(height, width)
        smallest = self.config.min_face or max(_AUTO_LEAST, shorter // _AUTO_SHARE)
        scale = _CELL / smallest
        scales = []
        while shorter * scale >= _CELL:
            scales.append(scale)
            scale *= self.config.pyramid_factor
        return scales

    def _propose(self, image_rgb: UInt8Array) -> FloatArray:
        """P-Net over the pyramid: squared candidate boxes (n, 4)."""
        found: list[FloatArray] = []
        height, width = image_rgb.shape[:2]
        shrunk = image_rgb
        for scale in self._scales(height, width):
            size_wh = (math.ceil(width * scale), math.ceil(height * scale))
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            # Each level is averaged down from the one before: no level reads the full picture but the first.
            shrunk = np.asarray(cv2.resize(shrunk, size_wh, interpolation=how), dtype=np.uint8)
            out = self._pnet.run({"x": _to_input(shrunk[None])})
            candidates = self._from_map(out["prob"][0, 1], out["box"][0], scale)
            found.append(candidates[suppress(candidates[:, :4], candidates[:, 4], 0.5)])
        if not found:
            return np.empty((0, 4))
        every = np.concatenate(found)
        every = every[suppress(every[:, :4], every[:, 4], 0.7)]
        return to_squares(_regress(every[:, :4], every[:, 5:9]))

    def _from_map(self, prob: FloatArray, box: FloatArray, scale: float) -> FloatArray:
        """Cells above the threshold as rows (x0, y0, x1, y1, score, four offsets) in picture pixels."""
        row, column = np.nonzero(prob >= self.config.thresholds[0])
        corner = np.stack([column, row], axis=1) * _STRIDE
        boxes = np.concatenate([corner, corner + _CELL], axis=1) / scale
        return np.concatenate([boxes, prob[row, column][:, None], box[:, row, column].T], axis=1)

    def _refine(self, image_rgb: UInt8Array, boxes: FloatArray) -> FloatArray:
        """R-Net on every candidate: fewer, better squares (n, 4)."""
        if not len(boxes):
            return boxes
        out = _run_batched(self._rnet, image_rgb, boxes, 24)
        scores = out["prob"][:, 1]
        good = scores >= self.config.thresholds[1]
        boxes, scores, offsets = boxes[good], scores[good], out["box"][good]
        kept = suppress(boxes, scores, 0.7)
        return to_squares(_regress(boxes[kept], offsets[kept]))

    def _output(self, image_rgb: UInt8Array, boxes: FloatArray) -> list[Detection]:
        """O-Net on what is left: the detections."""
        if not len(boxes):
            return []
        out = _run_batched(self._onet, image_rgb, boxes, 48)
        scores = out["prob"][:, 1]
        good = scores >= self.config.thresholds[2]
        boxes, scores = boxes[good], scores[good]
        side = boxes[:, 2:] - boxes[:, :2]
        points = out["points"][good].reshape(-1, 2, 5).transpose(0, 2, 1)
        points = boxes[:, None, :2] + points * side[:, None, :]
        boxes = _regress(boxes, out["box"][good])
        sound = (boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1) & _in_picture(boxes, image_rgb.shape)
        boxes, scores, points = boxes[sound], scores[sound], points[sound]
        kept = suppress(boxes, scores, 0.7, "smaller")
        return [
            Detection((*map(float, boxes[i]),), float(scores[i]), points[i].astype(np.float32))  # type: ignore[arg-type]
            for i in kept
        ]


def _in_picture(boxes: FloatArray, shape: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each box's centre lies in the picture."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((centre >= 0) & (centre < [shape[1], shape[0]])).all(axis=1))


def _to_input(images_rgb: UInt8Array) -> FloatArray:
    """uint8 RGB (n, h, w, 3) → float32 (n, 3, h, w), -1 to 1, as MTCNN was trained."""
    scaled = (images_rgb.astype(np.float32) - 127.5) * np.float32(1 / 128)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _regress(boxes: FloatArray, offsets: FloatArray) -> FloatArray:
    """Boxes moved by a network's offsets, which are shares of the box's width and height."""
    side = boxes[:, 2:] - boxes[:, :2]
    moved: FloatArray = boxes + offsets * np.concatenate([side, side], axis=1)
    return moved


def _cut(image_rgb: UInt8Array, boxes: FloatArray, size: int) -> UInt8Array:
    """Squares cut out and scaled to `size`, grey (127) beyond the picture, as in training."""
    height, width = image_rgb.shape[:2]
    cuts = np.empty((len(boxes), size, size, 3), dtype=np.uint8)
    for cut, box in zip(cuts, np.round(boxes).astype(int), strict=True):
        x0, y0, x1, y1 = box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)
        inside = image_rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        around = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
        if not inside.size:
            cut[:] = 127
            continue
        if any(around):
            top, bottom, left, right = map(int, around)
            inside = np.asarray(
                cv2.copyMakeBorder(inside, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(127, 127, 127)),
                dtype=np.uint8,
            )
        how = cv2.INTER_AREA if x1 - x0 > size else cv2.INTER_LINEAR
        cv2.resize(inside, (size, size), dst=cut, interpolation=how)
    return cuts


def _run_batched(engine: Engine, image_rgb: UInt8Array, boxes: FloatArray, size: int) -> dict[str, FloatArray]:
    parts = [
        engine.run({"x": _to_input(_cut(image_rgb, boxes[start : start + _BATCH], size))})
        for start in range(0, len(boxes), _BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
