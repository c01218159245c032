"""Parts done by a Ray cluster: the one at `RAY_ADDRESS`, or one on this machine for as long as the run takes.

Pictures and model are read where a task runs, so every node must see them under the same paths; results come back
to the caller, who alone writes to the output folder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agewise.analyzer import Analyzer
from agewise.bulk.job import Job, Part, make_part
from agewise.bulk.local import Done, LocalEngine
from agewise.errors import MissingExtraError, WorkerError

RETRIES = 2
"""Times that Ray itself does a part again whose worker died, before its pictures are looked at one by one."""


@dataclass
class RayEngine:
    """Ray tasks of one core each; a task whose worker dies is done again.

    Where that does not help, the part is done in a child process of a task, which finds the picture that kills.

    Args:
        job: what is to be done.
        processes: workers of a cluster that is started here; one that runs already has its own.
        on_picture: told a part's index and the position of its last picture once it is done.
        say: told what a user should know, in one line.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    job: Job
    processes: int
    on_picture: Callable[[int, int], None] = lambda index, position: None
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("the engine ray", "ray")

    def run(self, parts: Iterable[Part]) -> Iterator[Done]:
        """Each part with its Parquet file, in the order in which they are finished.

        Raises:
            WorkerError: the cluster cannot do a part, whatever is tried.
            AgewiseError: what a worker could not load.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call home
        import ray

        started_here = not ray.is_initialized()
        if started_here:
            address = os.environ.get("RAY_ADDRESS")
            sizes: dict[str, Any] = {"num_cpus": self.processes} if not address or address == "local" else {}
            with _same_signal_handlers():
                ray.init(
                    address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **sizes
                )
        try:
            yield from self._run(ray, iter(parts))
        finally:
            if started_here:
                ray.shutdown()

    def _run(self, ray: Any, waiting: Iterator[Part]) -> Iterator[Done]:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_do_part)
        most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        running: dict[Any, tuple[Part, bool]] = {}
        while True:
            while len(running) < most and (part := next(waiting, None)) is not None:
                running[task.remote(self.job, part, careful=False)] = part, False
            if not running:
                return
            finished, _ = ray.wait(list(running), timeout=1)
            for reference in finished:
                part, careful = running.pop(reference)
                try:
                    data, told = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause if isinstance(error.cause, Exception) else error from None
                except ray.exceptions.RayError as error:
                    if careful:
                        raise WorkerError(f"the Ray cluster cannot do part {part.index}: {error}") from error
                    self.say(f"workers died over part {part.index}; its pictures are looked at one by one")
                    running[task.remote(self.job, part, careful=True)] = part, True
                    continue
                for text in told:
                    self.say(text)
                self.on_picture(part.index, len(part.paths) - 1)
                yield part, data


@contextlib.contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Ray takes SIGTERM for itself; whoever called us has plans of its own with it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@functools.lru_cache(maxsize=1)
def _analyzer(job: Job) -> Analyzer:
    """Loaded once in each Ray worker."""
    import cv2

    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    return job.make_analyzer()


def _do_part(job: Job, part: Part, *, careful: bool) -> tuple[bytes, list[str]]:
    """A part's Parquet file, and what is to be said; `careful`: in a child process, which may die without harm."""
    if not careful:
        return make_part(job, _analyzer(job), part), []
    told: list[str] = []
    for _, data in LocalEngine(job, 1, say=told.append).run([part]):
        return data, told
    raise WorkerError(f"part {part.index} came to nothing")
