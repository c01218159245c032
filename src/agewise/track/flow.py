"""Known boxes moved on from one frame to the next by optical flow, cheaply; and small pictures to compare faces by."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from agewise.types import Box, FloatArray, UInt8Array

_LONGEST = 640  # pixels of the small grey picture's longer side, at most twice this less one
_GRID = 5  # points in each direction of a face
_UNIT = np.stack(np.meshgrid(*[(np.arange(_GRID) + 0.5) / _GRID * 0.8 + 0.1] * 2), axis=-1).reshape(-1, 2)
_AROUND = 0.4  # of the face's sides, looked at on each side
_LEAST_SIDE = 16  # pixels of the small picture's part
_SETTINGS: dict[str, Any] = {
    "winSize": (13, 13),
    "maxLevel": 2,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
}
_NO_GUESS: Any = None  # the stubs want an array
_RETURN = 1.0  # pixels: a point that comes back farther off, followed forth and back, counts as lost
_LEAST_POINTS = 0.35  # share of the points that must be left
_MOST_SCALE = 1.25
_TOGETHER = 0.6  # share of those that must have moved as one, …
_APART = 0.04  # … to this share of the face's side: else some lie on what hides it
_CUT = 0.5  # correlation of two frames' small pictures below which they are of two scenes
_PATCH = 16  # side of the pictures that faces are compared by


class Flow:
    """The small grey picture of the newest frame and of the one before.

    Source: Bouguet, «Pyramidal implementation of the Lucas Kanade feature tracker», 2001; forth and back, with the
    median shift and scale: Kalal, Mikolajczyk, Matas, «Forward-Backward Error», ICPR 2010.
    """

    def __init__(self) -> None:
        self._factor = 1
        self._before: UInt8Array | None = None
        self.gray: UInt8Array = np.zeros((1, 1), dtype=np.uint8)
        self._whole: FloatArray = np.zeros(_PATCH * _PATCH, dtype=np.float32)
        self.cut = False  # the newest frame shows another scene

    def push(self, image_rgb: UInt8Array) -> None:
        """Take the next frame; one of another size begins anew."""
        factor = max(1, max(image_rgb.shape[:2]) // _LONGEST)
        # the green channel is what grey mostly is, and every n-th pixel costs a tenth of an average
        gray = np.ascontiguousarray(image_rgb[::factor, ::factor, 1])
        self._before = self.gray if gray.shape == self.gray.shape else None
        self._factor, self.gray = factor, gray
        whole = self.patch((0.0, 0.0, float(image_rgb.shape[1]), float(image_rgb.shape[0])))
        self.cut = self._before is not None and float(whole @ self._whole) < _CUT
        self._whole = whole

    def move(self, box: Box) -> Box | None:
        """Where a box of the frame before is in this one; None where it cannot be followed."""
        x0, y0, x1, y1 = (side / self._factor for side in box)
        width, height = x1 - x0, y1 - y0
        # only the face's surroundings are looked at: it costs the same in large frames and small ones
        left, top = max(int(x0 - _AROUND * width), 0), max(int(y0 - _AROUND * height), 0)
        part = np.s_[top : max(int(y1 + _AROUND * height), 0), left : max(int(x1 + _AROUND * width), 0)]
        if self._before is None or min(self.gray[part].shape) < _LEAST_SIDE:
            return None
        before, now = np.ascontiguousarray(self._before[part]), np.ascontiguousarray(self.gray[part])
        points = np.array([x0 - left, y0 - top]) + _UNIT * np.array([width, height])
        start = points[:, None].astype(np.float32)
        forth, found, _ = cv2.calcOpticalFlowPyrLK(before, now, start, _NO_GUESS, **_SETTINGS)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(now, before, forth, _NO_GUESS, **_SETTINGS)
        ends = forth[:, 0]
        keep = (found[:, 0] > 0) & (returned[:, 0] > 0) & (np.abs(back - start).max(axis=(1, 2)) < _RETURN)
        keep &= ((ends >= 0) & (ends < now.shape[::-1])).all(axis=1)
        offset = np.array([left, top])
        return self._moved(box, points + offset, ends + offset, keep)

    def _moved(self, box: Box, points: FloatArray, ends: FloatArray, keep: FloatArray) -> Box | None:
        """The box, moved by the points' median shift and scaled by the median change of their distances."""
        if np.count_nonzero(keep) < _LEAST_POINTS * len(points):
            return None
        start, end = points[keep], ends[keep].astype(np.float64)
        middle, moved = np.median(start, axis=0), np.median(end, axis=0)
        spans = np.hypot(*(start - middle).T), np.hypot(*(end - moved).T)
        far = spans[0] > 0.5 * np.median(spans[0])
        scale = float(np.median(spans[1][far] / spans[0][far])) if far.any() else 1.0
        if not 1 / _MOST_SCALE < scale < _MOST_SCALE:
            return None
        apart = np.hypot(*(end - moved - scale * (start - middle)).T)
        if np.count_nonzero(apart < max(1.0, _APART * (box[2] - box[0]) / self._factor)) < _TOGETHER * len(start):
            return None
        x0, y0, x1, y1 = box
        shift_x, shift_y = ((moved - middle) * self._factor).tolist()
        # the box's middle lies off the points' median, and moves by scale, too
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        x += shift_x + (scale - 1) * (x - float(middle[0]) * self._factor)
        y += shift_y + (scale - 1) * (y - float(middle[1]) * self._factor)
        half_width, half_height = (x1 - x0) / 2 * scale, (y1 - y0) / 2 * scale
        return (x - half_width, y - half_height, x + half_width, y + half_height)

    def patch(self, box: Box) -> FloatArray:
        """A face as 16×16 grey levels of mean 0 and norm 1, float32 (256,): their product is the correlation."""
        height, width = self.gray.shape
        x0, y0, x1, y1 = (round(side / self._factor) for side in box)
        x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        part = self.gray[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        small = np.asarray(cv2.resize(part, (_PATCH, _PATCH), interpolation=cv2.INTER_AREA))
        values = small.astype(np.float32).reshape(-1)
        values -= values.mean()
        result: FloatArray = values / max(float(np.linalg.norm(values)), 1e-6)
        return result
