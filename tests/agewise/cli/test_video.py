"""`agewise video` on small real videos: what it writes, what it says, and how it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agewise.types import UInt8Array
from agewise.video import Frame, open_video

av = pytest.importorskip("av", reason="the extra video")

# The clips of tests/agewise/video; test files are no package, so they are loaded by their path.
_spec = importlib.util.spec_from_file_location("video_clips", Path(__file__).parents[1] / "video" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
clips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clips)

Cli = Callable[..., Any]


def spotted() -> UInt8Array:
    """A frame of mean 51, 20 years to the tiny model, with spots that a tracker can hold on to."""
    spots = np.random.default_rng(0).integers(21, 82, (12, 16)).astype(np.uint8)
    return np.repeat(spots.repeat(10, axis=0).repeat(10, axis=1)[..., None], 3, axis=2)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """20 frames with sound, 0.8 s; to the tiny model each is a face, its mean the age."""
    return clips.write_clip(tmp_path / "clip.mp4", [spotted()] * 20, sound="aac")


@pytest.fixture
def video(cli: Cli, onnx_path: Path) -> Cli:
    """`video(source, *flags)` with the tiny model; the whole frame is the face."""
    return lambda *arguments: cli("video", "--model", onnx_path, "--detector", "none", "--answer-all", *arguments)


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as opened:
        return list(opened)


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def parts_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


class TestVideo:
    def test_frames_are_drawn_and_sound_and_times_are_kept(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        done = video(clip, "-o", tmp_path / "out.mp4")
        assert (done.status, done.out) == (0, "")
        assert [line.partition(", 1 face")[0] for line in done.lines] == ["agewise: 20 frames"]
        frames = frames_of(tmp_path / "out.mp4")
        assert [frame.seconds for frame in frames] == pytest.approx([0.04 * at for at in range(20)])
        assert float(frames[5].image_rgb[:40].max()) > 180, "a label"
        with av.open(str(tmp_path / "out.mp4")) as file:
            assert file.streams.audio[0].codec_context.name == "aac"

    def test_no_draw_leaves_the_frames_as_they_were(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        assert video(clip, "-o", tmp_path / "out.mp4", "--no-draw").status == 0
        for frame in frames_of(tmp_path / "out.mp4"):
            assert np.abs(frame.image_rgb.astype(int) - spotted()).mean() < 2

    def test_from_to_and_every(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        done = video(clip, "-o", tmp_path / "out.mp4", "--from", "0.2", "--to", "0.6", "--every", 2)
        assert [line.partition(", 1 face")[0] for line in done.lines] == ["agewise: 5 frames"]
        times = [frame.seconds for frame in frames_of(tmp_path / "out.mp4")]
        assert times == pytest.approx([0.0, 0.08, 0.16, 0.24, 0.32], abs=1e-3)

    def test_pictures_and_an_odd_size(self, video: Cli, make_picture: Any, tmp_path: Path) -> None:
        for at in range(5):
            make_picture(f"shots/{at}.png", size_wh=(41, 31))
        assert video(tmp_path / "shots", "-o", tmp_path / "out.mp4").status == 0
        assert [frame.image_rgb.shape for frame in frames_of(tmp_path / "out.mp4")] == [(32, 42, 3)] * 5


class TestRecords:
    def test_one_per_track(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        assert video(clip, "--no-draw", "--records", tmp_path / "faces.jsonl").status == 0
        (record,) = records_of(tmp_path / "faces.jsonl")
        assert (record["source"], record["track_id"], record["frame"], record["seconds"]) == (str(clip), 1, None, 0.0)
        assert record["age_years"] == pytest.approx(20, abs=1.5)
        assert len(record["model_sha256"]) == 64

    def test_one_per_frame_as_csv(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        assert video(clip, "--records", tmp_path / "faces.csv", "--per", "frame", "--every", 5).status == 0
        heading, *rows = (tmp_path / "faces.csv").read_text().splitlines()
        columns = heading.split(",")
        assert [row.split(",")[columns.index("frame")] for row in rows] == ["0", "5", "10", "15"]
        assert [float(row.split(",")[columns.index("seconds")]) for row in rows] == pytest.approx([0, 0.2, 0.4, 0.6])

    def test_a_second_run_replaces_the_first_with_force(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        for _ in range(2):
            assert video(clip, "--records", tmp_path / "faces.jsonl", "--force").status == 0
        assert len(records_of(tmp_path / "faces.jsonl")) == 1


class TestMistakes:
    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            ([], "nothing to write: give -o FILE for a video, --records FILE for records, or both"),
            (["-o", "out.avi"], "unknown suffix '.avi'"),
            (["--records", "out.txt"], "cannot send records to out.txt"),
            (["-o", "out.mp4", "--from", "3", "--to", "2"], "--to 2 must be after --from 3"),
            (["-o", "out.mp4", "--model", "agewise-x"], "unknown model"),
        ],
    )
    def test_nothing_is_begun(
        self, video: Cli, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], said: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = video(clip, *flags)
        assert done.status == 2
        assert said in done.err
        assert not any(name.startswith("out") for name in os.listdir(tmp_path))

    @pytest.mark.parametrize("flag", ["-o", "--records"])
    def test_an_output_that_exists(self, video: Cli, clip: Path, tmp_path: Path, flag: str) -> None:
        out = tmp_path / ("out.mp4" if flag == "-o" else "out.jsonl")
        out.write_bytes(b"old")
        done = video(clip, flag, out)
        assert (done.status, out.read_bytes()) == (2, b"old")
        assert f"{out} exists: choose another name, or --force to replace it" in done.err

    def test_the_source_itself(self, video: Cli, clip: Path) -> None:
        before = clip.read_bytes()
        done = video(clip, "-o", clip, "--force")
        assert (done.status, clip.read_bytes()) == (2, before)
        assert "is the source itself" in done.err

    def test_without_pyav(self, video: Cli, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        done = video(clip, "-o", tmp_path / "out.mp4")
        assert done.status == 1
        assert "pip install 'agewise[video]'" in done.err


class TestFailures:
    @pytest.mark.parametrize("content", [None, b"not a video"])
    def test_missing_or_not_a_video(self, video: Cli, tmp_path: Path, content: bytes | None) -> None:
        source = tmp_path / "x.mp4"
        if content is not None:
            source.write_bytes(content)
        done = video(source, "-o", tmp_path / "out.mp4", "--records", tmp_path / "out.jsonl")
        assert done.status == 1
        assert len(done.lines) == 1
        assert f"cannot read {source}" in done.err
        assert not any(name.startswith("out") for name in os.listdir(tmp_path))

    def test_of_a_cut_video_the_rest_is_written_and_said(self, video: Cli, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (100, 48, 64, 3)).astype(np.uint8)
        whole = clips.write_clip(tmp_path / "whole.mkv", list(noise))
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        done = video(cut, "-o", tmp_path / "out.mp4")
        assert done.status == 1
        assert "it is cut or damaged" in done.err
        assert 30 < len(frames_of(tmp_path / "out.mp4")) < 70

    def test_an_output_that_cannot_be_written_leaves_nothing(self, video: Cli, clip: Path, tmp_path: Path) -> None:
        done = video(clip, "-o", tmp_path / "none" / "out.mp4")
        assert done.status == 1
        assert "does not exist; create it first" in done.err
        assert sorted(name for name in os.listdir(tmp_path) if "out" in name or name.endswith(".part")) == []


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
class TestStops:
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_file_is_finished_and_plays(
        self, spawn: Any, onnx_path: Path, tmp_path: Path, number: int, status: int
    ) -> None:
        """The pictures come from a pipe that is not closed, so that the run cannot end by itself."""
        source, out, records = tmp_path / "endless.ts", tmp_path / "out.mp4", tmp_path / "faces.jsonl"
        content = clips.write_clip(tmp_path / "whole.ts", [spotted()] * 150, key_frames=10).read_bytes()
        os.mkfifo(source)
        child = spawn(
            *("video", "--model", onnx_path, "--detector", "none", source, "-o", out, "--records", records),
            *("--per", "frame"),
        )
        with open(source, "wb") as pipe:
            pipe.write(content)
            pipe.flush()
            wait_for(lambda: any((tmp_path / name).stat().st_size > 0 for name in parts_in(tmp_path)))
            assert not out.exists(), "nothing half-written is ever seen"
            time.sleep(0.3)
            child.process.send_signal(number)
            done = child.finish()  # while the source says no more
        assert done.status == status, done.err
        assert "stopped after" in done.err
        frames = frames_of(out)
        assert 1 <= len(frames) <= 150
        assert f"stopped after {len(frames)} frames" in done.err
        assert parts_in(tmp_path) == []
        assert 0 < len(records_of(records)) <= len(frames)


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
