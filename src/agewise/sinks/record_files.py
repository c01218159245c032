"""Records in local files: JSON Lines and CSV are appended to, Parquet is written anew with what was there.

A batch is forced to the disk before `write` returns. Where it cannot be written whole, the file is cut back to
what it held before: no reader meets half a row. A row that a crash tore is cut off when the file is next written.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agewise._files import atomic_write, shown
from agewise.errors import OutputError
from agewise.sinks.parquet_table import check_pyarrow
from agewise.sinks.record import RECORD_COLUMNS, Record, from_line, from_row, to_line, to_row
from agewise.sinks.result import Value

BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows would change line ends without it."""

_TAIL_BYTES = 1 << 20
_ROWS_A_GROUP = 8_192
_BEGIN = b'{"key": "'


class AppendedFile:
    """A file of lines that is only ever appended to, whole batches or nothing, by several processes if need be."""

    def __init__(self, path: str | os.PathLike[str], heading: bytes = b"") -> None:
        self._path = path
        self._heading = heading
        self._descriptor: int | None = None

    def append(self, lines: bytes) -> None:
        """Append whole lines and force them to the disk.

        Raises:
            OutputError: they could not be written; the file holds what it held before.
        """
        try:
            descriptor = self._open()
            with locked(descriptor):
                regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                size = _whole_lines(descriptor, self._heading) if regular else 0
                try:
                    write_all(descriptor, (b"" if size else self._heading) + lines)
                    if regular:
                        os.fsync(descriptor)
                except BaseException:
                    if regular:
                        os.ftruncate(descriptor, size)
                    raise
        except OSError as error:  # OutputError is one
            raise OutputError(f"cannot write {shown(self._path)}: {error.strerror or error}") from error

    def close(self) -> None:
        """Let the file go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
        return self._descriptor


class JsonLinesRecords:
    """Appends records to a `.jsonl` file, one object a line."""

    def __init__(self, path: str) -> None:
        self._file = AppendedFile(path)

    def write(self, records: Sequence[Record]) -> None:
        """Append the records. Raises `OutputError`."""
        self._file.append(b"".join(map(to_line, records)))

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class CsvRecords:
    """Appends records to a `.csv` file, with the heading where it is new."""

    def __init__(self, path: str) -> None:
        self._file = AppendedFile(path, _csv([list(RECORD_COLUMNS)]))

    def write(self, records: Sequence[Record]) -> None:
        """Append the records. Raises `OutputError`."""
        self._file.append(_csv([[_flag_as_json(value) for value in to_row(record).values()] for record in records]))

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class ParquetRecords:
    """Adds records to a `.parquet` file; each batch writes the whole file anew, so that it is valid at any time.

    The time of a batch grows with the file: for more than some hundred thousand records choose another kind.
    A key that the file has already is not added again.
    """

    def __init__(self, path: str) -> None:
        check_pyarrow()
        self._path = path

    def write(self, records: Sequence[Record]) -> None:
        """Add the records. Raises `OutputError`."""
        import pyarrow
        from pyarrow import parquet

        rows = {record.key: to_row(record) for record in records}
        try:
            with (
                _parquet_batches(self._path) as old,
                atomic_write(self._path) as file,
                parquet.ParquetWriter(file, _parquet_schema(), compression="zstd") as writer,
            ):
                for batch in old:
                    writer.write_batch(batch)
                    for key in batch.column("key").to_pylist():
                        rows.pop(key, None)
                writer.write_batch(pyarrow.RecordBatch.from_pylist(list(rows.values()), schema=_parquet_schema()))
        except (pyarrow.ArrowException, KeyError) as error:
            raise OutputError(
                f"cannot add records to {shown(self._path)}: it is no Parquet file of records ({error}); "
                "choose another name"
            ) from error

    def close(self) -> None:
        """Nothing is held back."""


def read_records(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of a `.jsonl`, `.csv` or `.parquet` file, in order, each key once.

    Raises:
        ValueError: a line that is no record, or an unknown suffix.
        OSError: the file cannot be read.
    """
    readers = {".jsonl": _read_json_lines, ".csv": _read_csv, ".parquet": _read_parquet}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise ValueError(f"{shown(path)}: unknown suffix {suffix!r}; records are read from {', '.join(readers)}")
    seen: set[str] = set()
    for record in readers[suffix](path):
        if record.key not in seen:
            seen.add(record.key)
            yield record


@contextlib.contextmanager
def locked(descriptor: int, *, wait: bool = True) -> Iterator[None]:
    """Hold a file against other processes that do the same; where there is no `flock` (Windows), nothing.

    Raises:
        BlockingIOError: another process holds it and `wait` is false.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the bytes, however many the system takes at a time. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _whole_lines(descriptor: int, heading: bytes) -> int:
    """The size of a file, after a torn last line was cut off, or ended where only its end was missing.

    Raises:
        OutputError: what stands in the file is not of our making: another heading, or another kind of line.
    """
    size = os.fstat(descriptor).st_size
    first = _read(descriptor, len(heading), 0)
    if first != heading[: len(first)] or (0 < size < len(heading)):
        raise OutputError("it has another heading than files of records: choose another name")
    tail = _read(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    if not tail or tail.endswith(b"\n"):
        return size
    torn = tail[tail.rfind(b"\n") + 1 :]
    if heading:
        os.ftruncate(descriptor, size - len(torn))
        return size - len(torn)
    with contextlib.suppress(ValueError):
        json.loads(torn)
        write_all(descriptor, b"\n")
        return size + 1
    if torn[: len(_BEGIN)] != _BEGIN[: len(torn)]:
        raise OutputError("its last line is no record: choose another name")
    os.ftruncate(descriptor, size - len(torn))
    return size - len(torn)


def _read(descriptor: int, count: int, start: int) -> bytes:
    """Bytes from a place in a file; the place for appending is always its end."""
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, count)


def _csv(rows: list[list[Value]] | list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _flag_as_json(value: Value) -> Value:
    return str(value).lower() if isinstance(value, bool) else value


def _read_json_lines(path: str | os.PathLike[str]) -> Iterator[Record]:
    with open(path, "rb") as file:
        for line in file:
            yield from_line(line)


def _read_csv(path: str | os.PathLike[str]) -> Iterator[Record]:
    casts: dict[str, Any] = {"text": str, "whole": int, "number": float, "flag": {"true": True, "false": False}.get}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield from_row({name: casts[kind](row[name]) if row[name] else None for name, kind in _columns(row)})


def _columns(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    missing = [name for name in RECORD_COLUMNS if row.get(name) is None]
    if missing:
        raise ValueError(f"not a record, these columns are missing: {', '.join(missing)}")
    yield from RECORD_COLUMNS.items()


def _read_parquet(path: str | os.PathLike[str]) -> Iterator[Record]:
    with _parquet_batches(path) as batches:
        for batch in batches:
            yield from map(from_row, batch.to_pylist())


@contextlib.contextmanager
def _parquet_batches(path: str | os.PathLike[str]) -> Iterator[Iterator[Any]]:
    """The batches of a Parquet file of records; none where there is no file."""
    check_pyarrow()
    from pyarrow import parquet

    if not os.path.exists(path):
        yield iter(())
        return
    with parquet.ParquetFile(path) as file:
        columns = list(RECORD_COLUMNS)
        yield (
            batch.select(columns).cast(_parquet_schema())
            for batch in file.iter_batches(batch_size=_ROWS_A_GROUP, columns=columns)
        )


def _parquet_schema() -> Any:
    import pyarrow

    kinds = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "flag": pyarrow.bool_(),
    }
    return pyarrow.schema([(name, kinds[kind]) for name, kind in RECORD_COLUMNS.items()])
