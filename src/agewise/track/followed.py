"""One face that is being followed: its place, its estimates, and when the next one is due."""

from __future__ import annotations

import math

import numpy as np

from agewise import quality
from agewise.estimate import Estimator
from agewise.track.config import TrackConfig
from agewise.track.faces import Track, TrackedFace
from agewise.track.fuse import Fusion
from agewise.track.motion import Motion
from agewise.types import Box, Detection, FloatArray, Prediction

_NEW_PATCH = 0.5  # how much of a face's small picture is renewed whenever the detector sees it
_NEW_LANDMARKS = 0.5
_UNSETTLE = 3.0  # a settled age that moves by so many times `settle_years` at a recheck is not settled


class Followed:
    """A face that is followed.

    Args:
        detection: where the detector first saw it.
        patch: its small picture.
        seconds: when.
    """

    def __init__(
        self, detection: Detection, patch: FloatArray, seconds: float, estimator: Estimator, config: TrackConfig
    ) -> None:
        self._config = config
        self.track_id = 0  # none before it is first shown
        self.motion = Motion(detection.box_xyxy)
        self.patch = patch
        self.raw = detection
        self._landmarks = _in_box(detection)
        self._fusion = Fusion(
            estimator, kept=config.kept, correlation=config.correlation, gender_sure=config.gender_sure
        )
        self.first = self.last = seconds
        self.frames = self.measured = self.missed = 0
        self.detections = 1
        self.lost = self.cut = False
        self.detected_now = True
        self.measured_now = False
        self.prediction: Prediction | None = None
        self.settled = False
        self._moves: list[float] = []
        self._measured_at = -math.inf
        self._promise = 0.0

    def seen(self, detection: Detection, patch: FloatArray) -> None:
        """The detector found it."""
        self.motion.detected(detection.box_xyxy)
        self.raw = detection
        self.lost, self.cut, self.missed, self.detected_now = False, False, 0, True
        self.detections += 1
        mixed = _NEW_PATCH * patch + (1 - _NEW_PATCH) * self.patch
        self.patch = mixed / max(float(np.linalg.norm(mixed)), 1e-6)
        fresh = _in_box(detection)
        if fresh is not None and self._landmarks is not None:
            fresh = _NEW_LANDMARKS * fresh + (1 - _NEW_LANDMARKS) * self._landmarks
        self._landmarks = fresh

    def lose(self, *, cut: bool = False) -> None:
        """It cannot be seen any more; `cut`: as the scene changed."""
        self.cut = cut or (self.cut and self.lost)
        if not self.lost:
            self.motion.lost()
        self.lost = True

    def rescale(self, factor_x: float, factor_y: float) -> None:
        """The picture's size has changed."""
        self.motion.rescale(factor_x, factor_y)

    @property
    def box(self) -> Box:
        """The smoothed box; as the detector gave it where that is the crop itself."""
        return self.raw.box_xyxy if self.raw.is_crop else self.motion.box

    @property
    def detection(self) -> Detection:
        """Its place now."""
        if self.raw.is_crop:
            return self.raw
        x0, y0, x1, y1 = box = self.motion.box
        points = self._landmarks
        if points is not None:
            points = np.array([x0, y0]) + points * np.array([x1 - x0, y1 - y0])
        return Detection(box, self.raw.score, points)

    def wants_estimate(self, seconds: float) -> bool:
        """Whether an estimate on this frame, on which the detector saw the face, would add something.

        It does for the first few, for a face that is larger and more frontal than ever, and after enough time;
        where the track is settled or its budget used, only after long.
        """
        config, waited = self._config, seconds - self._measured_at
        if self.measured >= config.budget or self.settled:
            return waited >= config.recheck_seconds
        if self.measured < config.first_estimates or waited >= config.estimate_seconds:
            return True
        return _promise(self.raw) > config.better * self._promise

    def estimated(self, prediction: Prediction, seconds: float) -> None:
        """Take in an estimate of this frame, and say whether the track is settled.

        Settled: enough answered estimates, and the fused age moved little over the last two. A settled track stays
        so until a recheck moves its age by three times as much.
        """
        config, before = self._config, self.prediction
        self.measured, self.measured_now, self._measured_at = self.measured + 1, True, seconds
        self._promise = max(self._promise, _promise(self.raw))
        self.prediction = self._fusion.add(prediction, self.raw)
        if before is not None:
            self._moves = [*self._moves[-1:], abs(self.prediction.age_years - before.age_years)]
        if self.settled:
            self.settled = self._moves[-1] <= _UNSETTLE * config.settle_years
        else:
            still = len(self._moves) == 2 and max(self._moves) <= config.settle_years
            self.settled = still and self._fusion.answered >= config.settle_estimates

    def shown(self, seconds: float) -> TrackedFace:
        """The face in this frame, in which it is visible."""
        self.frames, self.last = self.frames + 1, seconds
        return TrackedFace(
            track_id=self.track_id,
            detection=self.detection,
            prediction=self.prediction,
            settled=self.settled,
            measured=self.measured_now,
            frames=self.frames,
        )

    def summary(self) -> Track:
        """The whole track."""
        return Track(
            track_id=self.track_id,
            first_seconds=self.first,
            last_seconds=self.last,
            frames=self.frames,
            measured=self.measured,
            detection=self._fusion.best or self.detection,
            prediction=self.prediction,
            settled=self.settled,
        )


def _in_box(detection: Detection) -> FloatArray | None:
    """The landmarks as shares of the box."""
    if detection.landmarks_xy is None:
        return None
    x0, y0, x1, y1 = detection.box_xyxy
    result: FloatArray = (np.asarray(detection.landmarks_xy) - [x0, y0]) / [x1 - x0, y1 - y0]
    return result


def _promise(detection: Detection) -> float:
    """How good an estimate of this frame may be, before it is made: its side in pixels, less where it is turned."""
    x0, y0, x1, y1 = detection.box_xyxy
    side = math.sqrt((x1 - x0) * (y1 - y0))
    yaw, pitch, _ = (None, None, None) if detection.landmarks_xy is None else quality.angles(detection.landmarks_xy)
    for angle in (yaw, pitch):
        if angle is not None:
            side *= max(math.cos(math.radians(angle)), 0.0) ** 2
    return side
