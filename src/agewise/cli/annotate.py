"""`agewise annotate`: very many pictures into a folder of Parquet parts, with all cores, and resumable."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from agewise.cli._exits import FAILED, UsageError
from agewise.cli._judging import AnswerAll
from agewise.cli._options import Debug, Detector, MaxFaces, MinFace, Model, Recursive
from agewise.errors import AgewiseError

if TYPE_CHECKING:
    from agewise.bulk import Job, Summary
    from agewise.cli._progress import Reporter

LINE_SECONDS = 60.0
"""Where there is no bar, a line comes this often."""


def annotate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Files, folders or patterns.", show_default=False)
    ],
    output: Annotated[str, typer.Option(metavar="FOLDER", help="Where the parts are written.", show_default=False)],
    recursive: Recursive = False,
    processes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Worker processes; by default one a core.")
    ] = None,
    model: Model = "agewise-s",
    detector: Detector = "mtcnn",
    min_face: MinFace = None,
    max_faces: MaxFaces = None,
    answer_all: AnswerAll = False,
    part_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Pictures of a part; by default 1000, fewer for few.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="local, or ray for a Ray cluster.")] = "local",
    force: Annotated[bool, typer.Option("--force", help="Throw away what an earlier run left in the folder.")] = False,
    debug: Debug = False,
) -> None:
    """Estimate the faces of very many pictures, with all cores.

    The folder gets Parquet files, part-000000.parquet and so on, with the rows of `predict --output
    FILE.parquet` in the order of the listing; errors.jsonl lists the pictures without a result; summary.json
    counts. A run that was stopped or killed goes on when the same command is given again: no finished part is
    done twice, no picture is left out. Other settings or another model on the same folder are refused.

    A picture that cannot be read stops no other; nor does one that kills its worker process. With --engine ray,
    the cluster at RAY_ADDRESS is used, or one is started on this machine. Exit status: 0 all well, 1 something
    failed, 2 a mistake in the command.

    \b
    Examples:
      agewise annotate -r photos --output faces
      agewise annotate "scans/*.png" --output faces --processes 4
    """
    from agewise.bulk import Job

    if "-" in sources:
        raise UsageError("annotate reads no standard input: use agewise predict - (see agewise annotate --help)")
    if engine not in ("local", "ray"):
        raise UsageError(f"--engine must be local or ray, got {engine!r} (see agewise annotate --help)")
    job = Job(model=model, detector=detector, min_face=min_face, max_faces=max_faces, answer_all=answer_all)
    options: dict[str, object] = {
        "recursive": recursive,
        "processes": processes,
        "part_size": part_size,
        "engine": engine,
        "force": force,
    }
    if status := _run(sources, output, job, options):
        raise typer.Exit(status)


def _run(sources: list[str], output: str, job: Job, options: dict[str, object]) -> int:
    """The exit status."""
    from agewise._files import shown
    from agewise.bulk import annotate as annotate_all
    from agewise.cli._stops import Stopped, StopSignals
    from agewise.cli._streams import say

    with _Watch() as watch, StopSignals():
        try:
            summary = annotate_all(sources, output, job, watcher=watch, **options)  # type: ignore[arg-type]
        except Stopped as stop:
            watch.close()
            if watch.total:
                say(
                    f"stopped after about {watch.done:,} of {watch.total:,} pictures; the finished parts are kept in "
                    f"{shown(output)}: give the same command again{_without_force(options)} to go on"
                )
            else:
                say("stopped before anything was done")
            return stop.exit_code
        except AgewiseError:
            raise
        except ValueError as error:  # a number that the detector or the runtime does not take
            raise UsageError(str(error)) from error
    if summary is None:
        return FAILED
    say(_told(summary, shown(output)))
    return FAILED if summary.failed or watch.problems else 0


def _without_force(options: dict[str, object]) -> str:
    return ", but without --force," if options["force"] else ""


def _told(summary: Summary, output: str) -> str:
    text = f"{summary.pictures:,} pictures, {summary.faces:,} faces"
    if summary.without_face:
        text += f", {summary.without_face:,} without a face"
    if summary.failed:
        text += f", {summary.failed:,} not read (errors.jsonl says why)"
    if not summary.pictures_this_run:
        return f"{text}; all was done already, in {output}"
    return (
        f"{text}; {summary.pictures_this_run:,} in {summary.seconds_this_run:.1f} s, "
        f"{summary.pictures_a_second:.1f} a second; in {output}"
    )


class _Watch(contextlib.ExitStack):
    """Shows how a run goes: a bar with the time left on a terminal, else a line now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.done = self.problems = 0
        self._before = 0
        self._reporter: Reporter | None = None
        self._shown = 0
        self._began = self._told = 0.0

    def begin(self, total: int, done: int) -> None:
        """The bar is of what is left to do."""
        from agewise.cli._progress import reporting

        self.total, self._before, self.done = total, done, done
        self._began = self._told = time.monotonic()
        self._reporter = self.enter_context(reporting(total - done, lines_follow=False))
        if 0 < done < total:
            self.say(f"going on: {done:,} of {total:,} pictures are done already", problem=False)

    def reach(self, done: int) -> None:
        """Move the bar on; a part that is done again does not move it back."""
        self.done = done
        while self._reporter is not None and self._shown < done - self._before:
            self._reporter.advance()
            self._shown += 1
        now = time.monotonic()
        if not sys.stderr.isatty() and now - self._told >= LINE_SECONDS and done > self._before:
            self._told = now
            rate = (done - self._before) / (now - self._began)
            left = _span((self.total - done) / rate)
            self.say(f"{done:,} of {self.total:,} pictures, {rate:.1f} a second, {left} left", problem=False)

    def say(self, text: str, *, problem: bool = True) -> None:
        """One line, above the bar if there is one."""
        from agewise.cli._streams import say

        self.problems += problem and self._reporter is None
        (say if self._reporter is None else self._reporter.say)(text)


def _span(seconds: float) -> str:
    """A time as people say it.

    >>> _span(59), _span(600), _span(7260)
    ('59 s', '10 min', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
