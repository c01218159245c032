"""One picture at several sizes, and squares cut out of it: what a cascade looks at."""

from __future__ import annotations

import cv2
import numpy as np

from agewise.types import FloatArray, UInt8Array

GREY = (127, 127, 127)  # beyond the picture, as in MTCNN's training
_LONGEST_REMAP = 32_766  # cv2.remap takes no longer side


class Pyramid:
    """A picture and its halves, quarters, … down to `least` pixels on the shorter side.

    Anything smaller is drawn bilinearly from the level that is 1 to 2 times as fine, so that cost does not
    grow with the picture and nothing is sampled past its neighbours.

    Args:
        image_rgb: uint8 (height, width, 3).
        least: no level has a shorter side below this.
    """

    def __init__(self, image_rgb: UInt8Array, least: int) -> None:
        self._levels: list[UInt8Array] = [np.ascontiguousarray(image_rgb)]
        while min(self._levels[-1].shape[:2]) >= 2 * least:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(self._levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
            self._levels.append(np.asarray(half, dtype=np.uint8))
        height, width = image_rgb.shape[:2]
        self.size_wh: tuple[int, int] = (width, height)
        longest = [max(level.shape[:2]) for level in self._levels]
        self._finest_cut = next((i for i, side in enumerate(longest) if side <= _LONGEST_REMAP), len(longest) - 1)

    def scaled(self, scale: float) -> UInt8Array:
        """The whole picture at `scale` (pixels a picture pixel), each side rounded up."""
        width, height = np.ceil(np.array(self.size_wh) * scale - 1e-9).astype(int).tolist()
        level = self._levels[int(self._level(np.array([1.0 / scale]), 0)[0])]
        if level.shape[:2] == (height, width):
            return level
        return np.asarray(cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def cut(self, squares_xyxy: FloatArray, size: int) -> UInt8Array:
        """Squares (n, 4) in picture pixels → uint8 (n, size, size, 3); grey beyond the picture."""
        cuts = np.empty((len(squares_xyxy), size, size, 3), dtype=np.uint8)
        sides = squares_xyxy[:, 2] - squares_xyxy[:, 0]
        chosen = self._level(sides / size, self._finest_cut)
        for index in np.unique(chosen):
            mine = chosen == index
            cuts[mine] = self._cut_from(self._levels[index], squares_xyxy[mine], size)
        return cuts

    def _level(self, shrinking: FloatArray, finest: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """The coarsest level that still is at least as fine as a reduction by `shrinking`."""
        octave = np.floor(np.log2(np.maximum(shrinking, 1.0)) + 1e-9)
        return np.clip(octave, finest, len(self._levels) - 1).astype(np.intp)

    def _cut_from(self, level: UInt8Array, squares_xyxy: FloatArray, size: int) -> UInt8Array:
        ratio = np.array(level.shape[1::-1]) / self.size_wh
        # Centres of the cut's pixels, in the level's centre-based coordinates.
        steps = (np.arange(size) + 0.5) / size
        start, span = squares_xyxy[:, :2, None], (squares_xyxy[:, 2:] - squares_xyxy[:, :2])[:, :, None]
        xy = ((start + span * steps) * ratio[:, None] - 0.5).astype(np.float32)
        shape = (len(squares_xyxy), size, size)
        x = np.ascontiguousarray(np.broadcast_to(xy[:, 0, None, :], shape)).reshape(-1, size)
        y = np.ascontiguousarray(np.broadcast_to(xy[:, 1, :, None], shape)).reshape(-1, size)
        cut = cv2.remap(level, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=GREY)
        return np.asarray(cut, dtype=np.uint8).reshape(*shape, 3)
