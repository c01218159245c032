"""Where a face is and where it goes: a Kalman filter with constant velocity."""

from __future__ import annotations

import numpy as np

from agewise.types import Box, FloatArray

# In shares of the face's side. Detectors place a face that stands still about this far apart from frame to frame …
_DETECTED = 0.04
# … and optical flow moves it on with this error.
_FLOWED = 0.01
_FLOW_GAIN = 0.3  # how much of the speed is renewed by a frame's flow
_ACCELERATION = 3.0  # a second, squared: heads start and stop within some tenths of a second
_FIRST_SPEED = 1.0  # a second: of a face that was seen once
_LOST_DAMPING = 1.5  # seconds in which a hidden face's speed falls to a third


class Motion:
    """The filtered box of one face.

    The state is the box's middle in pixels and the logarithms of its sides, with their speeds; the four are filtered
    alike, as all errors are taken in shares of the face's side.

    Args:
        box: (x0, y0, x1, y1) as first seen.
    """

    def __init__(self, box: Box) -> None:
        self._place = _state(box)
        self._speed = np.zeros(4)
        self._covariance = np.array([[_DETECTED**2, 0.0], [0.0, _FIRST_SPEED**2]])
        self._last_sure = (self._place, self._speed, 0.0)
        self._before = (0.0, self._covariance)

    @property
    def box(self) -> Box:
        """(x0, y0, x1, y1), smoothed."""
        x, y = self._place[:2].tolist()
        width, height = np.exp(self._place[2:]).tolist()
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def side(self) -> float:
        """The face's side in pixels, √(width · height)."""
        return float(np.exp(self._place[2:].mean()))

    def predict(self, seconds: float, *, seen: bool) -> None:
        """Go on by so many seconds. The speed of a face that is not seen dies away, so that it does not run off."""
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = np.array([[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]]) * _ACCELERATION**2
        self._before = (seconds, self._covariance)
        self._place = self._place + self._speed * seconds
        self._place[2:] = np.clip(self._place[2:], 0.0, 12.0)
        place, speed, ago = self._last_sure
        self._last_sure = (place, speed, ago + seconds)
        if not seen:
            self._speed = self._speed * np.exp(-seconds / _LOST_DAMPING)
        # beyond a few faces' sides nothing is known any more: bounded, whatever the gap
        self._covariance = np.minimum(step @ self._covariance @ step.T + noise, 25.0)

    def detected(self, box: Box) -> None:
        """Take in where a detector found the face."""
        self._update(_state(box), _DETECTED)
        self._last_sure = (self._place, self._speed, 0.0)

    def flowed(self, box: Box) -> None:
        """Take in where optical flow has moved the box of the frame before.

        Flow says how far the face went since then, not where it is: the place's error grows by flow's own, and is
        not made smaller, else the box would drift off with flow's small errors and no detection could fetch it back.
        """
        seconds, sure = self._before
        place = _state(box)
        if seconds > 0:
            self._speed = self._speed + _FLOW_GAIN * (place - self._place) / seconds
        self._place = place
        self._covariance = np.array([[sure[0, 0] + _FLOWED**2, 0.0], [0.0, sure[1, 1]]])

    def lost(self) -> None:
        """Forget what optical flow said since the last detection: it may have followed what hides the face.

        The face is expected where its speed of then brings it. Source of the thought: Cao et al.,
        «Observation-Centric SORT», CVPR 2023.
        """
        place, self._speed, ago = self._last_sure
        self._place = place + np.concatenate([self._speed[:2] * ago, [0.0, 0.0]])
        self._speed = np.concatenate([self._speed[:2], [0.0, 0.0]])

    def _update(self, measured: FloatArray, error: float) -> None:
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + error**2)
        residual = measured - self._place
        self._place = self._place + gain[0] * residual
        self._speed = self._speed + gain[1] * residual
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])

    def rescale(self, factor_x: float, factor_y: float) -> None:
        """The picture was scaled, and the face with it."""
        factors = np.array([factor_x, factor_y])
        self._place = np.concatenate([self._place[:2] * factors, self._place[2:] + np.log(factors)])
        self._speed = np.concatenate([self._speed[:2] * factors, self._speed[2:]])
        self._last_sure = (self._place, self._speed, 0.0)


def _state(box: Box) -> FloatArray:
    x0, y0, x1, y1 = box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, np.log(x1 - x0), np.log(y1 - y0)])
