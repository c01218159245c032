"""MTCNN: three small networks in a cascade, on ONNX Runtime. The default detector.

Zhang, Zhang, Li, Qiao: «Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks», IEEE Signal Processing Letters 23(10), 2016. The proposal network (P-Net) slides over an image
pyramid, the refinement network (R-Net) and the output network (O-Net) judge the candidates of a picture
in batches. The weights are those of the `mtcnn` distribution (MIT), see `agewise_lab.convert.mtcnn`.

Three things differ from the paper, each measured: P-Net's candidates are the peaks of its map, not all
cells; O-Net looks three times, at the box that its first look gave, and at its mirror image; and a
picture without a face gets a second, different search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from agewise.detect.boxes import suppress, to_squares
from agewise.detect.pyramid import GREY, Pyramid
from agewise.engine import Engine, EngineConfig, OnnxEngine
from agewise.store import read_network
from agewise.types import Detection, FloatArray, UInt8Array

_CELL = 12  # side of the region that one P-Net output sees
_STRIDE = 2
_RNET_SIDE, _ONET_SIDE = 24, 48
# A network call gets so many candidates, or about so many pixels of a level, in strips of at least so many rows, as
# strips overlap. Small calls stay in the processor's cache, and their buffers are a megabyte or two: larger ones, of a
# new size with each picture, break up the heap, so that resident memory grows faster and longer.
_BATCH = 8
_STRIP, _LEAST_ROWS = 1 << 14, 32
_MOST_CANDIDATES = 10_000  # a limit on time only; crowds of a thousand faces stay below it

_FIRST_LOOK = 0.5  # least score of O-Net's first look; the threshold holds for the mean of the three
_LEAST_FACE = 20  # what `min_face=None` never goes below

# The second try, where no face reaches this score: a copy of at most this side squared, a frame of this
# share of it, and faces from this share of it.
_SURE, _COPY_SIDE, _FRAME, _COPY_FACE = 0.97, 240, 0.25, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class MtcnnConfig:
    """Settings of the cascade.

    Args:
        min_face: side in pixels of the smallest face that is looked for, >= 12. Time grows with
            (side of the picture / min_face)². None takes `automatic_min_face`.
        thresholds: least scores after P-Net, R-Net and O-Net, 0 to 1. The last one is held against the
            score that a detection carries: the mean, as log-odds, of O-Net's three looks.
        pyramid_factor: ratio of neighbouring pyramid scales, 0.3 to 0.95.
        second_try: whether a picture without a sure face is searched again, in a frame and turned by
            quarters: for faces that fill the picture or lie on their side. Costs about as much as the
            search of a 640×480 picture.
    """

    min_face: int | None = None
    thresholds: tuple[float, float, float] = (0.7, 0.5, 0.87)
    pyramid_factor: float = 0.709
    second_try: bool = True

    def __post_init__(self) -> None:
        if self.min_face is not None and self.min_face < _CELL:
            raise ValueError(f"min_face must be at least {_CELL} pixels, got {self.min_face}")
        if len(self.thresholds) != 3 or not all(0.0 <= value <= 1.0 for value in self.thresholds):
            raise ValueError(f"thresholds are three numbers, 0 to 1, got {self.thresholds}")
        if not 0.3 <= self.pyramid_factor <= 0.95:
            raise ValueError(f"pyramid_factor must be 0.3 to 0.95, got {self.pyramid_factor}")


def automatic_min_face(width: int, height: int) -> int:
    """The smallest face that is looked for where the user names none, in pixels.

    20 up to 640×480, then growing as the fourth root of the area: so time grows with the side of a picture.

    >>> [automatic_min_face(width, width * 3 // 4) for width in (320, 640, 1920, 4000)]
    [20, 20, 35, 50]
    """
    return max(_LEAST_FACE, round(_LEAST_FACE * math.sqrt(math.sqrt(width * height / (640 * 480)))))


class MtcnnDetector:
    """Finds faces with five landmarks. Holds no state between pictures.

    Args:
        config: cascade settings.
        engine_config: threads and providers.
        engines: P-Net, R-Net and O-Net; by default the embedded ones.

    Raises:
        ModelError: an embedded network is missing or damaged.
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
            pnet, rnet, onet = (
                OnnxEngine(read_network(f"mtcnn-{stage}"), engine_config) for stage in ("pnet", "rnet", "onet")
            )
            engines = (pnet, rnet, onet)
        self._pnet, self._rnet, self._onet = engines

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the surest first.

        The landmarks of a face that lies on its side are in the order that they have when it stands.
        """
        pyramid = Pyramid(image_rgb, _CELL)
        faces = self._search(pyramid, self.config.min_face or automatic_min_face(*pyramid.size_wh))
        if self.config.second_try and not (faces.scores >= _SURE).any():
            # Where an upright face was found, only a surer one that is turned can take its place.
            other = self._try_again(pyramid, (1, 2, 3) if len(faces.scores) else (0, 1, 2, 3))
            faces = max(faces, other, key=lambda some: some.scores.max(initial=0.0))
        return [
            Detection((float(x0), float(y0), float(x1), float(y1)), float(score), points.astype(np.float32))
            for (x0, y0, x1, y1), score, points in zip(*faces, strict=True)
        ]

    def _try_again(self, pyramid: Pyramid, ways: tuple[int, ...]) -> _Faces:
        """A small copy in a grey frame, turned by quarters: for faces that fill the picture or lie on their side."""
        width, height = pyramid.size_wh
        scale = min(1.0, _COPY_SIDE / math.sqrt(width * height))
        if min(width, height) * scale < _CELL:
            return _NO_FACES
        copy = pyramid.scaled(scale)
        frame = round(_FRAME * _COPY_SIDE)
        framed = cv2.copyMakeBorder(copy, frame, frame, frame, frame, cv2.BORDER_CONSTANT, value=GREY)
        smallest = max(_LEAST_FACE, round(_COPY_FACE * min(copy.shape[:2])), round((self.config.min_face or 0) * scale))
        # O-Net accepts many a face that lies on its side or its head, so the surest way counts.
        best, best_turns, best_shape = _NO_FACES, 0, framed.shape
        for turns in ways:
            turned = np.ascontiguousarray(np.rot90(framed, turns), dtype=np.uint8)
            faces = self._search(Pyramid(turned, _CELL), smallest)
            if len(faces.scores) and (not len(best.scores) or faces.scores[0] > best.scores[0]):
                best, best_turns, best_shape = faces, turns, turned.shape
        corners = _turned_back(best.boxes_xyxy.reshape(-1, 2, 2), best_turns, best_shape)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        points = _turned_back(best.points_xy, best_turns, best_shape)
        ratio = np.array([width / copy.shape[1], height / copy.shape[0]])
        return _Faces((boxes - frame) * np.tile(ratio, 2), best.scores, (points - frame) * ratio)

    def _search(self, pyramid: Pyramid, smallest: int) -> _Faces:
        """The cascade on one picture."""
        boxes = self._refine(pyramid, self._propose(pyramid, smallest))
        first, boxes, _ = self._look(pyramid, boxes)
        sure = first >= _logit(_FIRST_LOOK)
        first, boxes = first[sure], boxes[sure]
        kept = suppress(boxes, first, 0.7)
        first, boxes = first[kept], boxes[kept]
        # The second look sees the face where the first one put it, and once more in the mirror: a false
        # face seldom convinces three times, and boxes and landmarks vary less with the picture's position.
        second, left, points_left = self._look(pyramid, boxes)
        third, right, points_right = self._look(pyramid, boxes, mirrored=True)
        logit, boxes, points = (first + second + third) / 3, (left + right) / 2, (points_left + points_right) / 2
        sure = (logit >= _logit(self.config.thresholds[2])) & _sound(boxes, pyramid.size_wh)
        logit, boxes, points = logit[sure], boxes[sure], points[sure]
        kept = suppress(boxes, logit, 0.7, "smaller")
        return _Faces(boxes[kept], 1 / (1 + np.exp(-logit[kept])), points[kept])

    def _propose(self, pyramid: Pyramid, smallest: int) -> FloatArray:
        """P-Net over the pyramid: candidate squares (n, 4)."""
        found: list[FloatArray] = [np.empty((0, 9))]
        scale, shorter = _CELL / smallest, min(pyramid.size_wh)
        while shorter * scale >= _CELL:
            found += self._scan(pyramid, scale)
            scale *= self.config.pyramid_factor
        every = np.concatenate(found)
        every = every[np.argsort(-every[:, 4], kind="stable")[:_MOST_CANDIDATES]]
        every = every[suppress(every[:, :4], every[:, 4], 0.7)]
        return to_squares(_regress(every[:, :4], every[:, 5:]))

    def _scan(self, pyramid: Pyramid, scale: float) -> list[FloatArray]:
        """P-Net over one level: rows (x0, y0, x1, y1, logit, four offsets), boxes in picture pixels."""
        level = pyramid.scaled(scale)
        height, width = level.shape[:2]
        ratio = np.tile(np.array(pyramid.size_wh) / (width, height), 2)
        rows = max(_STRIP // width, _LEAST_ROWS) // _STRIDE * _STRIDE
        found: list[FloatArray] = []
        for top in range(0, height - _CELL + 1, rows):
            strip = level[None, top : top + rows + _CELL - _STRIDE]
            out = self._pnet.run({"images_rgb": strip})["out"][0]
            row, column = _peaks(out[0], _logit(self.config.thresholds[0]))
            corner = np.stack([column * _STRIDE, row * _STRIDE + top], axis=1)
            boxes = np.concatenate([corner, corner + _CELL], axis=1) * ratio
            found.append(np.concatenate([boxes, out[:, row, column].T], axis=1))
        return found

    def _refine(self, pyramid: Pyramid, squares: FloatArray) -> FloatArray:
        """R-Net on every candidate: fewer, better squares (n, 4)."""
        out = _judged(self._rnet, pyramid, squares, _RNET_SIDE, 5)
        good = out[:, 0] >= _logit(self.config.thresholds[1])
        squares, out = squares[good], out[good]
        kept = suppress(squares, out[:, 0], 0.5)
        return to_squares(_regress(squares[kept], out[kept, 1:5]))

    def _look(
        self, pyramid: Pyramid, boxes: FloatArray, mirrored: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """O-Net on the squares around boxes (n, 4): logits (n,), boxes (n, 4), landmarks (n, 5, 2)."""
        squares = to_squares(boxes)
        out = _judged(self._onet, pyramid, squares, _ONET_SIDE, 15, mirrored)
        offsets, shares = out[:, 1:5], out[:, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        if mirrored:
            offsets = offsets[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
            shares = shares[:, [1, 0, 2, 4, 3]] * [-1, 1] + [1, 0]
        points = squares[:, None, :2] + shares * (squares[:, 2:] - squares[:, :2])[:, None, :]
        return out[:, 0], _regress(squares, offsets), points


class _Faces(NamedTuple):
    """Faces as arrays: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""

    boxes_xyxy: FloatArray
    scores: FloatArray
    points_xy: FloatArray


_NO_FACES = _Faces(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)))


def _logit(probability: float) -> float:
    """Log-odds: infinite at 0 and 1."""
    if probability in (0.0, 1.0):
        return math.inf if probability else -math.inf
    return math.log(probability / (1 - probability))


def _peaks(logit: FloatArray, least: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the cells that are at least `least` and not below any of their eight neighbours.

    Cells further apart overlap by no more than half, so this stands in for non-maximum suppression.
    """
    highest = cv2.dilate(logit, np.ones((3, 3), dtype=np.uint8))
    row, column = np.nonzero((logit >= least) & (logit >= highest))
    return row, column


def _sound(boxes: FloatArray, size_wh: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Whether each box has an area and its centre lies in the picture."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centre >= 0) & (centre < size_wh)
    return np.asarray((inside & (boxes[:, 2:] - boxes[:, :2] > 1)).all(axis=1))


def _regress(boxes: FloatArray, offsets: FloatArray) -> FloatArray:
    """Boxes moved by a network's offsets, which are shares of the box's width and height."""
    side = boxes[:, 2:] - boxes[:, :2]
    moved: FloatArray = boxes + offsets * np.concatenate([side, side], axis=1)
    return moved


def _judged(
    engine: Engine, pyramid: Pyramid, squares: FloatArray, side: int, outputs: int, mirrored: bool = False
) -> FloatArray:
    """A network's outputs (n, outputs) on squares (n, 4) cut out at `side` pixels."""
    parts = [np.empty((0, outputs))]
    for start in range(0, len(squares), _BATCH):
        cuts = pyramid.cut(squares[start : start + _BATCH], side)
        if mirrored:
            cuts = np.ascontiguousarray(cuts[:, :, ::-1])
        parts.append(np.asarray(engine.run({"images_rgb": cuts})["out"], dtype=np.float64))
    return np.concatenate(parts)


def _turned_back(points_xy: FloatArray, turns: int, shape: tuple[int, ...]) -> FloatArray:
    """Points (…, 2) of a picture that `np.rot90` turned `turns` times to `shape`, as before the turning."""
    height, width = shape[:2]
    x, y = points_xy[..., 0], points_xy[..., 1]
    for _ in range(turns):
        x, y = height - y, x
        height, width = width, height
    return np.stack([x, y], axis=-1)
