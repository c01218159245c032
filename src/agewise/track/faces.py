"""What a tracker tells."""

from __future__ import annotations

from dataclasses import dataclass

from agewise.types import Detection, Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFace:
    """One face in one frame.

    Args:
        track_id: of its track, from 1; never used again by the same tracker.
        detection: its box in this frame, smoothed; the score is that of the last time the detector saw it.
        prediction: the track's fused estimate so far; None before the first.
        settled: the fused estimate holds still.
        measured: an estimate was made on this very frame.
        frames: of the track so far in which the face was visible.
    """

    track_id: int
    detection: Detection
    prediction: Prediction | None
    settled: bool
    measured: bool
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A whole track.

    Args:
        track_id: from 1; never used again by the same tracker.
        first_seconds, last_seconds: when the face was first and last visible.
        frames: in which it was visible.
        measured: on so many of them an estimate was made.
        detection: of its best frame; of its last one where no estimate was made.
        prediction: the fused estimate; None where there was none.
        settled: the fused estimate held still.
    """

    track_id: int
    first_seconds: float
    last_seconds: float
    frames: int
    measured: int
    detection: Detection
    prediction: Prediction | None
    settled: bool
