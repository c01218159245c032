"""Where the records of `agewise live` go: to a sink off the frame path, or as JSON Lines to standard output."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agewise.cli._streams import say, write_out
from agewise.sinks import RecordWriter, make_record
from agewise.sinks.record import to_line
from agewise.sinks.targets import masked

if TYPE_CHECKING:
    from agewise.cli._choices import Brain
    from agewise.track import Track, TrackedFace
    from agewise.video.camera import CameraFrame, NewestFrame

_CLOSE_SECONDS = 5.0  # for what is not sent yet; what remains waits for the next run


class Recorder:
    """Makes records and hands them on.

    Args:
        target: of `agewise.sinks.open_record_sink`; None for standard output.
        camera: where the faces come from.

    Raises:
        AgewiseError: such a target cannot be written to.
    """

    def __init__(self, target: str | None, camera: NewestFrame) -> None:
        self.target = "standard output" if target is None else masked(target)
        self.count = 0
        self.failed = False
        self._camera = camera
        self._writer = None if target is None else RecordWriter(target, on_problem=say)

    @property
    def trouble(self) -> str:
        """What is wrong with the sink at the moment, in words; empty where nothing is. Records wait meanwhile."""
        return "" if self._writer is None else self._writer.status().problem or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        status = self._writer.close(_CLOSE_SECONDS)
        if status.waiting or status.held or status.lost or status.problem:
            self.failed = True
            say(str(status))

    def faces(self, faces: Sequence[TrackedFace], frame: CameraFrame, brain: Brain) -> None:
        """A record of each face of a frame that has an estimate."""
        for face in faces:
            self._put(face, brain, frame=frame.index, seconds=frame.seconds, time=frame.time)

    def tracks(self, tracks: Sequence[Track], brain: Brain) -> None:
        """A record of each track that has an estimate; its time is that of its last frame."""
        for track in tracks:
            time = self._camera.started + dt.timedelta(seconds=track.last_seconds)
            self._put(track, brain, frame=None, seconds=track.last_seconds, time=time)

    def _put(
        self, face: TrackedFace | Track, brain: Brain, *, frame: int | None, seconds: float, time: dt.datetime
    ) -> None:
        if face.prediction is None:
            return
        record = make_record(
            source=self._camera.name,
            frame=frame,
            seconds=seconds,
            track_id=face.track_id,
            detection=face.detection,
            prediction=face.prediction,
            model=brain.model_name,
            model_sha256=brain.model_sha256,
            time=time,
        )
        if self._writer is None:
            write_out(to_line(record))
        else:
            self._writer.put(record)
        self.count += 1
