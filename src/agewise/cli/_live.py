"""What `agewise live` does: the newest frame → tracked faces → a window, or records only."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agewise._files import shown
from agewise.cli._choices import Choices
from agewise.cli._exits import FAILED, UsageError
from agewise.cli._records import Recorder
from agewise.cli._stops import StopSignals
from agewise.cli._streams import say
from agewise.errors import AgewiseError
from agewise.video.camera import CameraFrame, NewestFrame

if TYPE_CHECKING:
    from agewise.track import TrackedFace
    from agewise.video.window import Window

DEFAULT_SINK = "agewise-records.jsonl"
_TAKE_SECONDS = 0.04  # a window answers its keys at least so often
_RATE_SECONDS = 2.0
_FAULT_SECONDS = 3.0
_TITLE = "agewise live"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """The flags of `agewise live`, by their names there.

    Raises:
        UsageError: two sources, or a time that is not above 0.
    """

    source: str | None
    camera: int | None
    model: str
    detector: str
    min_face: int | None
    threads: int
    sink: str | None
    seconds: float | None
    headless: bool
    keep_picture: str | None

    def __post_init__(self) -> None:
        if self.source is not None and self.camera is not None:
            raise UsageError(f"give SOURCE or --camera, not both: got {self.source} and {self.camera}")
        if self.seconds is not None and not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise UsageError(f"--seconds must be above 0, got {self.seconds:g} (see agewise live --help)")
        if self.keep_picture is not None and self.headless:
            raise UsageError("--keep-picture goes with Space in the window: it has no meaning with --headless")
        if self.keep_picture is not None and not Path(self.keep_picture).is_dir():
            raise UsageError(f"--keep-picture {shown(self.keep_picture)} is no folder: make it first")


class FrameRate:
    """Frames a second over the last two seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def count(self, now: float) -> None:
        """A frame at this time, in seconds."""
        self._times.append(now)

    def rate(self, now: float) -> float:
        """Frames a second; 0 before there are two."""
        while self._times and self._times[0] < now - _RATE_SECONDS:
            self._times.popleft()
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(1e-6, now - self._times[0])


def run_live(options: LiveOptions) -> int:
    """Runs until someone quits, the time is over, or a file is played; gives the exit status.

    Raises:
        AgewiseError: the model, the detector, the window or the sink cannot be used.
    """
    _quiet_opencv()
    source = options.source if options.source is not None else options.camera or 0
    with contextlib.ExitStack() as stack:
        stops = stack.enter_context(StopSignals())
        camera = NewestFrame(_number(source))
        choices = Choices(options.model, options.detector, min_face=options.min_face, threads=options.threads)
        sink = options.sink if options.sink is not None or options.headless else DEFAULT_SINK
        recorder = stack.enter_context(Recorder(sink, camera))
        # Left in the reverse order: the window is gone at once, whatever the sink takes.
        window = None if options.headless else stack.enter_context(_open_window())
        stack.enter_context(camera)
        session = _Session(options, camera, choices, recorder, window, stops)
        try:
            session.run()
        finally:
            session.finish()
    if not camera.frames:
        say(f"{camera.name}: not one frame came")
        return FAILED
    return FAILED if recorder.failed else 0


def _number(source: int | str) -> int | str:
    return int(source) if isinstance(source, str) and source.isdecimal() else source


def _open_window() -> Window:
    from agewise.video.window import Window

    return Window(_TITLE)


def _quiet_opencv() -> None:
    """OpenCV would print a line at each attempt at a camera that is not there; we say it once, in our words."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class _Session:
    """One run: what the loop holds between two frames."""

    def __init__(
        self,
        options: LiveOptions,
        camera: NewestFrame,
        choices: Choices,
        recorder: Recorder,
        window: Window | None,
        stops: StopSignals,
    ) -> None:
        self._stops = stops
        self._options = options
        self._camera = camera
        self._choices = choices
        self._recorder = recorder
        self._window = window
        self._rate = FrameRate()
        self._frame: CameraFrame | None = None
        self._picture: Any = None
        self._faces: Sequence[TrackedFace] = ()
        self._told = ""
        self._fault = ("", 0.0)  # and until when it is shown: most frames pass without the detector

    def run(self) -> None:
        """The loop."""
        start = time.monotonic()
        while not self._camera.ended:
            if self._options.seconds is not None and time.monotonic() - start >= self._options.seconds:
                return
            frame = self._camera.take(_TAKE_SECONDS)
            with self._stops.held():  # a signal shall not fall into a record
                if frame is not None:
                    self._look(frame)
                self._tell_trouble()
                if self._window is not None and not self._show(self._window):
                    return

    def finish(self) -> None:
        """Without a window: the records of the faces that are still in sight."""
        if self._window is None:
            with self._stops.held():
                self._recorder.tracks(self._choices.brain.finish(), self._choices.brain)

    def _look(self, frame: CameraFrame) -> None:
        first = self._frame is None
        try:
            self._faces = self._choices.brain.update(frame.image_rgb, frame.seconds)
        except AgewiseError as error:  # of one detector or model: another may do, so the window stays
            if self._window is None:
                raise
            self._faces, self._fault = (), (str(error), time.monotonic() + _FAULT_SECONDS)
        self._frame = frame
        ended = self._choices.brain.ended()
        if self._window is None:
            self._recorder.tracks(ended, self._choices.brain)
        else:
            from agewise.video.overlay import draw_tracked

            if first:
                self._window.fit((frame.image_rgb.shape[1], frame.image_rgb.shape[0]))
            self._picture = draw_tracked(frame.image_rgb, self._faces)
        self._rate.count(time.monotonic())

    def _tell_trouble(self) -> None:
        """Each trouble of the camera once, and its end, to standard error."""
        trouble = self._camera.trouble
        if trouble != self._told:
            say(trouble or f"{self._camera.name} is back")
            self._told = trouble

    def _show(self, window: Window) -> bool:
        """Draw, and do what the keys say; whether to go on."""
        if (text := self._choices.ready()) is not None:
            self._fault = ("", 0.0)  # and until when it is shown: most frames pass without the detector
            window.say(text)
        for key in window.pressed():
            if key == "quit":
                return False
            if key == "capture":
                self._capture(window)
            else:
                window.say(self._choices.next(key), seconds=60)
        fault = self._fault[0] if time.monotonic() < self._fault[1] else ""
        trouble = self._camera.trouble or fault or self._recorder.trouble
        if self._frame is None and not trouble:
            trouble = f"opening {self._camera.name} …"
        window.show(self._picture, self._status(), trouble)
        return True

    def _status(self) -> str:
        parts = [
            f"{self._rate.rate(time.monotonic()):.0f} frames/s",
            f"model {self._choices.brain.model_name}",
            f"detector {self._choices.brain.detector}",
            f"{len(self._faces)} face{'' if len(self._faces) == 1 else 's'}",
            f"{self._recorder.count} record{'' if self._recorder.count == 1 else 's'}",
        ]
        return "   ".join(parts)

    def _capture(self, window: Window) -> None:
        frame = self._frame
        known = [face for face in self._faces if face.prediction is not None]
        if frame is None or not known:
            window.say("nothing to record: no face with an estimate in sight")
            return
        try:
            self._recorder.faces(known, frame, self._choices.brain)
            kept = self._keep(frame)
        except AgewiseError as error:
            window.say(str(error))
            return
        plural = "record" if len(known) == 1 else "records"
        window.say(f"{len(known)} {plural} to {self._recorder.target}{kept}", flash=True)

    def _keep(self, frame: CameraFrame) -> str:
        """The camera's picture to the folder for it, if there is one; what to say of it."""
        if self._options.keep_picture is None:
            return ""
        from agewise.draw import save_image

        path = Path(self._options.keep_picture) / f"{frame.time:%Y%m%dT%H%M%S}.{frame.time.microsecond:06d}Z.jpg"
        save_image(frame.image_rgb, path)
        return f", the picture to {path}"
