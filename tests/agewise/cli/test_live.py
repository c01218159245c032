"""`agewise live`: without a window, with a stand-in window, and in a real one under Xvfb. A file is the camera."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import pytest

from agewise.cli import _live, _records
from agewise.cli._choices import Choices
from agewise.detect.none import WholePicture
from agewise.errors import DetectorError, SourceError
from agewise.types import Detection, UInt8Array

Live = Callable[..., Any]
Key = str
Step = tuple[int | str, Key]
"""A key, several with "+" between, or "wait"; before it, so many pictures, or a text said since the last one."""


def make_clip(path: Path, frames: int = 40, fps: int = 50, size_wh: tuple[int, int] = (96, 72)) -> Path:
    """A spotted grey picture, 51 in the mean: its whole is a face of 20 years to the tiny model, and male."""
    spots = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, (size_wh[1], size_wh[0])), (0, 0), 4)
    grey = np.clip(51 + 12 * (spots - spots.mean()) / spots.std(), 0, 255).astype(np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size_wh)
    for _ in range(frames):
        writer.write(np.repeat(grey[..., None], 3, axis=2))
    writer.release()
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.avi")


@pytest.fixture
def live(cli: Live, onnx_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """`live(*flags)` with the tiny model; the whole picture is the face. Runs in a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *flags: cli("live", "--model", onnx_path, "--detector", "none", *flags)


# ---------------------------------------------------------------- without a window


def test_without_a_window_each_face_is_a_line_of_json_and_nothing_is_left_behind(live: Live, clip: Path) -> None:
    done = live(clip, "--headless")
    assert (done.status, done.err) == (0, "")
    assert len(done.objects) == 1
    record = done.objects[0]
    assert record["age_years"] == pytest.approx(20, abs=2)
    assert record["gender"] == "male"
    assert record["source"] == str(clip)
    assert record["track_id"] == 1
    assert record["frame"] is None
    assert 0.3 < record["seconds"] < 5
    assert record["model"] == "tiny"
    assert len(record["model_sha256"]) == 64
    assert list(Path.cwd().iterdir()) == []


def test_records_go_to_the_sink(live: Live, clip: Path) -> None:
    done = live(clip, "--headless", "--sink", "faces.jsonl")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert [json.loads(line)["track_id"] for line in Path("faces.jsonl").read_text().splitlines()] == [1]


def test_it_stops_after_its_seconds(live: Live, tmp_path: Path) -> None:
    start = time.monotonic()
    done = live(make_clip(tmp_path / "long.avi", frames=3000), "--headless", "--seconds", "0.5")
    assert done.status == 0
    assert len(done.objects) == 1
    assert 0.5 <= time.monotonic() - start < 10


def test_a_camera_that_is_not_there_is_said_and_waited_for(live: Live) -> None:
    done = live("--camera", "97", "--headless", "--seconds", "0.4")
    assert done.status == 1
    assert done.lines == [
        "agewise: camera 97 cannot be opened: waiting for it",
        "agewise: camera 97: not one frame came",
    ]


def test_a_camera_that_goes_and_returns_is_told_once_each(
    live: Live, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    """The clip stands in for a camera that is unplugged after 40 frames, plugged in again, and then ends the run."""
    original = _live.NewestFrame
    opened: list[int | str] = []

    class Slow:
        def __init__(self, capture: cv2.VideoCapture) -> None:
            self.isOpened, self.get, self.release = capture.isOpened, capture.get, capture.release
            self.capture = capture

        def read(self) -> tuple[bool, Any]:
            time.sleep(0.01)
            return self.capture.read()

    def open_capture(source: int | str) -> Slow:
        opened.append(source)
        if len(opened) == 7:
            raise SourceError("enough")
        return Slow(cv2.VideoCapture(str(clip) if len(opened) in (1, 5) else "nothing here"))

    monkeypatch.setattr(
        _live, "NewestFrame", lambda source: original(source, pauses=(0.2, 0.2), open_capture=open_capture)
    )
    done = live("--camera", "3", "--headless")
    assert done.lines == [
        "agewise: camera 3 went away: waiting for it",
        "agewise: camera 3 is back",
        "agewise: camera 3 went away: waiting for it",
        "agewise: enough",
    ]
    assert opened == [3] * 7


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (("clip.avi", "--camera", "0"), 2, "not both"),
        (("--seconds", "0"), 2, "--seconds must be above 0"),
        (("--seconds", "nan"), 2, "--seconds must be above 0"),
        (("--headless", "--keep-picture", "."), 2, "Space"),
        (("--keep-picture", "no/folder"), 2, "is no folder"),
        (("--headless", "no.mp4"), 1, "is no camera"),
        (("--headless", "--sink", "faces.doc"), 1, "faces.doc"),
        (("--headless", "--model", "agewise-z"), 2, "agewise-s"),
        (("--headless", "--detector", "mtcn"), 2, "mtcnn"),
        (("--camera", "-1"), 2, "--camera"),
    ],
)
def test_mistakes(live: Live, flags: tuple[str, ...], status: int, words: str) -> None:
    done = live(*flags)
    assert done.status == status
    assert words in done.err
    assert len(done.lines) == 1


def test_a_file_that_is_no_video(live: Live, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    done = live(tmp_path / "text.mp4", "--headless")
    assert done.status == 1
    assert "cannot be read as a video" in done.err


def test_ctrl_c_keeps_what_was_recorded(spawn: Callable[..., Any], onnx_path: Path, tmp_path: Path) -> None:
    long = make_clip(tmp_path / "long.avi", frames=3000)
    child = spawn(
        "live", long, "--model", onnx_path, "--detector", "none", "--headless", "--sink", "a.jsonl", cwd=tmp_path
    )
    Desk.until((tmp_path / ".a.jsonl.spool").exists)  # the model is loaded
    time.sleep(2)
    child.process.send_signal(signal.SIGINT)
    done = child.finish()
    assert done.status == 130
    assert done.lines == ["agewise: stopped"]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 1


# ---------------------------------------------------------------- a stand-in window


class FakeWindow:
    """Presses planned keys one after the other, and notes what it is told."""

    def __init__(self, *plan: Step) -> None:
        self.plan = list(plan)
        self.pictures = self.pictures_then = self.said_then = 0
        self.said: list[str] = []
        self.flashes: list[str] = []
        self.troubles: list[str] = []
        self.statuses: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.open = False

    def __enter__(self) -> Self:
        self.open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open = False

    def fit(self, picture_wh: tuple[int, int]) -> None:
        self.sizes.append(picture_wh)

    def say(self, text: str, *, seconds: float = 4.0, flash: bool = False) -> None:
        self.said.append(text)
        self.flashes += [text] * flash

    def show(self, image_rgb: UInt8Array | None, status: str, trouble: str = "") -> None:
        assert self.open
        self.pictures += image_rgb is not None
        self.statuses.append(status)
        self.troubles.append(trouble)

    def pressed(self) -> list[Key]:
        before, key = self.plan[0]
        if isinstance(before, int):
            is_time = self.pictures >= self.pictures_then + before
        else:
            is_time = any(before in text for text in self.said[self.said_then :])
        if not is_time:
            return []
        del self.plan[0]
        self.pictures_then, self.said_then = self.pictures, len(self.said)
        return [] if key == "wait" else key.split("+")


@pytest.fixture
def windowed(live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Live:
    """`windowed(steps, *flags)`: gives the stand-in window and what the command came to; the clip lasts 30 s."""
    clip = tmp_path / "long.avi"

    def run(steps: list[Step], *flags: str | Path) -> tuple[FakeWindow, Any]:
        window = FakeWindow(*steps)
        monkeypatch.setattr(_live, "_open_window", lambda: window)
        done = live(make_clip(clip, frames=1500), *flags)
        assert not window.open
        assert not window.plan, window.said
        return window, done

    return run


def records(name: str = _live.DEFAULT_SINK) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def test_space_records_the_faces_in_sight(windowed: Live) -> None:
    window, done = windowed([(10, "capture"), (10, "capture"), (5, "quit")])
    assert (done.status, done.out, done.err) == (0, "", "")
    taken = records()
    assert len(taken) == 2
    assert taken[0]["frame"] < taken[1]["frame"]
    assert taken[0]["key"] != taken[1]["key"]
    assert taken[0]["track_id"] == taken[1]["track_id"] == 1
    assert taken[0]["age_years"] == pytest.approx(20, abs=2)
    assert window.flashes == ["1 record to agewise-records.jsonl"] * 2
    assert window.sizes == [(96, 72)]
    assert "1 face " in window.statuses[-1]
    assert "2 records" in window.statuses[-1]
    assert [path.name for path in Path.cwd().iterdir()] == [_live.DEFAULT_SINK]  # no picture, no spool


def test_without_space_nothing_is_written(windowed: Live) -> None:
    _, done = windowed([(10, "quit")])
    assert done.status == 0
    assert list(Path.cwd().iterdir()) == []


def test_a_picture_is_kept_only_when_asked_for(windowed: Live) -> None:
    Path("kept").mkdir()
    window, _ = windowed([(10, "capture"), (5, "quit")], "--keep-picture", "kept", "--sink", "a.csv")
    (path,) = Path("kept").iterdir()
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape == (72, 96, 3)
    assert picture.max() < 120  # as the camera gave it, nothing bright drawn on it
    assert f"the picture to kept/{path.name}" in window.flashes[0]


def test_nothing_to_record_is_said(windowed: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WholePicture, "detect", lambda self, image_rgb: [])
    window, _ = windowed([(5, "capture"), (5, "quit")])
    assert window.said == ["nothing to record: no face with an estimate in sight"]
    assert not Path(_live.DEFAULT_SINK).exists()


def test_model_and_detector_change_while_pictures_go_on(windowed: Live) -> None:
    steps = [(5, "capture"), (5, "model+model"), ("model agewise-s, detector", "detector")]
    window, done = windowed([*steps, ("agewise-s, detector mtcnn", "wait"), (2, "quit")])
    assert done.status == 0
    assert window.said[1:4] == [
        "loading the model agewise-s …",
        "still loading agewise-s …",
        "model agewise-s, detector none",
    ]
    assert "model agewise-s, detector mtcnn" in window.said
    assert "model agewise-s   detector mtcnn" in window.statuses[-1]
    assert [record["model"] for record in records()] == ["tiny"]


def test_ids_of_tracks_and_hashes_of_models_tell_them_apart(windowed: Live) -> None:
    steps = [(5, "capture"), (5, "model"), ("model agewise-s, detector", "wait"), (20, "capture"), (1, "quit")]
    _, done = windowed(steps, "--sink", "a.jsonl")
    assert done.status == 0
    first, second = records("a.jsonl")
    assert (first["model"], second["model"]) == ("tiny", "agewise-s")
    assert first["model_sha256"] != second["model_sha256"]
    assert first["track_id"] < second["track_id"]  # never used again, by another model neither


def test_what_cannot_be_loaded_is_said_on_screen_and_the_next_is_tried_then(
    tmp_path: Path, onnx_path: Path, windowed: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    original = Choices.__init__

    def with_a_broken_one(self: Choices, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.models = [str(onnx_path), str(tmp_path / "broken.onnx"), "agewise-s"]

    monkeypatch.setattr(Choices, "__init__", with_a_broken_one)
    window, done = windowed([(5, "model"), ("cannot be used", "model"), ("model agewise-s, detector", "quit")])
    assert done.status == 0
    assert "broken.onnx cannot be used: " in window.said[1]
    assert window.said[2:] == ["loading the model agewise-s …", "model agewise-s, detector none"]


def test_a_detector_that_fails_on_frames_does_not_end_the_window(
    windowed: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def detect(self: WholePicture, image_rgb: UInt8Array) -> list[Detection]:
        calls.append(1)
        raise DetectorError("out of order")

    monkeypatch.setattr(WholePicture, "detect", detect)
    window, done = windowed([(10, "quit")])
    assert done.status == 0
    assert calls
    assert window.troubles[-1] == "out of order"


def test_a_sink_that_refuses_is_said_and_the_records_wait(windowed: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_records, "_CLOSE_SECONDS", 0.2)
    Path("taken.jsonl").mkdir()  # a folder in the file's place
    window, done = windowed([(5, "capture"), (70, "quit")], "--sink", "taken.jsonl")
    assert done.status == 1
    assert "1 wait in .taken.jsonl.spool" in done.lines[-1]
    assert any("taken.jsonl" in trouble for trouble in window.troubles)


# ---------------------------------------------------------------- a real window

needs_pygame = pytest.mark.skipif(
    importlib.util.find_spec("pygame") is None, reason="needs pygame-ce, the extra live: pip install 'agewise[live]'"
)


@needs_pygame
def test_without_a_screen_it_says_what_to_do(live: Live, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    done = live(clip)
    assert done.status == 1
    assert "no screen here" in done.err
    assert "--headless" in done.err


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An X server of its own; the variables that lead to it."""
    missing = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (Debian: apt-get install xvfb xdotool)")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1000x800x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    try:
        assert number, "Xvfb did not start"
        yield {"DISPLAY": f":{number}", "SDL_VIDEODRIVER": "x11"}
    finally:
        server.terminate()
        server.wait(10)


class Desk:
    """A hand on the keyboard of a screen, and eyes on it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.environment = os.environ | variables

    def do(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout.strip()

    def find(self) -> str:
        """The window, once it is there."""
        return str(self.until(lambda: self.do("search", "--class", "agewise").splitlines()[-1:])[0])

    def picture(self) -> UInt8Array | None:
        """The screen as it is, RGB; None where no program can say."""
        tool = shutil.which("import")
        if tool is None:
            return None
        shot = subprocess.run(
            [tool, "-window", "root", "png:-"], env=self.environment, capture_output=True, timeout=20, check=True
        )
        decoded = cv2.imdecode(np.frombuffer(shot.stdout, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.asarray(decoded[..., ::-1], dtype=np.uint8)

    @staticmethod
    def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, "it never came to be"
            time.sleep(0.1)
        return value


@needs_pygame
def test_a_real_window_shows_records_changes_and_quits(
    screen: dict[str, str], spawn: Callable[..., Any], onnx_path: Path, tmp_path: Path
) -> None:
    """Space until a record stands in the file, m until its model is another, d until it has no whole picture, q."""
    clip = make_clip(tmp_path / "long.avi", frames=3000, fps=25, size_wh=(320, 240))
    child = spawn("live", clip, "--model", onnx_path, "--detector", "none", cwd=tmp_path, **screen)
    desk = Desk(screen)
    try:
        window = desk.find()
        desk.do("windowfocus", window)
        file = tmp_path / _live.DEFAULT_SINK

        def taken() -> list[dict[str, Any]]:
            return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

        def capture() -> list[dict[str, Any]]:
            desk.do("key", "space")
            time.sleep(0.5)
            return taken()

        assert desk.until(capture)[0]["model"] == "tiny"
        picture = desk.picture()
        if picture is not None:
            # The clip's grey fills most of the window, the yellow frame or box is on it, the bar is below.
            assert (np.abs(picture.astype(int) - 51).max(axis=2) <= 30).mean() > 0.1
            assert (np.abs(picture.astype(int) - (255, 221, 87)).max(axis=2) <= 8).any()
        desk.do("key", "m")
        desk.until(lambda: any(record["model"] == "agewise-s" for record in capture()))
        desk.do("key", "d")  # MTCNN finds no face in a flat picture: no record comes any more
        desk.until(lambda: _none_comes(capture))
        desk.do("windowsize", window, "700", "500")
        assert child.process.poll() is None
        desk.do("key", "q")
        done = child.finish()
    finally:
        child.process.kill()
        child.process.wait()
    assert (done.status, done.out, done.err) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, "long.avi", "tiny.onnx"]


def _none_comes(capture: Callable[[], list[Any]]) -> bool:
    time.sleep(1.2)  # the writer sends within a second
    before = len(capture())
    time.sleep(1.2)
    return len(capture()) == before
