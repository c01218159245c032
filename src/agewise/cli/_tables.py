"""Lists for the commands that show what there is: a table on a terminal, fields with tabs between them elsewhere."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from agewise.cli._streams import one_line, write_out


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows to standard output; without the headings where it is no terminal."""
    clean = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        write_out("".join("\t".join(row) + "\n" for row in clean))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, heading in enumerate(headings):
        # The first column is what a user types next: it is never broken.
        table.add_column(heading, no_wrap=i == 0, overflow="fold")
    for row in clean:
        table.add_row(*row)
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)


def paragraph(label: str, text: str, indent: int) -> str:
    """A label and its text, the text's lines under one another, as wide as the terminal and 100 at most."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    wrapped = textwrap.wrap(
        one_line(text).replace(" %", "\u00a0%"),
        max(width - 1, indent + 20),
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    return "\n".join(wrapped or [label]) + "\n"
