"""What a tracker may be told."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from agewise.track.fuse import CORRELATION

_WHOLE = {"detect_every": 1, "max_tracks": 1, "first_estimates": 1, "budget": 1, "kept": 2, "settle_estimates": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig:
    """How faces are followed, and when they are estimated. The defaults are for 20 to 60 frames a second.

    Args:
        detect_every: the detector runs on every n-th frame, 1 or more, and when a track is new or was just lost.
        detect_seconds: it runs at least so often, however few frames a second there are.
        new_score: detections below this score, on the detector's own scale, continue tracks but begin none;
            None: all begin tracks.
        max_lost_seconds: a face that is hidden for longer ends its track.
        max_tracks: at most so many faces are followed at a time, the largest.
        first_estimates: so many estimates are made of a new track as soon as the detector sees it.
        estimate_seconds: from one estimate to the next of a track that has these, but is not settled.
        recheck_seconds: from one estimate to the next of a settled track, or of one that has used its budget.
        better: an estimate is made early where the face is larger and more frontal than in all frames before, by
            this factor, 1 or more.
        budget: most estimates of a track before only rechecks are made.
        kept: the fusion remembers the best so many estimates of a track, 2 or more: bounds memory.
        correlation: of the errors of two estimates of one track, 0 to 1; see `agewise.track.fuse`.
        settle_estimates: a track is settled after so many answered estimates, 2 or more, …
        settle_years: … if the fused age moved by no more than this over the last two.
        gender_sure: probability at which the gender is decided, above 0.5 to below 1.

    Raises:
        ValueError: a number out of its range.
    """

    detect_every: int = 5
    detect_seconds: float = 0.5
    new_score: float | None = None
    max_lost_seconds: float = 2.0
    max_tracks: int = 64
    first_estimates: int = 5
    estimate_seconds: float = 0.5
    recheck_seconds: float = 5.0
    better: float = 1.3
    budget: int = 16
    kept: int = 16
    correlation: float = CORRELATION
    settle_estimates: int = 5
    settle_years: float = 1.0
    gender_sure: float = 0.9

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number of {least} or more, got {value!r}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field.name} must be finite, got {value}")
        for name in ("detect_seconds", "max_lost_seconds", "estimate_seconds", "recheck_seconds", "settle_years"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.better < 1:
            raise ValueError(f"better must be 1 or more, got {self.better}")
        if not 0 <= self.correlation <= 1:
            raise ValueError(f"correlation must be 0 to 1, got {self.correlation}")
        if not 0.5 < self.gender_sure < 1:
            raise ValueError(f"gender_sure must be above 0.5 and below 1, got {self.gender_sure}")
