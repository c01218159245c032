"""What standard output shows of the results: a table, plain lines, JSON Lines, or nothing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from agewise.cli._streams import one_line, write_out
from agewise.sinks import ImageResult, to_json_line
from agewise.types import Face

if TYPE_CHECKING:
    from rich.table import Table

NO_FACE = "no face"

_NARROW = 96  # columns below which headings are short …
_NO_BOX = 66  # … and below which boxes are left out
_LEAST_SOURCE = 12
_REASONS = 24  # columns for the reasons of declined faces

_TABLE_ROWS = 500
"""Rows gathered before a table is printed, so that memory stays bounded; the next ones begin a new table."""


class View(Protocol):
    """Shows results, one picture after the other."""

    def show(self, result: ImageResult) -> None:
        """Show what came of one picture."""
        ...

    def finish(self) -> None:
        """Show what is still held back."""
        ...


class NoView:
    """Shows nothing: the results go to a file."""

    def show(self, result: ImageResult) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class JsonView:
    """One JSON object a line and picture."""

    def show(self, result: ImageResult) -> None:
        """Write the picture's line, also where there was an error."""
        write_out(to_json_line(result))

    def finish(self) -> None:
        """Nothing is held back."""


class LinesView:
    """One line a face, for other programs and for files: twelve fields with tabs between them, no heading.

    Source, number of the face from 1, age, the interval's two ends, gender, its probability, the box's x0, y0, x1,
    y1, and «answered», or «declined: » with the reasons. Years have two decimals, the probability four, pixels one;
    what a model does not give is empty. A picture without a face has one line with the number 0 and «no face» for
    the age; one with an error has none, as standard error tells it.
    """

    def show(self, result: ImageResult) -> None:
        """Write the picture's lines."""
        if result.error is not None:
            return
        source = one_line(result.source)
        rows = [[source, str(number), *_fields(face)] for number, face in enumerate(result.faces, 1)]
        write_out("".join("\t".join(row) + "\n" for row in rows or [[source, "0", NO_FACE, *[""] * 9]]))

    def finish(self) -> None:
        """Nothing is held back."""


class TableView:
    """A table for people, at the end of the run, or in parts where there is much; no boxes where it is narrow.

    The age of a face that the model declines to judge stands in brackets, and the reasons in a last column.

    Args:
        pause: gives a context in which standard output may be written to: it takes the progress bar away.
    """

    def __init__(self, pause: Callable[[], AbstractContextManager[None]]) -> None:
        self._pause = pause
        self._rows: list[tuple[str, ...]] = []
        self._level: float | None = None

    def show(self, result: ImageResult) -> None:
        """Gather the picture's rows; one with an error has none, as standard error tells it."""
        if result.error is not None:
            return
        source = one_line(result.source)
        for number, face in enumerate(result.faces, 1):
            self._level = self._level or face.prediction.interval_level
            self._rows.append((source if number == 1 else "", str(number), *_cells(face)))
        if not result.faces:
            self._rows.append((source, "", "", "", "", NO_FACE, "", ""))
        if len(self._rows) >= _TABLE_ROWS:
            self.finish()

    def finish(self) -> None:
        """Print the rows gathered so far."""
        if not self._rows:
            return
        from rich.console import Console

        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        table, width = self._table(console.width)
        console.width = width
        with self._pause():
            console.print(table)
        self._rows.clear()

    def _table(self, width: int) -> tuple[Table, int]:
        """The table, and the width that it needs: at least `width`, more where that is hopelessly narrow."""
        from rich import box
        from rich.table import Table

        narrow = width < _NARROW
        interval = "Interval" if self._level is None else f"{100 * self._level:g} % interval"
        headings = ["Face", "Box", "Age", interval, "Gender", "Probability"]
        rows = self._rows
        if any(row[-1] for row in rows):
            headings.append("Declined")
        else:
            rows = [row[:-1] for row in rows]
        if narrow:
            headings[3], headings[5] = "Interval", "Prob."
        if width < _NO_BOX or (narrow and "Declined" in headings):
            headings.remove("Box")
            rows = [(*row[:2], *row[3:]) for row in rows]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=narrow)
        table.add_column("Source", no_wrap=True)
        taken = 0
        for i, heading in enumerate(headings, 1):
            longest = max(map(len, (heading, *(row[i] for row in rows))))
            if heading == "Declined":  # reasons may be many: they alone go over several lines
                longest = min(longest, _REASONS)
                table.add_column(heading, overflow="fold", width=longest)
            else:
                table.add_column(heading, justify="left" if heading == "Gender" else "right", no_wrap=True)
            taken += longest + (2 if narrow else 3)
        width = max(width, taken + _LEAST_SOURCE)
        for source, *cells in rows:
            table.add_row(_shortened(source, width - taken), *cells)
        return table, width


def _shortened(text: str, width: int) -> str:
    """The end of a text, which tells files apart, after a mark where something is missing."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    while cell_len(text) > width - 3:
        text = text[1:]
    return "..." + text


def _fields(face: Face) -> list[str]:
    """Age, interval's ends, gender, probability, box, and whether it is answered, for other programs."""
    low, high = face.age_interval_years or (None, None)
    numbers = [face.age_years, low, high]
    return [
        *("" if number is None else f"{number:.2f}" for number in numbers),
        "" if face.gender is None else face.gender.value,
        "" if face.gender_probability is None else f"{face.gender_probability:.4f}",
        *(f"{edge:.1f}" for edge in face.box_xyxy),
        "answered" if face.answered else f"declined: {one_line('; '.join(face.reasons))}",
    ]


def _cells(face: Face) -> tuple[str, str, str, str, str, str]:
    """Box, age, interval, gender, probability and why declined, for people: rounded, but nothing unsure to 100 %."""
    interval, probability = face.age_interval_years, face.gender_probability
    percent = ""
    if probability is not None:
        percent = f"{_half_up(100 * probability) if probability == 1 else min(_half_up(100 * probability), 99)} %"
    return (
        ",".join(str(_half_up(edge)) for edge in face.box_xyxy),
        f"{_half_up(face.age_years)}" if face.answered else f"[{_half_up(face.age_years)}]",
        "" if interval is None else "-".join(str(_half_up(end)) for end in interval),
        "" if face.gender is None else face.gender.value if face.gender_sure is not False else f"{face.gender.value}?",
        percent,
        one_line("; ".join(reason.partition(" (")[0] for reason in face.reasons)),
    )


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)
