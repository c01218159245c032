"""Where results go: a file of JSON Lines, CSV or Parquet, by its suffix, written as a run goes.

Records of moving pictures go further, to databases and object stores too: `open_record_sink`, `RecordWriter`.

>>> import agewise                                                                # doctest: +SKIP
>>> analyzer = agewise.Analyzer()                                                 # doctest: +SKIP
>>> with open_sink("faces.csv") as sink:                                          # doctest: +SKIP
...     image_rgb = analyzer.read("photo.jpg")
...     height, width = image_rgb.shape[:2]
...     sink.write(ImageResult("photo.jpg", width, height, tuple(analyzer.analyze(image_rgb))))
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from agewise._files import atomic_write, shown
from agewise.errors import OutputError
from agewise.sinks.csv_table import CsvSink
from agewise.sinks.json_lines import JsonLinesSink
from agewise.sinks.parquet_table import ParquetSink, check_pyarrow
from agewise.sinks.record import RECORD_COLUMNS, Record, make_record
from agewise.sinks.record_files import read_records
from agewise.sinks.result import COLUMNS, ImageResult, to_json_line, to_object, to_records
from agewise.sinks.targets import RecordSink, open_record_sink
from agewise.sinks.writer import RecordWriter, WriterStatus

__all__ = [
    "COLUMNS",
    "RECORD_COLUMNS",
    "ImageResult",
    "Record",
    "RecordSink",
    "RecordWriter",
    "Sink",
    "WriterStatus",
    "check_sink",
    "make_record",
    "open_record_sink",
    "open_sink",
    "read_records",
    "to_json_line",
    "to_object",
    "to_records",
]


class Sink(Protocol):
    """What takes results, one picture after the other."""

    def write(self, result: ImageResult) -> None:
        """Take what came of one picture."""
        ...

    def finish(self) -> None:
        """Write what is still held back; nothing may be written after it."""
        ...

    def abandon(self) -> None:
        """Let go of what is held back; the file will be thrown away."""
        ...


class _Maker(Protocol):
    def __call__(self, file: BinaryIO) -> Sink: ...


_MAKERS: dict[str, _Maker] = {".jsonl": JsonLinesSink, ".csv": CsvSink, ".parquet": ParquetSink}


def check_sink(path: str | os.PathLike[str]) -> None:
    """Whether results can be written in the format of a path's suffix; the file itself is not touched.

    Raises:
        OutputError: an unknown suffix.
        MissingExtraError: the format needs a package that is not installed.
    """
    if _suffix(path) == ".parquet":
        check_pyarrow()


@contextlib.contextmanager
def open_sink(path: str | os.PathLike[str]) -> Iterator[Sink]:
    """Yields a sink; what it took stands at `path` once the block ends well.

    An exception in the block leaves no file, and one that stood there before as it was. Memory does not grow
    with the number of results.

    Args:
        path: ends in .jsonl, .csv or .parquet, in any case; its folder must exist.

    Raises:
        OutputError: an unknown suffix, or the file cannot be written; on entering, where that shows already.
        MissingExtraError: the format needs a package that is not installed.
    """
    check_sink(path)
    with atomic_write(path) as file:
        sink = _MAKERS[_suffix(path)](file)
        try:
            yield sink
            sink.finish()
        except BaseException:
            sink.abandon()
            raise


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _MAKERS:
        known = ", ".join(_MAKERS)
        raise OutputError(f"cannot write {shown(path)}: unknown suffix {suffix!r}; end its name in one of {known}")
    return suffix
