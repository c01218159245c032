"""Faces followed over frames, and one estimate for each, fused from its frames' distributions."""

from agewise.track.config import TrackConfig
from agewise.track.faces import Track, TrackedFace
from agewise.track.fuse import Fusion
from agewise.track.tracker import Tracker

__all__ = ["Fusion", "Track", "TrackConfig", "TrackedFace", "Tracker"]
