"""JSON Lines: one object a picture, UTF-8, each line ended by a line feed."""

from __future__ import annotations

from typing import BinaryIO

from agewise.sinks.result import ImageResult, to_json_line


class JsonLinesSink:
    """Writes results as JSON Lines to an open binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, result: ImageResult) -> None:
        """Append one picture's line."""
        self._file.write(to_json_line(result))

    def finish(self) -> None:
        """Nothing is held back, so there is nothing to write at the end."""

    def abandon(self) -> None:
        """Nothing is held back, so there is nothing to let go."""
