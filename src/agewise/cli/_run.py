"""`agewise predict` behind its flags: lists, reads, estimates, and hands on, one picture at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agewise._files import shown
from agewise.cli._audit import Auditor, auditing
from agewise.cli._drawings import Drawer, drawing_names, find_overwritten
from agewise.cli._exits import BROKEN_PIPE, FAILED, UsageError
from agewise.cli._progress import Reporter, reporting
from agewise.cli._stops import Stopped, StopSignals
from agewise.cli._streams import one_line, say
from agewise.cli._views import JsonView, LinesView, NoView, TableView, View
from agewise.errors import AgewiseError, OutputError
from agewise.sinks import ImageResult, Sink, check_sink, open_sink
from agewise.sources import Source, SourceList, list_sources

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer
    from agewise.types import UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where results go besides standard output, and what that shows.

    Args:
        json: standard output gets JSON Lines.
        file: path of a `.jsonl`, `.csv` or `.parquet` file, or None.
        drawings: folder of drawings, or None.
        audit: path of an audit log, or None.
        debug: tracebacks of what went wrong with a picture.
    """

    json: bool = False
    file: str | None = None
    drawings: str | None = None
    audit: str | None = None
    debug: bool = False


@dataclass(slots=True)
class Tally:
    """What a run came to so far, in pictures but for `faces`."""

    total: int
    done: int = 0
    faces: int = 0
    without_face: int = 0
    failed: int = 0
    not_drawn: int = 0

    def count(self, result: ImageResult) -> None:
        """Count one picture."""
        self.done += 1
        self.faces += len(result.faces)
        self.failed += result.error is not None
        self.without_face += result.error is None and not result.faces

    def __str__(self) -> str:
        text = f"{_number(self.done, 'picture')}, {_number(self.faces, 'face')}"
        if self.without_face:
            text += f", {self.without_face} without a face"
        if self.failed:
            text += f", {self.failed} not read"
        return text


def list_and_check(arguments: Sequence[str], outputs: Outputs, *, recursive: bool) -> SourceList:
    """The pictures to read, once it is sure that no output would take the place of one of them.

    Raises:
        UsageError: an output that names no known format, or would replace a picture.
        MissingExtraError: the output's format needs a package that is not installed.
    """
    if outputs.file is not None:
        try:
            check_sink(outputs.file)
        except OutputError as error:
            raise UsageError(str(error)) from error
    listed = list_sources(arguments, recursive=recursive, skip_folder=outputs.drawings)
    targets = [target for target in (outputs.file, outputs.audit) if target is not None]
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise UsageError("--audit and --output name the same file: the results would replace the log")
    if outputs.drawings is not None and os.path.isdir(outputs.drawings):
        targets += [os.path.join(outputs.drawings, name) for name in drawing_names(listed.sources)]
    if meeting := find_overwritten(targets, listed.sources):
        target, source = map(shown, meeting)
        raise UsageError(f"writing {target} would replace the picture {source}: choose another folder or name")
    return listed


def run(analyzer: Analyzer, listed: SourceList, outputs: Outputs) -> int:
    """Go through the pictures; gives the exit status: 0, 1 where anything failed, 128 + signal where stopped.

    A stop, or a reader of standard output that goes away, ends the run after a whole record, and the output
    file is finished with what there is.

    Raises:
        OutputError: the output file, the audit log, the folder of drawings or standard output cannot be written;
            no output file is left.
    """
    for problem in listed.problems:
        say(str(problem))
    if not listed.sources:
        return FAILED
    tally = Tally(len(listed.sources))
    drawer = None if outputs.drawings is None else Drawer(outputs.drawings)
    with StopSignals() as stops, auditing(outputs.audit, analyzer) as audit:
        with contextlib.nullcontext() if outputs.file is None else open_sink(outputs.file) as sink:
            try:
                with reporting(tally.total, lines_follow=outputs.json) as reporter:
                    view = _choose_view(outputs, reporter)
                    status = _Run(analyzer, sink, audit, drawer, view, reporter, stops, tally, outputs.debug).go(listed)
            except BrokenPipeError:
                status = BROKEN_PIPE
            stops.hold()  # a file that only waits to be moved is not thrown away by a late Ctrl-C
        stops.release()
    if status == BROKEN_PIPE:
        return status
    if status:
        kept = "" if outputs.file is None else f"; {shown(outputs.file)} holds these"
        say(f"stopped after {tally.done} of {_number(tally.total, 'picture')}{kept}")
    elif sys.stderr.isatty() and (tally.total > 1 or sink or drawer):
        say(str(tally))
    return status or (FAILED if listed.problems or tally.failed or tally.not_drawn else 0)


@dataclass(slots=True)
class _Run:
    analyzer: Analyzer
    sink: Sink | None
    audit: Auditor
    drawer: Drawer | None
    view: View
    reporter: Reporter
    stops: StopSignals
    tally: Tally
    debug: bool

    def go(self, listed: SourceList) -> int:
        """All pictures, or those before a stop: 0, or the stop's exit status."""
        status = 0
        try:
            for source, name in zip(listed.sources, drawing_names(listed.sources), strict=True):
                self._one(source, name)
                self.reporter.advance()
        except Stopped as stop:
            status = stop.exit_code
        self.view.finish()
        return status

    def _one(self, source: Source, name: str) -> None:
        result, image_rgb = self._examine(source)
        if result.error is not None:
            self.reporter.say(f"{result.source}: {result.error}")
        with self.stops.held():
            if image_rgb is not None and result.error is None:
                self.audit(image_rgb, result.faces)
            if self.sink is not None:
                self.sink.write(result)
            self.view.show(result)
            self.tally.count(result)
        if self.drawer is not None and image_rgb is not None and result.error is None:
            self._draw(self.drawer, name, image_rgb, result)

    def _examine(self, source: Source) -> tuple[ImageResult, UInt8Array | None]:
        """What comes of one picture, and the picture itself where it could be read."""
        name, image_rgb, width, height = shown(source.path), None, None, None
        try:
            image_rgb = self.analyzer.read(sys.stdin.buffer.read() if source.is_stdin else source.path)
            height, width = image_rgb.shape[:2]
            return ImageResult(name, width, height, tuple(self.analyzer.analyze(image_rgb))), image_rgb
        except Exception as error:  # noqa: BLE001  one picture, whatever is wrong with it, never stops the others
            if self.debug:
                self.reporter.trace(error)
            return ImageResult(name, width, height, error=one_line(_reason(error, name))), image_rgb

    def _draw(self, drawer: Drawer, name: str, image_rgb: UInt8Array, result: ImageResult) -> None:
        try:
            drawer.draw(name, image_rgb, result.faces)
        except OutputError as error:
            self.tally.not_drawn += 1
            if drawer.is_full:
                self.drawer = None
                self.reporter.say(f"{error}; no more drawings are made")
            else:
                self.reporter.say(str(error))


def _reason(error: Exception, name: str) -> str:
    """Why there is no result, without the picture's name, which stands beside it in any case."""
    if isinstance(error, AgewiseError):
        return str(error).removeprefix("bytes given: ").removeprefix(f"{one_line(name)}: ")
    if isinstance(error, MemoryError):
        return "not enough memory for this picture"
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)"


def _choose_view(outputs: Outputs, reporter: Reporter) -> View:
    if outputs.json:
        return JsonView()
    if outputs.file is not None:
        return NoView()
    return TableView(reporter.pause) if sys.stdout.isatty() else LinesView()


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
