"""What is read of moving pictures: which frames, when, which way up, and what is said of damage."""

from __future__ import annotations

import importlib.util
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agewise.errors import MissingExtraError, VideoError
from agewise.types import UInt8Array
from agewise.video import Frame, open_video
from agewise.video.orientation import upright
from agewise.video.sequence import find_pictures

pytest.importorskip("av", reason="the extra video")

# Test files are no package: what they share is loaded by its path.
_spec = importlib.util.spec_from_file_location("video_clips", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
clips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clips)

UNEVEN = [0, 40, 83, 120, 200, 201, 300, 310, 350, 1000]


def read(path: Any, **limits: Any) -> tuple[list[Frame], list[str]]:
    with open_video(path, **limits) as video:
        return list(video), video.warnings


def indices(frames: list[Frame]) -> list[int]:
    return [clips.index_of(frame.image_rgb) for frame in frames]


class TestTimes:
    def test_a_variable_rate_is_kept_exactly(self, make_clip: Any) -> None:
        frames, warnings = read(make_clip(milliseconds=UNEVEN))
        assert [frame.time for frame in frames] == [Fraction(time, 1000) for time in UNEVEN]
        assert [frame.index for frame in frames] == list(range(10))
        assert indices(frames) == list(range(10))
        assert warnings == []

    def test_what_is_known_before_the_first_frame(self, make_clip: Any) -> None:
        with open_video(make_clip(size_wh=(64, 48))) as video:
            assert (video.width, video.height, video.fps, video.frame_count) == (64, 48, 25.0, 10)
            assert video.sound is None

    def test_time_begins_with_the_source_whatever_its_clock_shows(self, make_clip: Any) -> None:
        frames, _ = read(make_clip("late.mkv", milliseconds=[5000 + 40 * at for at in range(10)]))
        assert [float(frame.time) for frame in frames] == pytest.approx([0.04 * at for at in range(10)])

    @pytest.mark.parametrize("key_frames", [250, 4])
    def test_from_and_to_give_the_frames_between(self, make_clip: Any, key_frames: int) -> None:
        path = make_clip(frames=20, key_frames=key_frames)
        frames, warnings = read(path, start_seconds=0.3, end_seconds=0.6)
        assert indices(frames) == [8, 9, 10, 11, 12, 13, 14], "0.32 to 0.56 s"
        assert [frame.seconds for frame in frames] == pytest.approx([0.04 * at for at in range(8, 15)])
        assert [frame.index for frame in frames] == list(range(7))
        assert warnings == []

    @pytest.mark.parametrize("name", ["a.ts", "a.h264", "a.mkv", "a.avi"])
    def test_from_where_seeking_is_a_guess_or_impossible(self, make_clip: Any, name: str) -> None:
        path = make_clip(name, frames=20, **({"codec": "mpeg4"} if name == "a.avi" else {}))
        assert indices(read(path, end_seconds=0.5)[0])[:3] == [0, 1, 2]
        frames, warnings = read(path, start_seconds=0.3)
        assert indices(frames) == list(range(8, 20))
        assert warnings == []

    def test_from_behind_the_end(self, make_clip: Any) -> None:
        with pytest.raises(VideoError, match=r"no frame from 7 s on: it is 0\.40 s long"):
            open_video(make_clip(), start_seconds=7)


class TestUpright:
    @pytest.mark.parametrize(("rotation", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
    def test_rotation_of_the_file_is_obeyed(self, tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
        picture = np.full((48, 64, 3), 40, np.uint8)
        picture[:16, :16] = 220  # the mark in the upper left
        path = clips.write_clip(tmp_path / "turned.mp4", [picture] * 3, rotation=rotation)
        with open_video(path) as video:
            assert (video.width, video.height) == ((64, 48) if rotation == 180 else (48, 64))
            image_rgb = next(iter(video)).image_rgb
        assert image_rgb.shape == (video.height, video.width, 3)
        assert image_rgb.flags.c_contiguous
        found = {(y, x): int(image_rgb[y, x, 0]) for y in (0, -1) for x in (0, -1)}
        assert max(found, key=lambda at: found[at]) == corner
        assert sorted(found.values())[2] < 60

    def test_a_mirrored_picture(self) -> None:
        image_rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        np.testing.assert_array_equal(upright(image_rgb, (-1, 0, 0, 1)), image_rgb[:, ::-1])
        np.testing.assert_array_equal(upright(image_rgb, None), image_rgb)


def test_colours_are_those_that_were_written(tmp_path: Path) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:] = (200, 40, 90)
    frames, _ = read(clips.write_clip(tmp_path / "red.mkv", [picture] * 2, codec="ffv1"))
    np.testing.assert_allclose(frames[0].image_rgb[16, 16], (200, 40, 90), atol=1)


class TestOtherSources:
    def test_gif(self, tmp_path: Path) -> None:
        pictures = [Image.fromarray(np.full((20, 30, 3), clips.grey_of(at), np.uint8)) for at in range(4)]
        pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 200, 50, 100])
        frames, warnings = read(tmp_path / "a.gif")
        assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.1, 0.3, 0.35])
        assert indices(frames) == [0, 1, 2, 3]
        assert warnings == []

    @pytest.fixture
    def shots(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shots"
        folder.mkdir()
        for at in range(12):
            Image.fromarray(np.full((20, 31, 3), clips.grey_of(at), np.uint8)).save(folder / f"shot{at}.png")
        (folder / "notes.txt").write_text("not a picture")
        return folder

    @pytest.mark.parametrize("name", ["", "*.png", "shot%d.png", "shot[0-9]*.png"])
    def test_pictures_in_the_order_of_their_numbers(self, shots: Path, name: str) -> None:
        with open_video(shots / name if name else shots) as video:
            frames = list(video)
            assert (video.width, video.height, video.fps, video.frame_count) == (31, 20, 25.0, 12)
        assert indices(frames) == list(range(12))
        assert frames[5].time == Fraction(1, 5)

    def test_pictures_from_and_to(self, shots: Path) -> None:
        assert indices(read(shots, start_seconds=0.08, end_seconds=0.2)[0]) == [2, 3, 4]

    def test_a_broken_picture_and_one_of_another_size_are_left_out_and_said(self, shots: Path) -> None:
        (shots / "shot3.png").write_bytes(b"broken")
        Image.new("RGB", (10, 10)).save(shots / "shot4.png")
        frames, warnings = read(shots)
        assert indices(frames) == [0, 1, 2, *range(5, 12)]
        assert frames[3].time == Fraction(1, 5), "its time is its own still"
        assert "shot3.png" in warnings[0]
        assert warnings[1].endswith("shot4.png left out: it is 10×10, the first is 31×20")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="cannot read pictures from .*: there is none"):
            open_video(tmp_path)

    def test_a_file_whose_name_looks_like_a_pattern_is_that_file(self, make_clip: Any) -> None:
        path = make_clip("odd[1]%02d.mp4", frames=2)
        assert find_pictures(os.fspath(path)) is None
        assert len(read(path)[0]) == 2


class TestDamage:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match=r"cannot read .*none\.mp4: no such file"):
            open_video(tmp_path / "none.mp4")

    @pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
    def test_not_a_video(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.mp4").write_bytes(content)
        with pytest.raises(VideoError, match=r"cannot read .*x\.mp4 as a video"):
            open_video(tmp_path / "x.mp4")

    def test_sound_only(self, tmp_path: Path, make_clip: Any) -> None:
        import av

        with av.open(str(tmp_path / "a.m4a"), "w") as file:
            stream = file.add_stream("aac", rate=44_100)
            stream.codec_context.layout = "mono"
            clips._write_tone(av, file, stream, 500)
            file.mux(stream.encode(None))
        with pytest.raises(VideoError, match="it has no moving picture"):
            open_video(tmp_path / "a.m4a")

    def test_what_is_there_of_a_cut_file_is_read_and_said(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (100, 48, 64, 3)).astype(np.uint8)
        whole = clips.write_clip(tmp_path / "whole.mkv", list(noise))
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        frames, warnings = read(cut)
        assert 30 < len(frames) < 70
        assert any("ends after" in warning and "of 4.00 s: it is cut or damaged" in warning for warning in warnings)

    @pytest.mark.parametrize("suffix", ["mp4", "ts"])
    def test_a_hole_in_the_middle_is_said_and_the_end_is_read(self, tmp_path: Path, suffix: str) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3)).astype(np.uint8)
        path = clips.write_clip(tmp_path / f"holed.{suffix}", list(noise), key_frames=10)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 3000] = bytes(3000)
        path.write_bytes(content)
        frames, warnings = read(path)
        assert frames[-1].seconds == pytest.approx(59 * 0.04)
        assert 40 <= len(frames) < 60
        assert any("damaged" in warning for warning in warnings)


def test_without_pyav_the_command_that_installs_it_is_told(make_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agewise\[video\]'"):
        open_video(path)


def test_sound_is_handed_on_within_the_limits(make_clip: Any) -> None:
    times: list[float] = []
    path = make_clip(frames=20, sound="aac")
    with open_video(
        path, start_seconds=0.3, end_seconds=0.6, on_sound=lambda packet, zero: times.append(packet.pts / 44_100 - zero)
    ) as video:
        assert video.sound.codec_context.name == "aac"
        list(video)
    assert 0.3 <= min(times) < 0.33
    assert 0.5 < max(times) < 0.6


def test_frames_may_be_drawn_on(make_clip: Any) -> None:
    frames, _ = read(make_clip(frames=2))
    image_rgb: UInt8Array = frames[0].image_rgb
    image_rgb[0, 0] = 255
    assert frames[1].image_rgb[0, 0, 0] < 60
