"""From a moving picture to a moving picture: decode, track, draw and encode at once, each in a thread of its own.

What is in flight is bounded by bytes, so memory does not grow with the length of the video, nor with its size.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from agewise.video.frame import Frame
from agewise.video.overlay import draw_tracked
from agewise.video.reader import Video
from agewise.video.writer import VideoWriter

if TYPE_CHECKING:
    from agewise.track import TrackedFace, Tracker

_BYTES_IN_FLIGHT = 48 << 20  # of each queue
_MOST_IN_FLIGHT = 16
_WAIT = 0.1  # seconds between two looks at whether to stop
_PATIENCE = 1.0  # seconds
_END = None


@dataclass(slots=True)
class Timing:
    """Seconds that each stage was busy; they run at once, so their sum may exceed what the clock says."""

    decode: float = 0.0
    track: float = 0.0
    draw: float = 0.0
    encode: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sound:
    packet: Any
    zero: Fraction


@dataclass(slots=True)
class Annotation:
    """Draws the tracks of a video into a new one.

    Args:
        tracker: made for this video; `finish` is left to the caller. May be set later, as `writer` may: both want to
            know the video, which wants `take_sound`.
        writer: takes the frames and the sound; None where only the tracks are wanted.
        draw: whether boxes and labels are drawn.
        every: only each `every`-th frame is taken, the others are left out.
        hold: a context in which no interruption comes, so that a frame that `on_frame` was told of is written, too.
        on_frame: called with each frame that was tracked, and its faces, in order, by the thread that calls `run`.

    abandoned: `run` was left before all that was tracked was written: by a second interruption.

    `run` may be left by an exception, KeyboardInterrupt too: whatever was tracked until then is still written.
    """

    tracker: Tracker | None = None
    writer: VideoWriter | None = None
    draw: bool = True
    every: int = 1
    on_frame: Callable[[Frame, Sequence[TrackedFace]], None] | None = None
    hold: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    timing: Timing = field(default_factory=Timing)
    _stop: threading.Event = field(default_factory=threading.Event)
    _failure: list[BaseException] = field(default_factory=list)
    _pending_sound: list[_Sound] = field(default_factory=list)
    abandoned: bool = False

    def take_sound(self, packet: Any, zero: Fraction) -> None:
        """For `open_video(on_sound=…)`: the packets go into the new file between the frames that they came with."""
        self._pending_sound.append(_Sound(packet, zero))

    def run(self, video: Video) -> None:
        """Go through the video, to its end or until an exception; what was tracked is written in either case.

        Raises:
            VideoError, OutputError and others: of whichever stage failed.
        """
        room = max(2, min(_MOST_IN_FLIGHT, _BYTES_IN_FLIGHT // max(1, 3 * video.width * video.height)))
        decoded: queue.Queue[Any] = queue.Queue(room)
        tracked: queue.Queue[Any] = queue.Queue(room)
        decoder = threading.Thread(target=self._decode, args=(video, decoded), name="decode", daemon=True)
        encoder = threading.Thread(target=self._encode, args=(tracked,), name="encode", daemon=True)
        decoder.start()
        encoder.start()
        try:
            self._track(decoded, tracked)
        finally:
            self._stop.set()
            try:
                self._put_last(tracked, encoder)
                encoder.join()
                decoder.join(_PATIENCE)  # it may wait for a source that is silent: what was tracked shall not
            except BaseException:  # a second Ctrl-C
                self.abandoned = True
                raise
        if self._failure:
            raise self._failure[0]

    def _decode(self, video: Video, out: queue.Queue[Any]) -> None:
        """The first thread."""
        try:
            frames = iter(video)
            while not self._stop.is_set():
                began = time.perf_counter()
                frame = next(frames, None)
                self.timing.decode += time.perf_counter() - began
                sounds, self._pending_sound[:] = list(self._pending_sound), []
                for sound in sounds:
                    self._put(out, sound)
                if frame is None:
                    break
                if frame.index % self.every == 0:
                    self._put(out, frame)
        except BaseException as error:  # noqa: BLE001  raised again by `run`, in the thread that can tell
            self._failure.append(error)
        self._put(out, _END)

    def _track(self, decoded: queue.Queue[Any], tracked: queue.Queue[Any]) -> None:
        """The thread that called."""
        while not self._failure:
            try:
                item = decoded.get(timeout=_WAIT)
            except queue.Empty:
                continue
            if item is _END:
                return
            faces: Sequence[TrackedFace] = ()
            if isinstance(item, Frame) and self.tracker is not None:
                began = time.perf_counter()
                faces = self.tracker.update(item.image_rgb, item.seconds)
                self.timing.track += time.perf_counter() - began
            with self.hold():
                if self.on_frame is not None and isinstance(item, Frame):
                    self.on_frame(item, faces)
                if self.writer is not None:
                    self._put(tracked, (item, faces))

    def _encode(self, tracked: queue.Queue[Any]) -> None:
        """The last thread."""
        try:
            while (taken := tracked.get()) is not _END:
                item, faces = taken
                assert self.writer is not None
                if isinstance(item, _Sound):
                    self.writer.write_sound(item.packet, item.zero)
                    continue
                began = time.perf_counter()
                if self.draw:
                    draw_tracked(item.image_rgb, faces, in_place=True)
                drawn = time.perf_counter()
                self.writer.write(item)
                self.timing.draw += drawn - began
                self.timing.encode += time.perf_counter() - drawn
        except BaseException as error:  # noqa: BLE001  as above
            self._failure.append(error)

    def _put(self, out: queue.Queue[Any], item: Any) -> None:
        """Waits for room, but not for ever: a stage that ended makes none."""
        while not self._stop.is_set() and not self._failure:
            with contextlib.suppress(queue.Full):
                out.put(item, timeout=_WAIT)
                return

    @staticmethod
    def _put_last(tracked: queue.Queue[Any], encoder: threading.Thread) -> None:
        while encoder.is_alive():
            with contextlib.suppress(queue.Full):
                tracked.put(_END, timeout=_WAIT)
                return
