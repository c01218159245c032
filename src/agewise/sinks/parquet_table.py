"""Parquet: one row a face, typed columns, written in groups of rows so that memory stays bounded."""

from __future__ import annotations

import importlib.util
from typing import BinaryIO

from agewise.errors import MissingExtraError
from agewise.sinks.result import COLUMNS, ImageResult, Row, to_records

ROWS_A_GROUP = 8_192
"""Rows held in memory before they are written; a crowd may bring a group a little beyond."""


class ParquetSink:
    """Writes results as rows to an open binary file; null means «not there».

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        check_pyarrow()
        import pyarrow
        from pyarrow import parquet

        types = {
            "text": pyarrow.string(),
            "whole": pyarrow.int32(),
            "number": pyarrow.float64(),
            "flag": pyarrow.bool_(),
        }
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
        self._record_batch = pyarrow.record_batch
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def write(self, result: ImageResult) -> None:
        """Append one picture's rows; they reach the file with their group."""
        self._rows += to_records(result)
        if len(self._rows) >= ROWS_A_GROUP:
            self._flush()

    def finish(self) -> None:
        """Write the last group and the file's footer."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more, not even when the writer is collected."""
        self._writer.is_open = False

    def _flush(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            self._writer.write_batch(self._record_batch(columns, schema=self._schema))
            self._rows.clear()


def check_pyarrow() -> None:
    """Whether this format can be written here.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "parquet")
