"""Small real videos, made as they are needed: each frame is of one grey, so that it can be told from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from agewise.types import UInt8Array

MakeClip: TypeAlias = Callable[..., Path]


def grey_of(index: int) -> int:
    """The grey of a frame by its number, 0 to 20."""
    return 20 + 10 * index


def index_of(image_rgb: UInt8Array) -> int:
    """The number of a frame by its grey."""
    return round((float(image_rgb.mean()) - 20) / 10)


def write_clip(
    path: Path,
    pictures: Sequence[UInt8Array],
    *,
    milliseconds: Sequence[int] | None = None,
    codec: str = "libx264",
    rotation: int = 0,
    sound: str | None = None,
    key_frames: int = 250,
) -> Path:
    """A clip of these frames at these times, by default 25 a second; `sound` names the codec of its tone."""
    av = pytest.importorskip("av", reason="the extra video")
    times = list(milliseconds or (40 * at for at in range(len(pictures))))
    with av.open(str(path), "w") as file:
        height, width = pictures[0].shape[:2]
        stream = file.add_stream(codec, rate=25, options={"bf": "0", "crf": "12"} if codec == "libx264" else {})
        stream.width, stream.height = width, height
        stream.pix_fmt = {"gif": "rgb8", "libx264rgb": "rgb24", "ffv1": "bgr0"}.get(codec, "yuv420p")
        stream.codec_context.gop_size = key_frames
        if codec != "gif":
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = None if sound is None else file.add_stream(sound, rate=44_100)
        if tone is not None:
            tone.codec_context.layout = "mono"
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        if tone is not None:
            _write_tone(av, file, tone, times[-1] + 40)
            file.mux(tone.encode(None))
        file.mux(stream.encode(None))
    return path


def _write_tone(av: Any, file: Any, stream: Any, milliseconds: int) -> None:
    for at in range(0, 44_100 * milliseconds // 1000, 1024):
        wave = 0.3 * np.sin(2 * np.pi * 440 * (at + np.arange(1024)) / 44_100)
        as_whole = stream.codec_context.name.startswith("pcm")
        values = (wave * 32_767).astype(np.int16) if as_whole else wave.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(values[None], format="s16" if as_whole else "fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, at
        file.mux(stream.encode(frame))


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """`make_clip("a.mp4", frames=10, size_wh=(64, 48), **how)`: grey frames; see `write_clip`."""

    def make(name: str = "clip.mp4", *, frames: int = 10, size_wh: tuple[int, int] = (64, 48), **how: Any) -> Path:
        pictures = [np.full((size_wh[1], size_wh[0], 3), grey_of(at % 21), np.uint8) for at in range(frames)]
        return write_clip(tmp_path / name, pictures, **how)

    return make
