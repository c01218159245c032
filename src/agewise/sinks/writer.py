"""Sends records to a sink off the frame path, and loses none: not when the sink is down, not when we are killed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from agewise._files import shown
from agewise.errors import OutputError
from agewise.sinks.record import Record
from agewise.sinks.spool import Spool
from agewise.sinks.targets import RecordSink, masked, open_record_sink

_FIRST_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStatus:
    """What became of the records of a `RecordWriter` so far.

    Args:
        delivered: taken by the sink, leftovers of an earlier run among them.
        waiting: in the spool file; they are sent when the sink takes them, or by the next writer with this spool.
        held: in memory only, because the spool's disk takes no more.
        lost: neither the spool nor the memory had room for these.
        failures: how often the sink refused.
        torn: lines of the spool that a crash left unfinished; their records were never promised to be kept.
        problem: what is wrong at the moment, in words; None where nothing is.
        spool: path of the spool file.
    """

    delivered: int
    waiting: int
    held: int
    lost: int
    failures: int
    torn: int
    problem: str | None
    spool: str

    def __str__(self) -> str:
        parts = [f"{self.delivered} records delivered"]
        if self.waiting:
            parts.append(f"{self.waiting} wait in {self.spool}, for the next run with the same target")
        if self.held:
            parts.append(f"{self.held} are held in memory only")
        if self.lost:
            parts.append(f"{self.lost} are lost")
        return "; ".join(parts) + (f" ({self.problem})" if self.problem else "")


class RecordWriter:
    """Takes records at once, keeps them in a spool file, and sends them in batches from a thread of its own.

    `put` appends to the spool, so that the record outlives this process from then on; the thread forces the spool
    to the disk before it sends. A sink that refuses is tried again, after half a second first, then doubling. What
    a run could not send, the next one with the same spool does. Sinks may get a record twice (a crash between
    taking and noting it): its key shows that. Where the spool's disk is full, records wait in memory, up to
    `queue_size` of them, and go to the sink from there.

    Args:
        target: for `open_record_sink`, or a sink.
        spool: path of the spool file; by default beside a file, as `.NAME.spool`, and for addresses in the user's
            own folder for state (`$XDG_STATE_HOME/agewise`, or `~/.local/state/agewise`).
        queue_size: most records in memory.
        batch_size: most records in one batch.
        flush_seconds: how long a record may wait for others to share its batch.
        most_wait_seconds: the longest wait between two tries.
        on_problem: called from the thread with each new problem, and when it is over; by default it is logged.
        endpoint: of an object store, see `open_record_sink`.

    Raises:
        OutputError: a target of no known kind, or a spool that cannot be made.
        MissingExtraError: the target needs a package that is not installed.
    """

    def __init__(
        self,
        target: str | RecordSink,
        *,
        spool: str | os.PathLike[str] | None = None,
        queue_size: int = 1_000,
        batch_size: int = 500,
        flush_seconds: float = 1.0,
        most_wait_seconds: float = 60.0,
        on_problem: Callable[[str], None] | None = None,
        endpoint: str | None = None,
    ) -> None:
        if isinstance(target, str):
            self._sink, self._name = open_record_sink(target, endpoint=endpoint), shown(masked(target))
            spool = default_spool(target) if spool is None else spool
        else:
            self._sink, self._name = target, type(target).__name__
            if spool is None:
                raise ValueError("a sink that is no text has no spool of its own: give spool=PATH")
        if queue_size < 1 or batch_size < 1:
            raise ValueError(f"queue_size and batch_size must be 1 or more, got {queue_size} and {batch_size}")
        self._queue_size, self._batch_size = queue_size, batch_size
        self._flush_seconds, self._most_wait_seconds = flush_seconds, most_wait_seconds
        self._on_problem = on_problem or logging.getLogger("agewise.sinks").warning
        self._spool = Spool(spool)
        self._held: deque[Record] = deque()
        self._delivered = self._lost = self._failures = 0
        self._batch: tuple[list[Record], int] | None = None
        self._problem: str | None = None
        self._wake = threading.Condition()
        self._closing = False
        self._stop_at = float("inf")
        self._thread = threading.Thread(target=self._send_all, name="agewise-records", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Take a record; returns at once, and raises nothing over disks and sinks: see `status`.

        Raises:
            ValueError: the writer is closed.
        """
        if self._closing:
            raise ValueError("the writer is closed: nothing can be put")
        try:
            waiting = self._spool.append(record)
        except OSError as error:
            self._hold(record, error)
            waiting = 1
        if waiting == 1 or waiting % self._batch_size == 0:  # else the thread looks by itself, soon enough
            with self._wake:
                self._wake.notify()

    def status(self) -> WriterStatus:
        """What became of the records so far."""
        return WriterStatus(
            delivered=self._delivered,
            waiting=self._spool.waiting,
            held=len(self._held),
            lost=self._lost,
            failures=self._failures,
            torn=self._spool.torn,
            problem=self._problem,
            spool=shown(self._spool.path),
        )

    def close(self, timeout_seconds: float = 10.0) -> WriterStatus:
        """Send what waits, for at most so long, and say what became of all; what remains stays in the spool."""
        with self._wake:
            if not self._closing:
                self._stop_at = time.monotonic() + timeout_seconds
            self._closing = True
            self._wake.notify()
        self._thread.join(max(0.0, self._stop_at - time.monotonic()) + 0.1)
        if self._thread.is_alive():  # inside a sink that does not answer; the spool keeps what is not marked
            self._problem = f"{self._name} does not answer"
            return self.status()
        return self.status()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- the frame path

    def _hold(self, record: Record, error: OSError) -> None:
        if len(self._held) < self._queue_size:
            self._held.append(record)
            kept = "records wait in memory"
        else:
            self._lost += 1
            kept = "records are lost: the memory set aside for them is full, too"
        self._tell(f"cannot keep records in {shown(self._spool.path)} ({error.strerror or error}); {kept}")

    # ---------------------------------------------------------------- the thread

    def _send_all(self) -> None:
        """Until closed: wait for a batch, send it, and after a failure wait longer each time."""
        pause = 0.0
        while self._wait(pause):
            try:
                sent = self._send_one()
            except Exception as error:  # noqa: BLE001  whatever a sink raises, the records wait and it is tried again
                self._failures += 1
                text = str(error) if isinstance(error, OutputError) else f"unexpected {type(error).__name__}: {error}"
                self._tell(f"{text}; records wait in {shown(self._spool.path)}, trying again")
                pause = min(max(2 * pause, _FIRST_WAIT_SECONDS), self._most_wait_seconds)
                continue
            pause = 0.0
            if sent and self._problem is not None and not self._held:
                self._problem = None
                self._say(f"{self._name} takes records again")
        self._keep_held()
        with contextlib.suppress(Exception):
            self._sink.close()
        self._spool.close()

    def _wait(self, pause: float) -> bool:
        """Wait until there is something to send; whether there is, and time left to send it.

        Args:
            pause: seconds since the last failure that must pass first; 0 where there was none.
        """
        begin = time.monotonic()
        with self._wake:
            while True:
                now = time.monotonic()
                ready = self._spool.waiting + len(self._held)
                if self._closing:
                    if not ready or now >= self._stop_at:
                        return False
                    if now >= begin + min(pause, _FIRST_WAIT_SECONDS):
                        return True
                    self._wake.wait(min(begin + pause, self._stop_at) - now if pause else 0.01)
                elif not ready:
                    begin = now if not pause else begin
                    self._wake.wait()
                    begin = time.monotonic() if not pause else begin
                else:
                    due = begin + max(pause, 0 if ready >= self._batch_size and not pause else self._flush_seconds)
                    if now >= due:
                        return True
                    self._wake.wait(due - now)

    def _send_one(self) -> int:
        """Send one batch from the spool, or from memory where the spool is empty; gives how many. OutputError."""
        # The same batch until it is taken: an object store that took it unheard gets the same object again.
        records, end = self._batch or self._spool.first(self._batch_size)
        if records:
            self._batch = records, end
            with contextlib.suppress(OSError):  # a disk that does not take it: the sink does
                self._spool.sync()
            self._sink.write(records)
            with contextlib.suppress(OSError):
                self._spool.mark(end, len(records))
            self._batch = None
            self._delivered += len(records)
            return len(records)
        held = [self._held[index] for index in range(min(len(self._held), self._batch_size))]
        if held:
            self._sink.write(held)
            for _ in held:
                self._held.popleft()
            self._delivered += len(held)
        return len(held)

    def _keep_held(self) -> None:
        """At the end: what is in memory only goes to the spool, or is lost."""
        while self._held:
            try:
                self._spool.append(self._held[0])
            except OSError as error:
                self._lost += len(self._held)
                self._tell(
                    f"{len(self._held)} records are lost: {self._name} did not take them, and they cannot be kept "
                    f"in {shown(self._spool.path)} ({error.strerror or error})"
                )
                self._held.clear()
                return
            self._held.popleft()

    def _tell(self, problem: str) -> None:
        """Note a problem, and say it where it is a new one."""
        if problem != self._problem:
            self._problem = problem
            self._say(problem)

    def _say(self, text: str) -> None:
        self._on_problem(text)


def default_spool(target: str) -> Path:
    """Where the records of a target wait: beside a file, for an address in the user's folder for state.

    The name is made of the address without its password, so that a new password finds the old spool.
    """
    if "://" not in target:
        path = Path(target)
        return path.with_name(f".{path.name}.spool")
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    name = hashlib.sha256(masked(target).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Path(state) / "agewise" / f"records-{name}.spool"
