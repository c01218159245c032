"""What standard error shows while a run goes: a line for each thing that went wrong, and a bar on a terminal."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from agewise.cli._streams import one_line, say

if TYPE_CHECKING:
    from rich.progress import Task
    from rich.text import Text


class Reporter(Protocol):
    """Tells how a run goes."""

    def say(self, text: str) -> None:
        """Tell one thing, in one line."""
        ...

    def trace(self, error: Exception) -> None:
        """Show an exception's traceback."""
        ...

    def advance(self) -> None:
        """One picture more is done."""
        ...

    def pause(self) -> contextlib.AbstractContextManager[None]:
        """A context in which the terminal is free for others."""
        ...


class PlainReporter:
    """Lines only."""

    def say(self, text: str) -> None:
        """Write the line."""
        say(text)

    def trace(self, error: Exception) -> None:
        """Write the traceback."""
        traceback.print_exception(error)

    def advance(self) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Nothing stands in the way."""
        yield


class BarReporter:
    """Lines above a progress bar, which is gone at the end.

    Args:
        total: number of pictures, None where nobody knows.
        per_second: whether the bar tells how many it does a second.
    """

    def __init__(self, total: int | None, *, per_second: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
        from rich.text import Text

        class Speed(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text("" if task.speed is None else f"{task.speed:.0f}/s")

        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        speed = (Speed(),) if per_second else ()
        columns = (BarColumn(None), MofNCompleteColumn(), *speed, TimeRemainingColumn(compact=True))
        self._progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False, expand=True
        )
        self._task = self._progress.add_task("", total=total)

    def say(self, text: str) -> None:
        """Write the line above the bar."""
        self._progress.console.print(f"agewise: {one_line(text)}", soft_wrap=True)

    def trace(self, error: Exception) -> None:
        """Write the traceback above the bar."""
        self._progress.console.print("".join(traceback.format_exception(error)), soft_wrap=True)

    def advance(self) -> None:
        """Move the bar on."""
        self._progress.advance(self._task)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Takes the bar away for a while."""
        self._progress.stop()
        yield
        self._progress.start()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the bar during the block."""
        self._progress.start()
        try:
            yield
        finally:
            self._progress.stop()


@contextlib.contextmanager
def reporting(total: int | None, *, lines_follow: bool, per_second: bool = False) -> Iterator[Reporter]:
    """Yields a reporter for a run over `total` pictures, or frames, None where nobody knows how many.

    A bar needs a terminal and more than one picture. There is none where others would write into it: lines of
    results (`lines_follow`) on the same terminal, or a program that standard output is piped to, such as a pager.
    """
    in_the_way = _is_pipe() or (lines_follow and sys.stdout.isatty())
    if (total is None or total > 1) and sys.stderr.isatty() and not in_the_way:
        bar = BarReporter(total, per_second=per_second)
        with bar.shown():
            yield bar
    else:
        yield PlainReporter()


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):
        return True
