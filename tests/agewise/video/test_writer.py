"""What is written: frames at their times, sound, colours, sizes; and that nothing half-written is left."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agewise.errors import OutputError
from agewise.video import Frame, open_video, open_writer

av = pytest.importorskip("av", reason="the extra video")

_spec = importlib.util.spec_from_file_location("video_clips", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
clips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clips)

UNEVEN = [0, 40, 83, 120, 200, 201, 300, 310, 350, 1000]


def copy(source: Path, target: Path, *, start: float | None = None, end: float | None = None) -> Path:
    """Write what is read."""
    packets: list[Any] = []
    with (
        open_video(
            source, start_seconds=start, end_seconds=end, on_sound=lambda packet, zero: packets.append((packet, zero))
        ) as video,
        open_writer(target, video, start_seconds=start) as writer,
    ):
        for frame in video:
            while packets:
                writer.write_sound(*packets.pop(0))
            writer.write(frame)
        while packets:
            writer.write_sound(*packets.pop(0))
    return target


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video)


def left_in(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".part") or name.startswith("out"))


class TestPicture:
    @pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
    def test_times_of_a_variable_rate_and_the_length_are_kept(
        self, make_clip: Any, tmp_path: Path, suffix: str
    ) -> None:
        out = copy(make_clip(milliseconds=UNEVEN), tmp_path / f"out.{suffix}")
        frames = frames_of(out)
        assert [frame.time for frame in frames] == [Fraction(time, 1000) for time in UNEVEN]
        assert [clips.index_of(frame.image_rgb) for frame in frames] == list(range(10))
        with av.open(str(out)) as file:
            assert 1.0 < file.duration / av.time_base < 1.1, "players stop where the file says that it ends"

    def test_h264_for_the_web(self, make_clip: Any, tmp_path: Path) -> None:
        out = copy(make_clip(), tmp_path / "out.mp4")
        with av.open(str(out)) as file:
            stream = file.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (int(stream.codec_context.colorspace), int(stream.codec_context.color_range)) == (1, 1)
        content = out.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat"), "a player can begin before all is there"

    def test_colours_and_odd_sizes(self, tmp_path: Path) -> None:
        picture = np.zeros((33, 47, 3), np.uint8)
        picture[:] = (200, 40, 90)
        source = clips.write_clip(tmp_path / "odd.mkv", [picture] * 3, codec="ffv1")
        frames = frames_of(copy(source, tmp_path / "out.mp4"))
        assert frames[0].image_rgb.shape == (34, 48, 3)
        np.testing.assert_allclose(frames[2].image_rgb[[0, 16, 33], [0, 20, 47]], [(200, 40, 90)] * 3, atol=6)

    def test_a_rotated_source_comes_out_upright(self, tmp_path: Path) -> None:
        picture = np.full((48, 64, 3), 40, np.uint8)
        picture[:16, :16] = 220
        source = clips.write_clip(tmp_path / "turned.mp4", [picture] * 3, rotation=-90)
        image_rgb = frames_of(copy(source, tmp_path / "out.mp4"))[0].image_rgb
        assert image_rgb.shape == (64, 48, 3)
        assert image_rgb[4, -4, 0] > 180

    def test_from_becomes_zero(self, make_clip: Any, tmp_path: Path) -> None:
        out = copy(make_clip(frames=20, sound="aac"), tmp_path / "out.mp4", start=0.3, end=0.6)
        frames = frames_of(out)
        assert [frame.seconds for frame in frames] == pytest.approx([0.02 + 0.04 * at for at in range(7)], abs=0.001)


class TestSound:
    @pytest.mark.parametrize(
        ("source", "codec", "expected"),
        [("a.mp4", "aac", "aac"), ("a.mkv", "ac3", "ac3"), ("a.mkv", "pcm_s16le", "aac"), ("a.mkv", "flac", "aac")],
    )
    def test_it_is_kept_and_stays_in_time(
        self, make_clip: Any, tmp_path: Path, source: str, codec: str, expected: str
    ) -> None:
        out = copy(make_clip(source, frames=20, sound=codec), tmp_path / "out.mp4")
        with av.open(str(out)) as file:
            stream = file.streams.audio[0]
            assert stream.codec_context.name == expected
            sound = list(file.decode(audio=0))
        assert len(frames_of(out)) == 20
        seconds = sum(frame.samples for frame in sound) / 44_100
        assert seconds == pytest.approx(0.8, abs=0.07)
        wave = np.concatenate([frame.to_ndarray().reshape(-1) for frame in sound[4:-4]]).astype(float)
        loudest = np.argmax(np.abs(np.fft.rfft(wave))) * 44_100 / len(wave)
        assert loudest == pytest.approx(440, abs=5)

    def test_packets_that_are_kept_are_the_same_bytes(self, make_clip: Any, tmp_path: Path) -> None:
        source = make_clip(frames=20, sound="aac")
        out = copy(source, tmp_path / "out.mp4")
        heard = []
        for path in (source, out):
            with av.open(str(path)) as file:
                heard.append([bytes(packet) for packet in file.demux(audio=0) if packet.size])
        assert heard[0] == heard[1]
        assert len(heard[0]) > 30


class TestFiles:
    def test_an_unknown_suffix(self, make_clip: Any, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"unknown suffix '.avi'; end its name in one of .mp4, .m4v, .mov, .mkv"):
            copy(make_clip(), tmp_path / "out.avi")

    def test_no_folder(self, make_clip: Any, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"the folder .* does not exist; create it first"):
            copy(make_clip(), tmp_path / "none" / "out.mp4")

    def test_an_error_leaves_nothing_and_the_old_file_as_it_was(self, make_clip: Any, tmp_path: Path) -> None:
        out = tmp_path / "out.mp4"
        out.write_bytes(b"old")
        with open_video(make_clip()) as video, pytest.raises(KeyError), open_writer(out, video) as writer:
            writer.write(next(iter(video)))
            assert len(left_in(tmp_path)) == 2
            raise KeyError
        assert left_in(tmp_path) == ["out.mp4"]
        assert out.read_bytes() == b"old"

    @pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
    def test_a_full_disk_is_said_and_leaves_nothing(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (30, 96, 128, 3)).astype(np.uint8)
        source = clips.write_clip(tmp_path / "noise.mp4", list(noise))
        with (
            files_of_at_most(50_000),
            pytest.raises(OutputError, match=r"cannot write .*out\.mp4: .*[Ff]ile too large"),
        ):
            copy(source, tmp_path / "out.mp4")
        assert left_in(tmp_path) == []


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses larger files meanwhile, as a full disk would."""
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
