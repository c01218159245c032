"""A spool: a local file of JSON Lines where records wait until their sink has taken them.

Each record is a line of its own. Once a sink has taken all up to some byte, a line `{"delivered": BYTE}` follows.
The file is only appended to, but for these two: once all is delivered it is emptied, and a long delivered part
is dropped when little comes after it. Records without their picture are small: some 500 bytes each.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from agewise._files import shown
from agewise.errors import OutputError
from agewise.sinks.record import Record, from_line, to_line
from agewise.sinks.record_files import BINARY, write_all

_MARK = b'{"delivered": '
_DROP_BYTES = 8 << 20
_LITTLE_BYTES = 1 << 20
_MOST_SLOTS = 64


class Spool:
    """Records in a file, first in, first out; held by one process at a time.

    Where another process holds the file, a second one beside it is taken (`NAME.2`, and so on); files beside it
    that nobody holds any more are read in.

    Args:
        path: of the file; made where it is missing, readable by its owner only.

    Raises:
        OutputError: the file cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        self.torn = 0
        self.waiting = 0
        try:
            self.path, self._descriptor = _take_free(Path(path))
            self._scan()
            self._adopt(Path(path))
        except OSError as error:
            raise OutputError(f"cannot keep records in {shown(path)}: {error.strerror or error}") from error

    def append(self, record: Record) -> int:
        """Put a record at the end; gives how many wait. It outlives this process at once, the machine after `sync`.

        Raises:
            OSError: there is no room; the file is as it was.
        """
        with self._lock:
            self._append(to_line(record))
            self.waiting += 1
            return self.waiting

    def sync(self) -> None:
        """Force what was appended to the disk. Raises `OSError`."""
        os.fsync(self._descriptor)

    def first(self, most: int) -> tuple[list[Record], int]:
        """The oldest records that wait, at most so many, and the byte after them for `mark`."""
        records: list[Record] = []
        with self._lock:
            start, end = self._delivered, self._size
        with open(self.path, "rb") as file:
            file.seek(start)
            while len(records) < most and start < end:
                line = file.readline()
                if not line:
                    break
                start += len(line)
                if record := _record(line):
                    records.append(record)
        return records, start

    def mark(self, end: int, count: int) -> None:
        """The sink has taken `count` records, all up to byte `end`: they will not be sent again.

        Raises:
            OSError: this could not be written down: they are sent again after a crash, which does no harm.
        """
        with self._lock:
            self._delivered = end
            self.waiting -= count
            if not self.waiting:
                os.ftruncate(self._descriptor, 0)
                self._size = self._delivered = 0
            elif end > _DROP_BYTES and self._size - end < _LITTLE_BYTES:
                self._drop_delivered()
            else:
                self._append(_MARK + str(end).encode() + b"}\n")

    def close(self) -> None:
        """Let the file go; where nothing waits, it is removed."""
        with self._lock:
            if not self.waiting:
                with contextlib.suppress(OSError):
                    self.path.unlink()
            os.close(self._descriptor)

    def _append(self, line: bytes) -> None:
        try:
            write_all(self._descriptor, line)
        except BaseException:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def _scan(self) -> None:
        """Find out what waits, after whatever ended the process before."""
        self._size = os.fstat(self._descriptor).st_size
        self._delivered = end = 0
        with open(self.path, "rb") as file:
            for line in file:
                end += len(line)
                if line.startswith(_MARK):
                    with contextlib.suppress(ValueError):
                        mark = json.loads(line)["delivered"]
                        if self._delivered < mark < end:  # not a torn or changed number
                            self._delivered = mark
                elif not line.endswith(b"\n"):
                    self.torn += _record(line) is None
                    self._append(b"\n")
        self.waiting = sum(1 for _ in self._records_from(self._delivered))
        if not self.waiting and self._size:
            os.ftruncate(self._descriptor, 0)
            self._size = self._delivered = 0

    def _records_from(self, start: int) -> Iterator[Record]:
        with open(self.path, "rb") as file:
            file.seek(start)
            for line in file:
                if record := _record(line):
                    yield record

    def _adopt(self, path: Path) -> None:
        """Take over what waits in files beside this one whose processes ended."""
        for other in _slots(path):
            if other == self.path or not other.exists():
                continue
            descriptor = _hold(other)
            if descriptor is None:
                continue
            try:
                left = Spool.__new__(Spool)
                left.path, left._descriptor, left._lock, left.torn = other, descriptor, threading.Lock(), 0
                left._scan()
                for record in left._records_from(left._delivered):
                    self.append(record)
                self.torn += left.torn
                self.sync()
                other.unlink()
            finally:
                os.close(descriptor)

    def _drop_delivered(self) -> None:
        """Keep only what waits. Old marks must not come along: they count from the old beginning."""
        with open(self.path, "rb") as file:
            file.seek(self._delivered)
            rest = b"".join(line for line in file if not line.startswith(_MARK))
        beside = self.path.with_name(f"{self.path.name}.part")
        beside.unlink(missing_ok=True)
        descriptor = _hold(beside)
        assert descriptor is not None, "only the holder of the spool makes this file"
        try:
            write_all(descriptor, rest)
            os.fsync(descriptor)
            os.replace(beside, self.path)
        except OSError:
            os.close(descriptor)
            beside.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor, self._size, self._delivered = descriptor, len(rest), 0


def _record(line: bytes) -> Record | None:
    """The record of a line; None for a mark, or for what a crash tore."""
    if line.startswith(_MARK):
        return None
    try:
        return from_line(line)
    except ValueError:
        return None


def _slots(path: Path) -> list[Path]:
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(2, _MOST_SLOTS + 1))]


def _take_free(path: Path) -> tuple[Path, int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    for slot in _slots(path):
        if (descriptor := _hold(slot)) is not None:
            return slot, descriptor
    raise BlockingIOError(f"{_MOST_SLOTS} other processes hold it")


def _hold(path: Path) -> int | None:
    """Open a file and hold it as long as it is open; None where another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
    try:
        import fcntl
    except ImportError:  # Windows: two processes with one spool would send each other's records, nothing worse
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed it meanwhile.
        if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.close(descriptor)
    return _hold(path)
