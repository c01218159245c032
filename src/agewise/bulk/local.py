"""Parts done by worker processes of this machine, each with its own analyzer of one thread."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from agewise._files import shown
from agewise.bulk.job import Job, Part, make_part
from agewise.errors import WorkerError

DEATHS = 3
"""So many workers may die over one picture, or as they start, before it is taken for the cause."""

Done = tuple[Part, bytes]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    part: Part | None = None
    position: int | None = None


@dataclass
class LocalEngine:
    """Spawned processes; one that dies is replaced, and its part is done again.

    A picture over which `DEATHS` workers died becomes an error of its own, and is not touched again.

    Args:
        job: what is to be done.
        processes: how many at a time.
        on_picture: told a part's index and the position in it of each picture that is begun.
        say: told what a user should know, in one line.
    """

    job: Job
    processes: int
    on_picture: Callable[[int, int], None] = lambda index, position: None
    say: Callable[[str], None] = lambda text: None
    _workers: list[_Worker] = field(default_factory=list)
    _deaths: Counter[tuple[int, int]] = field(default_factory=Counter)
    _skipped: dict[int, dict[int, str]] = field(default_factory=dict)
    _careful: set[int] = field(default_factory=set)
    _failed_starts: int = 0

    def run(self, parts: Iterable[Part]) -> Iterator[Done]:
        """Each part with its Parquet file, in the order in which they are finished.

        Closing the iterator ends the workers at once.

        Raises:
            WorkerError: workers die before they can do anything.
            AgewiseError: what a worker could not load.
        """
        queue = deque(parts)
        try:
            while queue or any(worker.part for worker in self._workers):
                self._employ(queue)
                for connection in wait([worker.connection for worker in self._workers], timeout=1):
                    worker = next(one for one in self._workers if one.connection is connection)
                    if done := self._hear(worker, queue):
                        yield done
        finally:
            self._dismiss()

    def _employ(self, queue: deque[Part]) -> None:
        """Start as many workers as there is work for, and give each that waits a part."""
        busy = sum(worker.part is not None for worker in self._workers)
        while len(self._workers) < min(self.processes, len(queue) + busy):
            self._workers.append(_start(self.job))
        for worker in self._workers:
            if worker.ready and worker.part is None and queue:
                part = queue.popleft()
                worker.part, worker.position = part, None
                with contextlib.suppress(OSError):  # it died: `_hear` finds out
                    worker.connection.send((part, self._skipped.get(part.index, {}), part.index in self._careful))

    def _hear(self, worker: _Worker, queue: deque[Part]) -> Done | None:
        """Take one message of a worker, or notice its death."""
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker, queue)
            return None
        if kind == "failed":
            raise value
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
        elif worker.part is not None and kind == "at":
            worker.position = value
            self.on_picture(worker.part.index, value)
        elif worker.part is not None:
            part, worker.part = worker.part, None
            self._skipped.pop(part.index, None)
            return part, value
        return None

    def _bury(self, worker: _Worker, queue: deque[Part]) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        end = _how_it_ended(worker.process.exitcode)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= DEATHS:
                raise WorkerError(f"worker processes die as they start, the last one {end}: is there enough memory?")
        if (part := worker.part) is None:
            return
        queue.appendleft(part)
        self._careful.add(part.index)
        if worker.position is None:
            self.say(f"a worker died ({end}); its part is done again")
            return
        path, key = shown(part.paths[worker.position]), (part.index, worker.position)
        self._deaths[key] += 1
        if self._deaths[key] < DEATHS:
            self.say(f"a worker died ({end}) at {path} or just before; its part is done again")
            return
        reason = f"{DEATHS} worker processes died over this picture, the last one {end}"
        self._skipped.setdefault(part.index, {})[worker.position] = reason
        self.say(f"{path}: {reason}; it is left out")

    def _dismiss(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-code).name}"
    return f"with exit status {code}"


def _start(job: Job) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of our threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, job), daemon=True, name="agewise-worker")
    with _terminal_signals_blocked():
        process.start()
    theirs.close()  # so that its end is the end of the pipe
    return _Worker(process, ours)


@contextlib.contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """What starts in this block never sees Ctrl-C, which the terminal sends to all: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, job: Job) -> None:
    """A worker's life: load once, then a part at a time, until the pipe is closed."""
    import cv2

    warnings.simplefilter("ignore")  # of libraries, on odd pictures: nothing that a user could mend
    cv2.setNumThreads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # our parent is gone
        try:
            analyzer = job.make_analyzer()
        except Exception as error:  # noqa: BLE001  the parent raises it
            connection.send(("failed", error))
            return
        connection.send(("ready", None))
        while True:
            part, skipped, careful = connection.recv()
            data = make_part(
                # One picture a network call: should a worker die again, it is known over which.
                dataclasses.replace(job, batch=1) if careful else job,
                analyzer,
                part,
                skipped=skipped,
                on_picture=lambda position: connection.send(("at", position)),
            )
            connection.send(("done", data))
