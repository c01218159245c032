"""The newest frame, by stand-in cameras that are slow, fast, lost and found; and by a real file."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from agewise.errors import SourceError
from agewise.types import UInt8Array
from agewise.video.camera import CameraFrame, NewestFrame, source_name

PAUSES = (0.01, 0.04)


def picture(number: int) -> UInt8Array:
    """BGR (4, 6, 3): the number in blue, its double in green, 7 in red."""
    return np.full((4, 6, 3), (number % 100, 2 * (number % 100), 7), np.uint8)


class Camera:
    """A stand-in for OpenCV's `VideoCapture`: gives a frame each `spacing` seconds, `count` of them."""

    def __init__(self, frames: Iterator[int], count: int, spacing: float = 0.0, opened: bool = True) -> None:
        self.frames, self.count, self.spacing, self.opened = frames, count, spacing, opened
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, UInt8Array | None]:
        if self.count == 0:
            return False, None
        self.count -= 1
        time.sleep(self.spacing)
        return True, picture(next(self.frames))

    def get(self, prop: int, /) -> float:
        return 0.0

    def release(self) -> None:
        self.released = True


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.002)


def opener(*cameras: Camera) -> Callable[[int | str], Camera]:
    """Opens one after the other; after the last, nothing opens."""
    rest = iter(cameras)
    return lambda source: next(rest, Camera(itertools.count(), 0, opened=False))


def test_a_slow_reader_gets_the_newest_frame_and_no_growing_delay() -> None:
    """The camera gives 200 frames a second, the reader takes 20: in a queue the tenth would be 0.45 s old."""
    delays: list[float] = []
    indices: list[int] = []
    with NewestFrame(0, open_capture=opener(Camera(itertools.count(), 10_000, 0.005))) as camera:
        for _ in range(10):
            time.sleep(0.05)
            frame = camera.take(1.0)
            assert frame is not None
            delays.append(time.monotonic() - camera._start - frame.seconds)
            indices.append(frame.index)
            assert frame.image_rgb[0, 0].tolist() == [7, 2 * (frame.index % 100), frame.index % 100]
        dropped = camera.dropped
    assert min(delays[-3:]) < 0.1  # one of three: the machine may be busy for a moment
    assert indices == sorted(set(indices))
    # Each frame before the last taken one was taken or dropped; later ones may have been dropped since.
    assert dropped >= indices[-1] + 1 - len(indices) > 10


def test_a_fast_reader_gets_each_frame_once() -> None:
    with NewestFrame(0, pauses=PAUSES, open_capture=opener(Camera(itertools.count(), 8, 0.02))) as camera:
        frames = [frame for _ in range(8) if (frame := camera.take(1.0)) is not None]
        assert camera.take(0.05) is None
    assert [frame.index for frame in frames] == list(range(8))
    assert camera.dropped == 0
    times = [frame.seconds for frame in frames]
    assert times == sorted(set(times))
    assert all(frame.time.utcoffset() is not None for frame in frames)


def test_a_camera_that_goes_away_is_waited_for_and_read_again() -> None:
    numbers = itertools.count()
    first, gone, second = Camera(numbers, 3, 0.01), Camera(numbers, 0, opened=False), Camera(numbers, 500, 0.01)
    back = threading.Event()

    def open_capture(source: int | str) -> Camera:
        attempts.append(time.monotonic())
        return first if len(attempts) == 1 else second if back.is_set() else gone

    attempts: list[float] = []
    with NewestFrame(2, pauses=PAUSES, open_capture=open_capture) as camera:
        wait_for(lambda: camera.trouble)
        assert camera.trouble == "camera 2 went away: waiting for it"
        assert first.released
        wait_for(lambda: len(attempts) >= 7)
        assert not camera.ended
        back.set()
        wait_for(lambda: camera.frames > 3)
        frame = camera.take(1.0)
        if frame is not None and frame.index < 3:  # the last one before it went
            frame = camera.take(1.0)
        assert frame is not None
        assert frame.index >= 3
        assert camera.trouble == ""
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[0] >= 0.01
    assert min(pauses[3:7]) >= 0.04  # 10, 20, 40, 40 … ms: it backs off
    assert second.released


@pytest.mark.parametrize(
    ("camera", "words"),
    [(Camera(itertools.count(), 0, opened=False), "cannot be opened"), (Camera(itertools.count(), 0), "no picture")],
)
def test_a_camera_that_never_was_is_waited_for_too(camera: Camera, words: str) -> None:
    with NewestFrame(0, pauses=PAUSES, open_capture=lambda source: camera) as newest:
        wait_for(lambda: newest.trouble)
        assert words in newest.trouble
        assert newest.take(0.02) is None
        assert not newest.ended


def test_an_error_of_opencv_is_a_loss_and_any_other_reaches_the_reader() -> None:
    class Faulty(Camera):
        def __init__(self, error: Exception) -> None:
            super().__init__(itertools.count(), 1)
            self.error = error

        def read(self) -> tuple[bool, UInt8Array | None]:
            raise self.error

    with NewestFrame(0, pauses=PAUSES, open_capture=lambda source: Faulty(cv2.error("driver"))) as camera:
        wait_for(lambda: camera.trouble)
    with (
        NewestFrame(0, pauses=PAUSES, open_capture=lambda source: Faulty(RuntimeError("a fault"))) as camera,
        pytest.raises(RuntimeError, match="a fault"),
    ):
        camera.take(5.0)


def test_grey_cameras_give_rgb() -> None:
    class Grey(Camera):
        def read(self) -> tuple[bool, UInt8Array | None]:
            time.sleep(0.01)
            return True, np.full((4, 6), 9, np.uint8)

    with NewestFrame(0, open_capture=lambda source: Grey(itertools.count(), 1)) as camera:
        frame = camera.take(5.0)
    assert frame is not None
    assert frame.image_rgb.shape == (4, 6, 3)
    assert (frame.image_rgb == 9).all()


def test_memory_and_threads_do_not_grow_over_many_losses() -> None:
    """A camera that gives 20 frames and goes, 300 times: one thread, one frame held, each capture released."""
    cameras: list[Camera] = []

    def open_capture(source: int | str) -> Camera:
        cameras.append(Camera(itertools.count(), 20))
        return cameras[-1]

    before = threading.active_count()
    with NewestFrame(0, pauses=(1e-4, 1e-4), open_capture=open_capture) as camera:
        wait_for(lambda: camera.frames >= 6000, 20)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert all(each.released for each in cameras)
    assert camera.dropped == camera.frames - 1  # only the newest is held


# ---------------------------------------------------------------- a real file


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames of 64×48 at 50 frames a second, ever brighter."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def test_a_file_is_played_at_its_own_rate_once(clip: Path) -> None:
    frames: list[CameraFrame] = []
    with NewestFrame(str(clip)) as camera:
        until = time.monotonic() + 10
        while not camera.ended and time.monotonic() < until:
            if (frame := camera.take(0.5)) is not None:
                frames.append(frame)
        assert camera.ended
    assert camera.frames == 10
    assert frames[-1].index == 9
    assert abs(int(frames[-1].image_rgb.mean()) - 180) < 4
    assert 0.17 < frames[-1].seconds - frames[0].seconds < 1.0  # nine spacings of 20 ms


def test_an_address_is_read_lost_with_its_server_and_read_again(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine that goes away for a while; the password in the address is not told."""
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *args: None)

    def serve(port: int = 0) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=tmp_path))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    server = serve()
    port = server.server_address[1]
    with NewestFrame(f"http://me:secret@127.0.0.1:{port}/clip.avi", pauses=PAUSES) as camera:
        frame = camera.take(10.0)
        assert frame is not None
        assert frame.image_rgb.shape == (48, 64, 3)
        wait_for(lambda: camera.frames >= 10, 20)
        server.shutdown()
        server.server_close()
        wait_for(lambda: camera.trouble)
        assert camera.trouble == f"http://127.0.0.1:{port}/clip.avi went away: waiting for it"
        time.sleep(0.2)
        before = camera.frames
        server = serve(port)
        wait_for(lambda: camera.frames >= before + 10, 20)
        assert not camera.ended
    server.shutdown()
    server.server_close()


def test_a_file_that_is_no_video_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with NewestFrame(str(path)) as camera, pytest.raises(SourceError, match=r"text\.mp4"):
        camera.take(10.0)


def test_what_is_nothing_is_refused_at_once() -> None:
    with pytest.raises(SourceError, match="is no camera"):
        NewestFrame("nowhere.mp4")
    with pytest.raises(ValueError, match="0 or more"):
        NewestFrame(-1)
    with pytest.raises(ValueError, match="first <= longest"):
        NewestFrame(0, pauses=(2.0, 1.0))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (3, "camera 3"),
        ("rtsp://me:secret@10.0.0.7:554/1", "rtsp://10.0.0.7:554/1"),
        ("HTTP://token@host/a@b", "HTTP://host/a@b"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_names_hold_no_password(source: int | str, name: str) -> None:
    assert source_name(source) == name
