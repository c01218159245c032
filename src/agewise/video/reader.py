"""Moving pictures in: any file or address that FFmpeg reads, GIF, or a sequence of pictures.

Frames come upright, as the file's rotation says, at their own exact times: a variable frame rate stays one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from agewise._files import shown
from agewise.errors import VideoError
from agewise.types import UInt8Array
from agewise.video._av import load_av
from agewise.video.frame import Frame, exact_seconds
from agewise.video.orientation import display_matrix, upright
from agewise.video.sequence import PictureSequence, find_pictures

OnSound = Callable[[Any, Fraction], None]
"""Takes a packet of the sound and the time, in seconds, that its own clock shows at the source's start."""

_UNSPECIFIED, _BT709 = 2, 1  # FFmpeg's numbers of colour spaces
_HD_HEIGHT = 720  # from here on video that names no colour space is BT.709 by custom
_MOST_WARNINGS = 20
_SHORT_BY = 1.0  # seconds that may be missing at the end before it is said
_FURTHER_BACK = 10  # seconds
_CLOSE_TIMEOUT = 1.0  # seconds
_OPEN_TIMEOUT, _READ_TIMEOUT = 20.0, 20.0  # seconds, of addresses


class Video(Protocol):
    """A source of frames: iterate once, close when done."""

    source: str
    width: int
    height: int
    fps: float
    frame_count: int | None
    warnings: list[str]
    time_base: Fraction
    sound: Any

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def __iter__(self) -> Iterator[Frame]: ...
    def close(self) -> None:
        """Let go of the source."""
        ...


def open_video(
    source: str | os.PathLike[str],
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    on_sound: OnSound | None = None,
) -> Video:
    """Opens a moving picture; iterating over it gives its frames.

    Args:
        source: a file that FFmpeg reads, GIF too; a folder of pictures, a pattern (`shots/*.png`) or a numbered
            name (`shots/%04d.png`), shown at 25 frames a second; an address (`rtsp://`, `https://`), the only case
            in which the network is used.
        start_seconds: frames before it are left out; the reader goes to the key frame before and decodes on.
        end_seconds: frames from there on are left out.
        on_sound: takes the sound's packets as they are met, within the same limits; called by who iterates.

    Returns:
        What has `width` and `height` (upright), `fps` (mean), `frame_count` (an estimate, None where unknown),
        `time_base`, `sound` (PyAV's stream or None), and `warnings`: what could not be read, filled while one
        iterates. What could be read of a corrupt or truncated file is given.

    Raises:
        VideoError: nothing of it can be read.
        MissingExtraError: PyAV is not installed, and it is no sequence of pictures.
    """
    name = os.fspath(source)
    pictures = find_pictures(name)
    if pictures is not None:
        return PictureSequence(name, pictures, start_seconds=start_seconds, end_seconds=end_seconds)
    return StreamReader(name, start_seconds=start_seconds, end_seconds=end_seconds, on_sound=on_sound)


class StreamReader:
    """Reads what FFmpeg reads; see `open_video`."""

    def __init__(
        self,
        source: str,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        on_sound: OnSound | None = None,
    ) -> None:
        self._av = load_av()
        self.source = source
        self.warnings: list[str] = []
        self._start = None if start_seconds is None else exact_seconds(start_seconds)
        self._end = None if end_seconds is None else exact_seconds(end_seconds)
        self._on_sound = on_sound
        self._bad = 0
        self._busy = threading.Lock()
        self._first: Frame | None = None
        self._earliest: Fraction | None = None
        self._held: list[tuple[Any, Fraction]] | None = []  # sound that came before anyone iterated
        self._coded_size: tuple[int, int] | None = None
        self._container = self._open()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _open(self) -> Any:
        is_address = "://" in self.source
        if not is_address and not Path(self.source).exists():
            raise VideoError(f"cannot read {shown(self.source)}: no such file")
        options = {"rtsp_transport": "tcp"} if self.source.startswith("rtsp") else {}
        timeout = (_OPEN_TIMEOUT, _READ_TIMEOUT) if is_address else None
        try:
            return self._av.open(self.source, options=options, timeout=timeout, metadata_errors="replace")
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"cannot read {shown(self.source)} as a video: {_reason(error)}") from error

    def _prepare(self) -> None:
        """Find the stream and its first frame within the limits."""
        self._find_streams()
        self._length = self._length_seconds()
        for target in self._places_to_begin():
            if target is not None and not self._seek(target):
                continue
            self._earliest, self._held, self._bad = None, [], 0
            self.warnings.clear()
            self._frames = self._decode()
            try:
                self._first = next(self._frames, None)
            except self._av.error.FFmpegError as error:
                raise VideoError(f"cannot read {shown(self.source)} as a video: {_reason(error)}") from error
            if target is None or (self._earliest is not None and self._earliest <= (self._start or 0)):
                break
            # Not before the frame that is wanted: formats without an index guess. Once more, from further back.
            self._container.close()
            self._container = self._open()
            self._find_streams()
        if self._first is None:
            raise VideoError(self._why_empty())
        self.height, self.width = self._first.image_rgb.shape[:2]
        self.frame_count = self._expected()

    def _find_streams(self) -> None:
        container = self._container
        if not container.streams.video:
            raise VideoError(f"cannot read {shown(self.source)} as a video: it has no moving picture")
        self._stream = stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        self.sound = container.streams.audio[0] if container.streams.audio else None
        self.time_base: Fraction = stream.time_base or Fraction(1, 90_000)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        self.fps = float(rate) if rate else 25.0
        self._step = 1 / Fraction(rate) if rate else Fraction(1, 25)
        # The container's clock at its start: sound and picture are measured from it.
        begin = container.start_time
        self._zero: Fraction | None = None if begin is None else Fraction(begin, self._av.time_base)

    def _places_to_begin(self) -> Iterator[Fraction | None]:
        """Where to seek to, in turn; None: read from the very start."""
        if self._start:
            yield self._start
            if self._start > _FURTHER_BACK:
                yield self._start - _FURTHER_BACK
        yield None

    def _length_seconds(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        return None if self._container.duration is None else self._container.duration / self._av.time_base

    def _expected(self) -> int | None:
        if self._length is None:
            return None
        begin = self._start or 0
        until = self._length if self._end is None else min(float(self._end), self._length)
        whole = begin == 0 and until == self._length
        return (
            self._stream.frames if whole and self._stream.frames else max(1, round((until - float(begin)) * self.fps))
        )

    def _why_empty(self) -> str:
        if self._start is not None and self._length is not None and self._start >= self._length:
            return (
                f"{shown(self.source)} has no frame from {float(self._start):g} s on: it is {self._length:.2f} s long"
            )
        what = f"; {self.warnings[0]}" if self.warnings else ""
        return f"cannot read {shown(self.source)} as a video: not one frame can be decoded{what}"

    def _seek(self, target: Fraction) -> bool:
        """Go to the key frame before a time; whether that was possible."""
        try:
            self._container.seek(int(((self._zero or 0) + target) * self._av.time_base), backward=True)
        except (self._av.error.FFmpegError, OSError):
            self._container.close()
            self._container = self._open()
            self._find_streams()
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the source; a second time does nothing. One that another thread waits for in vain stays as it is."""
        if self._busy.acquire(timeout=_CLOSE_TIMEOUT):
            try:
                self._container.close()
            finally:
                self._busy.release()

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        if first is None:
            return
        held, self._held = self._held, None
        for sound in held or ():
            if self._on_sound is not None:
                self._on_sound(*sound)
        yield first
        last = first.time
        while True:
            with self._busy:
                frame = next(self._frames, None)
            if frame is None:
                break
            last = frame.time
            yield frame
        self._say_what_is_missing(float(last))

    def _say_what_is_missing(self, last: float) -> None:
        if self._bad > _MOST_WARNINGS:
            self.warnings.append(f"{self._bad - _MOST_WARNINGS} more parts could not be read")
        until = self._length if self._end is None or self._length is None else min(float(self._end), self._length)
        if until is not None and last + 2 * float(self._step) + _SHORT_BY < until:
            self.warnings.append(f"{shown(self.source)} ends after {last:.2f} s of {until:.2f} s: it is cut or damaged")

    def _decode(self) -> Iterator[Frame]:
        """Frames within the limits, counted from 0."""
        last: Fraction | None = None
        index = 0
        for picture in self._pictures():
            time = self._time_of(picture, last)
            if self._earliest is None:
                self._earliest = time
            if last is not None and time <= last:
                time = last + min(self.time_base, self._step)  # a clock that stands or jumps back
            if self._end is not None and time >= self._end:
                return
            last = time
            if self._start is not None and time < self._start:
                continue
            image_rgb = self._to_array(picture)
            duration = picture.duration * self.time_base if picture.duration else None
            yield Frame(image_rgb=image_rgb, time=time, index=index, duration=duration)
            index += 1

    def _time_of(self, picture: Any, last: Fraction | None) -> Fraction:
        if picture.pts is None:
            return Fraction(0) if last is None else last + self._step
        time = Fraction(picture.pts * (picture.time_base or self.time_base))
        if self._zero is None:  # of an address that does not tell: its first frame is the start
            self._zero = time
        return time - self._zero

    def _pictures(self) -> Iterator[Any]:
        """Decoded pictures; a part that cannot be decoded is left out and said."""
        wanted = [self._stream] if self.sound is None or self._on_sound is None else [self._stream, self.sound]
        packets = self._container.demux(*wanted)
        while True:
            try:
                packet = next(packets, None)
            except (self._av.error.FFmpegError, OSError) as error:
                self._warn(f"{shown(self.source)} breaks off: {_reason(error)}")
                packet = None
            if packet is None:
                return
            if packet.stream is not self._stream:
                self._hand_on(packet)
                continue
            if packet.is_corrupt:
                self._warn(f"{shown(self.source)}: a part is damaged")
            try:
                yield from packet.decode()
            except self._av.error.EOFError:
                return
            except self._av.error.FFmpegError as error:
                self._warn(f"{shown(self.source)}: a part cannot be decoded: {_reason(error)}")

    def _hand_on(self, packet: Any) -> None:
        if packet.pts is None or self._on_sound is None or self._zero is None:
            return
        seconds = packet.pts * packet.time_base - self._zero
        if seconds >= (self._start or float("-inf")) and (self._end is None or seconds < self._end):
            if self._held is None:
                self._on_sound(packet, self._zero)
            else:
                self._held.append((packet, self._zero))

    def _warn(self, text: str) -> None:
        self._bad += 1
        if self._bad <= _MOST_WARNINGS:
            self.warnings.append(text)

    def _to_array(self, picture: Any) -> UInt8Array:
        untold = picture.colorspace == _UNSPECIFIED and picture.height >= _HD_HEIGHT
        if self._coded_size is None:
            self._coded_size = picture.width, picture.height
        elif self._coded_size != (picture.width, picture.height):
            self._warn(f"{shown(self.source)}: frames change their size; all are made as large as the first")
        array: UInt8Array = picture.to_ndarray(
            format="rgb24",
            width=self._coded_size[0],
            height=self._coded_size[1],
            src_colorspace=_BT709 if untold else None,
        )
        if picture.is_corrupt:
            self._warn(f"{shown(self.source)}: a frame is damaged")
        return np.ascontiguousarray(upright(array, display_matrix(picture)))


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
