"""A camera's newest frame: a thread reads on and keeps one, so that a slow reader never falls behind.

A camera or a stream that goes away is waited for with growing pauses, and read again once it is back. A video file
stands in for a camera: it is played at its own rate, once. Memory does not grow: one frame is held, whatever the time.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import cv2
import numpy as np

from agewise._files import shown
from agewise.errors import SourceError
from agewise.types import UInt8Array

_USUAL_FPS = 25.0  # of a file that states none, or nonsense
_MOST_FPS = 240.0
_OPEN_TIMEOUT_MS = 10_000  # FFmpeg's own patience with a silent server is 30 s
_READ_TIMEOUT_MS = 5_000
_CLOSE_SECONDS = 3.0  # a driver may hang in a read: its thread is then left behind, it ends with the process


class Capture(Protocol):
    """What is needed of OpenCV's `VideoCapture`."""

    def isOpened(self) -> bool:  # noqa: N802
        """Whether there is anything to read."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Whether there was a frame, and the frame: uint8 BGR (height, width, 3)."""
        ...

    def get(self, prop: int, /) -> float:
        """A property by OpenCV's number."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


OpenCapture: TypeAlias = Callable[[int | str], Capture]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFrame:
    """One frame of a camera.

    Args:
        image_rgb: uint8 RGB (height, width, 3).
        seconds: since the camera was started, by a clock that never goes back; rises from frame to frame.
        index: frames that the camera gave before, those nobody took included.
        time: when it was read, UTC.
    """

    image_rgb: UInt8Array
    seconds: float
    index: int
    time: datetime


def source_name(source: int | str) -> str:
    """A camera, an address or a file for people and records; a password in an address is left out.

    >>> source_name(0)
    'camera 0'
    >>> source_name("rtsp://me:secret@10.0.0.7/1")
    'rtsp://10.0.0.7/1'
    """
    if isinstance(source, int):
        return f"camera {source}"
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", r"\1", source, flags=re.IGNORECASE)


class NewestFrame:
    """Reads a camera in a thread of its own and gives its newest frame; frames that nobody took in time are dropped.

    >>> with NewestFrame(0) as camera:                              # doctest: +SKIP
    ...     while not camera.ended:
    ...         if (frame := camera.take(timeout=0.1)) is not None:
    ...             print(frame.seconds, frame.image_rgb.shape, camera.dropped, camera.trouble)

    Args:
        source: a camera's number, an address (rtsp://, http://, …), a device (/dev/video0, or its lasting name below
            /dev/v4l/by-id), or a video file.
        pauses: seconds before the first new attempt at a lost camera, and the longest pause; each doubles the last.
        open_capture: opens the source; OpenCV by default.

    Raises:
        SourceError: neither an address nor anything that exists. A camera that is missing is no error: it is waited
            for, and `trouble` says so.
        ValueError: a negative number, or pauses that are not 0 < first <= longest.
    """

    def __init__(
        self,
        source: int | str,
        *,
        pauses: tuple[float, float] = (0.5, 10.0),
        open_capture: OpenCapture | None = None,
    ) -> None:
        if isinstance(source, int) and source < 0:
            raise ValueError(f"a camera's number must be 0 or more, got {source}")
        if not 0 < pauses[0] <= pauses[1]:
            raise ValueError(f"pauses must be 0 < first <= longest, got {pauses}")
        if isinstance(source, str) and "://" not in source and not Path(source).exists():
            raise SourceError(
                f"{shown(source)} is no camera: give an address such as rtsp://HOST/PATH, a device or a video file "
                "that exists, or a camera's number"
            )
        self.name = source_name(source)
        self._source = source
        self._is_file = isinstance(source, str) and "://" not in source and Path(source).is_file()
        self._pauses = pauses
        self._open = open_capture or _open_with_opencv
        self._ready = threading.Condition()
        self._stop = threading.Event()
        self._start = time.monotonic()
        self.started = datetime.now(UTC)
        self._newest: tuple[Any, float, int, datetime] | None = None
        self._read = 0
        self._dropped = 0
        self._trouble = ""
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="agewise-camera", daemon=True)

    def __enter__(self) -> Self:
        self._start, self.started = time.monotonic(), datetime.now(UTC)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """Frames read so far, taken or not."""
        return self._read

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before anyone took them."""
        return self._dropped

    @property
    def trouble(self) -> str:
        """What is wrong, in a sentence; empty while frames come."""
        return self._trouble

    @property
    def ended(self) -> bool:
        """Whether a file is played to its end, and its last frame taken. A camera never ends."""
        with self._ready:
            return self._ended and self._newest is None and self._error is None  # an error is for `take` to raise

    def take(self, timeout: float) -> CameraFrame | None:
        """The newest frame, if it was not taken yet; waits for one, at most `timeout` seconds, else gives None.

        Raises:
            Exception: what ended the reading thread, if anything unforeseen did.
        """
        with self._ready:
            self._ready.wait_for(lambda: self._newest is not None or self._ended or self._error, timeout)
            if self._error is not None:
                raise self._error
            if self._newest is None:
                return None
            (image_bgr, seconds, index, when), self._newest = self._newest, None
        return CameraFrame(image_rgb=_to_rgb(image_bgr), seconds=seconds, index=index, time=when)

    def close(self) -> None:
        """End the thread and let go of the camera."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        pause = self._pauses[0]
        try:
            while not self._stop.is_set():
                before = self._read
                what = self._read_until_lost()
                if self._is_file:
                    break
                if self._stop.is_set():
                    return
                pause = self._pauses[0] if self._read > before else min(2 * pause, self._pauses[1])
                self._trouble = f"{self.name} {what}: waiting for it"
                self._stop.wait(pause)
        except Exception as error:  # noqa: BLE001  of any kind: it is raised again where the frames are taken
            self._error = error
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _read_until_lost(self) -> str:
        """Reads while there is anything; says what became of the source."""
        try:
            capture = self._open(self._source)
        except cv2.error as error:
            return f"cannot be opened ({error})"
        try:
            if not capture.isOpened():
                if self._is_file:
                    raise SourceError(
                        f"{shown(str(self._source))} cannot be read as a video: play it elsewhere to check"
                    )
                return "went away" if self._read else "cannot be opened"
            spacing = 1 / _frame_rate(capture) if self._is_file else 0.0
            first, count = 0.0, 0
            while not self._stop.is_set():
                count += 1
                try:
                    good, image_bgr = capture.read()
                except cv2.error:
                    good, image_bgr = False, None
                if not good or image_bgr is None or not image_bgr.size:
                    return "went away" if count > 1 else "gives no picture"
                self._put(image_bgr)
                first = first or time.monotonic()
                if spacing:
                    self._stop.wait(max(0.0, first + count * spacing - time.monotonic()))
            return ""
        finally:
            capture.release()

    def _put(self, image_bgr: Any) -> None:
        with self._ready:
            self._dropped += self._newest is not None
            self._newest = (image_bgr, time.monotonic() - self._start, self._read, datetime.now(UTC))
            self._read += 1
            self._trouble = ""
            self._ready.notify_all()


def _frame_rate(capture: Capture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate <= _MOST_FPS else _USUAL_FPS


def _to_rgb(image: Any) -> UInt8Array:
    """Of what OpenCV gives, BGR or, from some cameras, grey; a picture of its own, C-contiguous."""
    code = cv2.COLOR_BGR2RGB if image.ndim == 3 and image.shape[2] == 3 else cv2.COLOR_GRAY2RGB
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def _open_with_opencv(source: int | str) -> Capture:
    if isinstance(source, str) and "://" in source:
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _OPEN_TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _READ_TIMEOUT_MS,
        ]
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG, timeouts)
    capture = cv2.VideoCapture(source)
    if isinstance(source, int) or not Path(source).is_file():
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver's own queue would be a delay, too
    return capture
