"""Decoding, tracking and encoding at once: order, ends, and failures of each stage."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agewise.errors import OutputError, VideoError
from agewise.track import TrackedFace
from agewise.types import UInt8Array
from agewise.video import Frame, open_video, open_writer
from agewise.video.pipeline import Annotation

pytest.importorskip("av", reason="the extra video")

_spec = importlib.util.spec_from_file_location("video_clips", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
clips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clips)


class NoFaces:
    """A tracker that sees frames only."""

    def __init__(self, fail_at: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.seen: list[float] = []
        self._fail_at, self._error = fail_at, error

    def update(self, image_rgb: UInt8Array, seconds: float) -> Sequence[TrackedFace]:
        if len(self.seen) == self._fail_at:
            raise self._error
        self.seen.append(seconds)
        return ()


class Endless:
    """A video that counts how far ahead it is read."""

    width, height, fps, time_base, sound, frame_count, source = 64, 48, 25.0, Fraction(1, 25), None, None, "endless"

    def __init__(self, fail_at: int = 10**9) -> None:
        self.given, self._fail_at = 0, fail_at
        self.warnings: list[str] = []

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *error: object) -> None: ...

    def close(self) -> None: ...

    def __iter__(self) -> Iterator[Frame]:
        while self.given < self._fail_at:
            image_rgb = np.full((48, 64, 3), clips.grey_of(self.given % 21), np.uint8)
            yield Frame(image_rgb=image_rgb, time=Fraction(self.given, 25), index=self.given)
            self.given += 1
        raise VideoError("gone")


def test_all_frames_come_out_in_order(make_clip: Any, tmp_path: Path) -> None:
    told: list[int] = []
    tracker: Any = NoFaces()
    annotation = Annotation(tracker=tracker, on_frame=lambda frame, faces: told.append(frame.index))
    with open_video(make_clip(frames=60)) as video, open_writer(tmp_path / "out.mp4", video) as writer:
        annotation.writer = writer
        annotation.run(video)
    assert told == list(range(60))
    assert tracker.seen == pytest.approx([0.04 * at for at in range(60)])
    with open_video(tmp_path / "out.mp4") as video:
        assert [clips.index_of(frame.image_rgb) for frame in video] == [at % 21 for at in range(60)]
    assert min(annotation.timing.decode, annotation.timing.encode) > 0


def test_an_interruption_writes_what_was_tracked(tmp_path: Path) -> None:
    video: Any = Endless()
    tracker: Any = NoFaces(fail_at=30)
    with open_writer(tmp_path / "out.mp4", video) as writer:
        with pytest.raises(KeyboardInterrupt):
            Annotation(tracker=tracker, writer=writer).run(video)
        assert writer.frames == 30
    with open_video(tmp_path / "out.mp4") as written:
        assert len(list(written)) == 30


def test_reading_does_not_run_ahead_without_bound() -> None:
    video: Any = Endless()
    waiting = threading.Event()

    class Slow(NoFaces):
        def update(self, image_rgb: UInt8Array, seconds: float) -> Sequence[TrackedFace]:
            waiting.wait(0.3)
            raise KeyboardInterrupt

    tracker: Any = Slow()
    with contextlib.suppress(KeyboardInterrupt):
        Annotation(tracker=tracker).run(video)
    assert 5 < video.given < 25


@pytest.mark.parametrize("stage", ["decode", "track", "encode"])
def test_a_failure_of_a_stage_is_raised_and_ends_the_others(stage: str, tmp_path: Path) -> None:
    video: Any = Endless(fail_at=20 if stage == "decode" else 10**9)
    tracker: Any = NoFaces(fail_at=20 if stage == "track" else None, error=ZeroDivisionError)

    class Full:
        frames = 0

        def write(self, frame: Frame) -> None:
            self.frames += 1
            if stage == "encode" and self.frames == 20:
                raise OutputError("full")

    expected = {"decode": VideoError, "track": ZeroDivisionError, "encode": OutputError}[stage]
    writer: Any = Full()
    before = threading.active_count()
    with pytest.raises(expected):
        Annotation(tracker=tracker, writer=writer).run(video)
    assert threading.active_count() == before
