"""CSV after RFC 4180 but for its line ends, which are line feeds: UTF-8, a heading, then one row a face."""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from agewise.sinks.result import COLUMNS, ImageResult, Value, to_records


class CsvSink:
    """Writes results as rows to an open binary file; an empty field means «not there»."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._line = io.StringIO(newline="")
        self._rows = csv.writer(self._line, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._flush()

    def write(self, result: ImageResult) -> None:
        """Append one picture's rows, all or none."""
        self._rows.writerows([_flags_as_json(value) for value in record] for record in to_records(result))
        self._flush()

    def finish(self) -> None:
        """Nothing is held back, so there is nothing to write at the end."""

    def abandon(self) -> None:
        """Nothing is held back, so there is nothing to let go."""

    def _flush(self) -> None:
        self._file.write(self._line.getvalue().encode())
        self._line.seek(0)
        self._line.truncate()


def _flags_as_json(value: Value) -> Value:
    """true and false as JSON has them, not with Python's capitals."""
    return str(value).lower() if isinstance(value, bool) else value
