"""Frames in, faces with steady identities and estimates out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from agewise.analyzer import Analyzer
from agewise.errors import ArrayError
from agewise.track.assign import assign, overlaps
from agewise.track.config import TrackConfig
from agewise.track.faces import Track, TrackedFace
from agewise.track.flow import Flow
from agewise.track.followed import Followed
from agewise.types import Box, Detection, FloatArray, UInt8Array

_ENDED = 1000  # summaries kept for `ended`, which may never be asked
_ALIKE = 0.5  # correlation of a face with its small picture below which optical flow holds something else
_MISSES = 3  # detector runs without the face, of one that optical flow still follows
_CROWDED = 0.1  # overlap of two faces at which optical flow is not to be trusted
_COVERED = 0.25  # overlap with a face that the detector did find, of one that it did not: it is behind that
_AFTER_LOSS = 3  # frames after the loss of a face on which it is looked for
_FAR = 1.0  # sides of a face: as near its expected place must a detection be, and one more for each second hidden, …
_SIZES = 1.8  # … and of about its size …
_LOST_ALIKE = 0.2  # … and, if it was hidden, look a little like it …
_CUT_ALIKE = 0.7  # … or much, in another scene, …
_SAME_PLACE = 0.4  # … or overlap so much in the same scene
_MOST_COST = 1.6


class Tracker:
    """Follows the faces of a video or a camera, and fuses the estimates of each.

    >>> tracker = Tracker(agewise.Analyzer())                        # doctest: +SKIP
    >>> for seconds, image_rgb in frames:                            # doctest: +SKIP
    ...     for face in tracker.update(image_rgb, seconds):
    ...         print(face.track_id, face.prediction.age_years, face.settled)

    The detector runs on every n-th frame; between, boxes are moved on by optical flow. Detections are assigned to
    tracks by overlap with where a Kalman filter expects them, and by likeness of small grey pictures, in one exact
    assignment; detections of low score come second and only continue tracks. Estimates are made only on frames of the
    detector and only where they add something (`TrackConfig`); `agewise.track.fuse` says how they become one.

    Memory does not grow with time: a track keeps at most `kept` estimates, and at most 1,000 summaries wait for
    `ended`; older ones are dropped.

    Args:
        analyzer: its `detector` and `estimator` are used, from one thread.
        config: when to detect and to estimate.

    Source of the second pass over low scores: Zhang et al., «ByteTrack», ECCV 2022.
    """

    def __init__(self, analyzer: Analyzer, config: TrackConfig | None = None) -> None:
        self._analyzer = analyzer
        self._config = config or TrackConfig()
        self._flow = Flow()
        self._tracks: list[Followed] = []
        self._ended: deque[Track] = deque(maxlen=_ENDED)
        self._next_id = 1
        self._seconds = -math.inf
        self._detected_at = -math.inf
        self._since_detection = 0
        self._look_again = 0
        self._size_wh: tuple[int, int] | None = None

    def update(self, image_rgb: UInt8Array, seconds: float) -> list[TrackedFace]:
        """The faces that are visible in the next frame, the largest first.

        Args:
            image_rgb: upright uint8 RGB (height, width, 3). The size may change: tracks go on, scaled.
            seconds: since any beginning; above that of the frame before.

        Raises:
            ArrayError: another shape or type.
            ValueError: time that does not rise, or is not finite.
        """
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8 or not image_rgb.size:
            raise ArrayError(f"expected a uint8 RGB frame (height, width, 3), got {image_rgb.dtype} {image_rgb.shape}")
        if not math.isfinite(seconds) or seconds <= self._seconds:
            raise ValueError(
                f"seconds must be finite and rise from frame to frame, got {seconds} after {self._seconds}"
            )
        passed = seconds - self._seconds
        self._seconds = seconds
        self._fit_size(image_rgb)
        lost = self._move(image_rgb, passed)
        if self._detection_is_due(lost):
            self._detect(image_rgb)
        self._end_hidden()
        self._estimate(image_rgb)
        return [track.shown(seconds) for track in self._visible()]

    def ended(self) -> list[Track]:
        """The tracks that ended since the last call, at most the 1,000 newest."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def finish(self) -> list[Track]:
        """All tracks that remain, with those that `ended` has not told yet. The tracker may go on with later frames."""
        for track in self._tracks:
            self._end(track)
        self._tracks = []
        return self.ended()

    def _fit_size(self, image_rgb: UInt8Array) -> None:
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        if self._size_wh is not None and self._size_wh != size_wh:
            for track in self._tracks:
                track.rescale(size_wh[0] / self._size_wh[0], size_wh[1] / self._size_wh[1])
            self._detected_at = -math.inf
        self._size_wh = size_wh

    def _move(self, image_rgb: UInt8Array, passed: float) -> bool:
        """Bring all tracks to this frame; whether one was lost by it."""
        self._flow.push(image_rgb)
        crowd = self._crowd()
        before = [track.motion.box for track in self._tracks]
        any_lost = False
        for i, (track, box) in enumerate(zip(self._tracks, before, strict=True)):
            track.motion.predict(passed, seen=not track.lost)
            track.detected_now = track.measured_now = False
            if track.lost:
                if self._flow.cut:
                    track.lose(cut=True)
                continue
            if i in crowd and self._meets(track.motion.box) and not self._flow.cut:
                continue  # flow would follow whichever face is in front: the speed is trusted until the detector looks
            moved = self._flow.move(box)
            if moved is not None and self._meets(moved) and float(self._flow.patch(moved) @ track.patch) >= _ALIKE:
                track.motion.flowed(moved)
            else:
                track.lose(cut=self._flow.cut)
                any_lost = True
        return any_lost

    def _meets(self, box: Box) -> bool:
        """Whether a box's middle is in the picture."""
        width, height = self._size_wh or (0, 0)
        return 0 <= box[0] + box[2] <= 2 * width and 0 <= box[1] + box[3] <= 2 * height

    def _detection_is_due(self, lost: bool) -> bool:
        self._since_detection += 1
        self._look_again = _AFTER_LOSS if lost else self._look_again - 1
        if self._since_detection >= self._config.detect_every or self._look_again > 0:
            return True
        if self._seconds - self._detected_at >= self._config.detect_seconds:
            return True
        if any(track.detections == 1 for track in self._tracks):
            return True
        return self._since_detection >= 2 and bool(self._crowd())

    def _crowd(self) -> set[int]:
        """The places in the list of the visible tracks whose boxes overlap."""
        seen = [i for i, track in enumerate(self._tracks) if not track.lost]
        if len(seen) < 2:
            return set()
        boxes = np.array([self._tracks[i].motion.box for i in seen])
        pairs = np.argwhere(np.triu(overlaps(boxes, boxes), 1) > _CROWDED)
        return {seen[i] for i in pairs.reshape(-1).tolist()}

    def _detect(self, image_rgb: UInt8Array) -> None:
        self._since_detection, self._detected_at = 0, self._seconds
        detections = self._analyzer.detector.detect(image_rgb)
        patches = [self._flow.patch(detection.box_xyxy) for detection in detections]
        least = self._config.new_score
        good = [i for i, detection in enumerate(detections) if least is None or detection.score >= least]
        weak = [i for i in range(len(detections)) if i not in set(good)]
        free = list(range(len(self._tracks)))
        begun: list[int] = []
        for among in (good, weak):
            pairs = assign(self._costs(free, [detections[i] for i in among], [patches[i] for i in among]), _MOST_COST)
            for row, column in pairs:
                self._tracks[free[row]].seen(detections[among[column]], patches[among[column]])
            taken, used = {row for row, _ in pairs}, {column for _, column in pairs}
            free = [track for row, track in enumerate(free) if row not in taken]
            if among is good:
                begun = [i for column, i in enumerate(good) if column not in used]
        self._miss([self._tracks[i] for i in free])
        self._begin([(detections[i], patches[i]) for i in begun])

    def _costs(self, rows: Sequence[int], detections: Sequence[Detection], patches: Sequence[FloatArray]) -> FloatArray:
        """Of each track with each detection, 0 to 1.6; 9 where they cannot be one.

        1 − overlap, and half of 1 − likeness. A pair that hardly overlaps is possible where it is near and of about
        the same size.
        """
        if not rows or not detections:
            return np.zeros((len(rows), len(detections)))
        tracks = [self._tracks[i] for i in rows]
        expected = np.array([track.motion.box for track in tracks])
        found = np.array([detection.box_xyxy for detection in detections])
        overlap = overlaps(expected, found)
        alike = np.array([track.patch for track in tracks]) @ np.array(patches).T
        middles = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (expected, found)]
        sides = [np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)) for boxes in (expected, found)]
        larger = np.maximum(sides[0][:, None], sides[1][None])
        cut = np.array([track.cut for track in tracks])[:, None]
        sure = ~np.array([track.lost for track in tracks])[:, None] | ((overlap > _SAME_PLACE) & ~cut)
        # a hidden face may have turned: the longer it is away, the farther it may be
        reach = np.array([_FAR + (self._seconds - track.last if track.lost else 0.0) for track in tracks])[:, None]
        near = np.hypot(*np.moveaxis(middles[0][:, None] - middles[1][None], -1, 0)) < reach * larger
        sized = larger < _SIZES * np.minimum(sides[0][:, None], sides[1][None])
        possible = near & sized & (sure | (alike >= np.where(cut, _CUT_ALIKE, _LOST_ALIKE)))
        costs: FloatArray = np.where(possible, 1 - overlap + 0.5 * np.clip(1 - alike, 0, 1), 9.0)
        return costs

    def _miss(self, tracks: Sequence[Followed]) -> None:
        """The detector did not see these."""
        for track in tracks:
            track.missed += 1
            covered = any(
                other.detected_now
                and overlaps(np.array([track.motion.box]), np.array([other.motion.box]))[0, 0] > _COVERED
                for other in self._tracks
                if other is not track
            )
            if track.missed >= _MISSES or covered:
                track.lose()
        # seen once and not again on the very next frame: it will hardly come back
        gone = [track for track in tracks if track.detections == 1]
        for track in gone:
            self._end(track)
        self._tracks = [track for track in self._tracks if track not in gone]

    def _begin(self, found: Sequence[tuple[Detection, FloatArray]]) -> None:
        room = self._config.max_tracks - len(self._tracks)
        largest = sorted(found, key=lambda pair: -_area(pair[0].box_xyxy))[: max(room, 0)]
        for detection, patch in largest:
            self._tracks.append(Followed(detection, patch, self._seconds, self._analyzer.estimator, self._config))

    def _end_hidden(self) -> None:
        for track in self._tracks:
            if track.lost and self._seconds - track.last > self._config.max_lost_seconds:
                self._end(track)
        self._tracks = [
            t for t in self._tracks if not t.lost or self._seconds - t.last <= self._config.max_lost_seconds
        ]

    def _end(self, track: Followed) -> None:
        if track.track_id:
            self._ended.append(track.summary())

    def _estimate(self, image_rgb: UInt8Array) -> None:
        wanted = [track for track in self._tracks if track.detected_now and track.wants_estimate(self._seconds)]
        if not wanted:
            return
        predictions = self._analyzer.estimator(image_rgb, [track.raw for track in wanted])
        for track, prediction in zip(wanted, predictions, strict=True):
            track.estimated(prediction, self._seconds)

    def _visible(self) -> list[Followed]:
        visible = sorted((t for t in self._tracks if not t.lost), key=lambda t: -_area(t.box))
        for track in visible:
            if not track.track_id:
                track.track_id, self._next_id = self._next_id, self._next_id + 1
        return visible


def _area(box: Box) -> float:
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)
