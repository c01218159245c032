"""Moving pictures out: H.264 in MP4, ready for the web, each frame at its own time, the sound kept."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from agewise._files import atomic_path, shown
from agewise.errors import OutputError
from agewise.types import UInt8Array
from agewise.video._av import load_av
from agewise.video.frame import Frame, exact_seconds
from agewise.video.reader import Video
from agewise.video.sound import Sound

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""What can be written, by suffix."""

PRESET, CRF = "veryfast", 21
"""x264's: `superfast` saves a twentieth of the time at twice the size, see benchmarks/video.py."""

_BT709, _LIMITED = 1, 1  # FFmpeg's numbers; the colours of HD video, told to the player
_KEY_FRAME_SECONDS = 4
_MOST_RATE = 240  # a rate beyond this is a clock's, not a camera's


def check_target(path: str | os.PathLike[str]) -> None:
    """Whether video can be written in the format of a path's suffix; the file itself is not touched.

    Raises:
        OutputError: an unknown suffix.
        MissingExtraError: PyAV is not installed.
    """
    load_av()
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f"cannot write {shown(path)}: unknown suffix {suffix!r}; end its name in one of {', '.join(FORMATS)}"
        )


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike[str], video: Video, *, start_seconds: float | None = None, sound: bool = True
) -> Iterator[VideoWriter]:
    """Yields a writer for frames of `video`; what it took stands at `path` once the block ends well.

    An exception in the block leaves no file, and one that stood there as it was.

    Args:
        path: ends in .mp4, .m4v, .mov or .mkv; its folder must exist.
        video: where size, rate, clock and the kind of sound are taken from.
        start_seconds: the time in `video` that becomes 0 in the file.
        sound: whether the sound's packets will be given to `write_sound`.

    Raises:
        OutputError: an unknown suffix, or the file cannot be written.
    """
    check_target(path)
    with atomic_path(path) as temporary:
        kind = FORMATS[Path(path).suffix.lower()]
        writer = VideoWriter(temporary, kind, video, name=path, start=exact_seconds(start_seconds or 0), sound=sound)
        try:
            yield writer
            with _as_output_error(path):
                writer.finish()
        finally:
            writer.close()


class VideoWriter:
    """Encodes frames into a file; see `open_writer`, which makes it.

    Times, durations of frames and gaps between them are kept to the source's clock. Sides of odd length get one
    more row or column, a copy of the last. B-frames are off: with them a file of variable rate tells a wrong length.
    """

    def __init__(
        self, path: Path, kind: str, video: Video, *, name: str | os.PathLike[str], start: Fraction, sound: bool = True
    ) -> None:
        self._av = load_av()
        self._name = name
        self._start = start
        self._time_base = video.time_base
        self._last: int | None = None
        self._durations: dict[int, int] = {}
        self._step = max(1, round(1 / (Fraction(video.fps) * self._time_base))) if video.fps > 0 else 1
        self.frames = 0
        self._lock = threading.Lock()  # `close` may come from a thread that did not wait for the one that writes
        flags = {"movflags": "+faststart"} if kind in ("mp4", "mov") else {}
        with _as_output_error(name):
            self._container = self._av.open(str(path), "w", format=kind, options=flags)
            self._stream = self._add_picture(video)
            template = video.sound if sound else None
            self._sound = None if template is None else Sound(self._container, template)

    def _add_picture(self, video: Video) -> Any:
        rate = Fraction(min(max(video.fps, 1), _MOST_RATE)).limit_denominator(1001)
        options = {"preset": PRESET, "crf": str(CRF), "bf": "0"}
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = video.width + video.width % 2, video.height + video.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._time_base
        context.gop_size = max(1, round(_KEY_FRAME_SECONDS * rate))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return stream

    def write(self, frame: Frame) -> None:
        """Append a frame, at its own time.

        Raises:
            OutputError: the file cannot be written to.
        """
        picture = self._av.VideoFrame.from_ndarray(_even(frame.image_rgb), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
        pts = round((frame.time - self._start) / self._time_base)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        duration = self._step if frame.duration is None else max(1, round(frame.duration / self._time_base))
        self._durations[pts] = duration
        picture.pts, picture.time_base = pts, self._time_base
        with self._lock, _as_output_error(self._name):
            self._encode(picture)
        self.frames += 1

    def write_sound(self, packet: Any, zero: Fraction) -> None:
        """Append a packet of the sound; `zero` as `open_video` gives it."""
        if self._sound is not None:
            with self._lock, _as_output_error(self._name):
                self._sound.write(packet, zero + self._start)

    def finish(self) -> None:
        """Write what is held back, and the file's index; nothing may be written after it."""
        with self._lock:
            self._encode(None)
            if self._sound is not None:
                self._sound.finish()
            self._container.close()

    @property
    def sound_lost(self) -> int:
        """Packets of the sound that could not be decoded."""
        return 0 if self._sound is None else self._sound.bad

    def close(self) -> None:
        """Let go of the file, whatever state it is in."""
        with self._lock, contextlib.suppress(self._av.error.FFmpegError, OSError):
            self._container.close()

    def _encode(self, picture: Any) -> None:
        for packet in self._stream.encode(picture):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, self._step)
            self._container.mux(packet)


def _even(image_rgb: UInt8Array) -> UInt8Array:
    height, width = image_rgb.shape[:2]
    if height % 2 or width % 2:
        return np.pad(image_rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image_rgb)


@contextlib.contextmanager
def _as_output_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """FFmpeg's own errors as ours; those of the system go on, and are explained where the path is known."""
    av = load_av()
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OutputError(f"cannot write {shown(path)}: {error.strerror or error}") from error
