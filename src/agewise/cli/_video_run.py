"""`agewise video` behind its flags: one moving picture through tracker, drawing and files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agewise._files import shown
from agewise.cli._exits import FAILED, UsageError
from agewise.cli._progress import reporting
from agewise.cli._stops import Stopped, StopSignals
from agewise.cli._streams import say
from agewise.errors import OutputError
from agewise.sinks import Record, RecordSink, make_record, open_record_sink
from agewise.store import find_model
from agewise.track import Track, TrackConfig, TrackedFace, Tracker
from agewise.video import Frame, Video, VideoWriter, open_video, open_writer
from agewise.video.pipeline import Annotation
from agewise.video.writer import check_target

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer

_RECORDS_AT_ONCE = 2_000
_DETECTIONS_A_SECOND = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoJob:
    """What the flags ask for; see `agewise video --help`. `start` and `end` are in seconds."""

    source: str
    output: str | None = None
    records: str | None = None
    per_frame: bool = False
    every: int = 1
    start: float | None = None
    end: float | None = None
    draw: bool = True
    force: bool = False
    max_faces: int | None = None


def check(job: VideoJob) -> None:
    """Refuse what cannot be, before anything is begun.

    Raises:
        UsageError: an output of no known format, that exists, or that is the source or the other output.
        MissingExtraError: a package is missing.
    """
    try:
        if job.output is not None:
            check_target(job.output)
        if job.records is not None:
            open_record_sink(job.records).close()
    except OutputError as error:
        raise UsageError(str(error)) from error
    targets = [target for target in (job.output, job.records) if target is not None and "://" not in target]
    for target in targets:
        if os.path.exists(job.source) and os.path.exists(target) and os.path.samefile(job.source, target):
            raise UsageError(f"{shown(target)} is the source itself: choose another name")
        if os.path.isfile(target) and not job.force:
            raise UsageError(f"{shown(target)} exists: choose another name, or --force to replace it")


def run(analyzer: Analyzer, job: VideoJob) -> int:
    """Go through the video; gives the exit status: 0, 1 where a part could not be read, 128 + signal where stopped.

    Raises:
        VideoError: nothing of the source can be read.
        OutputError: an output cannot be written; no video is left.
    """
    with StopSignals() as stops:
        with contextlib.ExitStack() as stack:
            annotation = Annotation(draw=job.draw, every=job.every, hold=stops.held)
            video = stack.enter_context(
                open_video(
                    job.source,
                    start_seconds=job.start,
                    end_seconds=job.end,
                    on_sound=None if job.output is None else annotation.take_sound,
                )
            )
            annotation.tracker = tracker = Tracker(analyzer, _track_config(video, job))
            if job.output is not None:
                annotation.writer = stack.enter_context(open_writer(job.output, video, start_seconds=job.start))
            records = stack.enter_context(_Records(job, analyzer))
            tally = _Tally(records, tracker)
            status = _go(annotation, video, tally, job)
            stops.hold()  # a file that only waits to be finished is not thrown away by a late Ctrl-C
            tally.finish()
        stops.release()
    return _tell(video, annotation.writer, tally, job, status)


def _track_config(video: Video, job: VideoJob) -> TrackConfig:
    """The detector looks six times a second, or on every fifth frame where that is less often."""
    default = TrackConfig()
    often = max(default.detect_every, round(video.fps / job.every / _DETECTIONS_A_SECOND))
    return TrackConfig(detect_every=often, max_tracks=job.max_faces or default.max_tracks)


def _go(annotation: Annotation, video: Video, tally: _Tally, job: VideoJob) -> int:
    """The run itself: 0, or the exit status of the signal that stopped it."""
    total = None if video.frame_count is None else -(-video.frame_count // job.every)
    with reporting(total, lines_follow=False, per_second=True) as reporter:

        def on_frame(frame: Frame, faces: Sequence[TrackedFace]) -> None:
            tally.count(frame, faces)
            reporter.advance()

        annotation.on_frame = on_frame
        try:
            annotation.run(video)
        except Stopped as stop:
            if annotation.abandoned or not tally.frames:
                raise
            return stop.exit_code
    return 0


def _tell(video: Video, writer: VideoWriter | None, tally: _Tally, job: VideoJob, status: int) -> int:
    """What the run came to, on standard error; gives the exit status."""
    for warning in video.warnings:
        say(warning)
    if writer is not None and writer.sound_lost:
        say(f"{writer.sound_lost} parts of the sound could not be read and are left out")
    kept = " and ".join(shown(target) for target in (job.output, job.records) if target is not None)
    if status:
        say(f"stopped after {tally}; {kept} {'holds' if kept.count(' and ') == 0 else 'hold'} these")
    else:
        say(str(tally))
    lost = bool(video.warnings) or (writer is not None and writer.sound_lost > 0)
    return status or (FAILED if lost else 0)


class _Tally:
    """Counts frames and tracks, and hands their records on."""

    def __init__(self, records: _Records, tracker: Tracker) -> None:
        self._records, self._tracker = records, tracker
        self._began: float | None = None
        self._clock = 0.0
        self.frames = self.tracks = 0

    def count(self, frame: Frame, faces: Sequence[TrackedFace]) -> None:
        """One frame more was tracked."""
        now = time.perf_counter()
        self._began = self._began or now
        self._clock = now - self._began
        self.frames += 1
        self._records.of_frame(frame, faces)
        self._take(self._tracker.ended())

    def finish(self) -> None:
        """The video ended: so do all tracks."""
        self._take(self._tracker.finish())

    def _take(self, tracks: Sequence[Track]) -> None:
        self.tracks += len(tracks)
        self._records.of_tracks(tracks)

    def __str__(self) -> str:
        text = f"{_number(self.frames, 'frame')}, {_number(self.tracks, 'face')} followed"
        return f"{text}, {(self.frames - 1) / self._clock:.0f} frames a second" if self._clock > 0.5 else text


class _Records:
    """Gathers records into batches for their sink; with no `--records` it does nothing."""

    def __init__(self, job: VideoJob, analyzer: Analyzer) -> None:
        self._job = job
        self._model = analyzer.estimator.name
        self._sink: RecordSink | None = None
        self._waiting: list[Record] = []

    def __enter__(self) -> _Records:
        target = self._job.records
        if target is not None:
            self._sha256 = find_model(self._model).sha256
            self._sink = open_record_sink(target)
            if "://" not in target and os.path.isfile(target):  # --force, or `check` had refused it
                os.unlink(target)
            self._sink.write([])  # what cannot be written shows now, not after an hour
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._sink is None:
            return
        try:
            if kind is None:
                self._flush()
        finally:
            self._sink.close()

    def of_frame(self, frame: Frame, faces: Sequence[TrackedFace]) -> None:
        """The faces of a frame, where records are per frame."""
        if self._sink is not None and self._job.per_frame:
            for face in faces:
                self._add(face, frame=frame.index, seconds=frame.seconds)

    def of_tracks(self, tracks: Sequence[Track]) -> None:
        """Whole tracks, where records are per track; `seconds` is when the face was first seen."""
        if self._sink is not None and not self._job.per_frame:
            for track in tracks:
                self._add(track, frame=None, seconds=track.first_seconds)

    def _add(self, face: TrackedFace | Track, *, frame: int | None, seconds: float) -> None:
        if face.prediction is None:
            return
        self._waiting.append(
            make_record(
                source=shown(self._job.source),
                frame=frame,
                seconds=seconds,
                track_id=face.track_id,
                detection=face.detection,
                prediction=face.prediction,
                model=self._model,
                model_sha256=self._sha256,
            )
        )
        if len(self._waiting) >= _RECORDS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._sink is not None and self._waiting:
            self._sink.write(self._waiting)
            self._waiting = []


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
