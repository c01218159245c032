"""One shard of a database: made in a worker process, found again after a kill.

A shard's file is moved into place whole, and says itself of which build it is and what it left out.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from agewise._files import atomic_write, shown
from agewise.errors import AgewiseError, ImageError, ImageTooLargeError
from agewise.imaging.read import read_image
from agewise.types import UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.faces import Dropped, cut
from agewise_lab.store.manifest import Settings, Shard, shard_path
from agewise_lab.store.schema import PICTURES, SCHEMA, row_of

_KEY = b"agewise"  # of the shards' own metadata
_ROW_GROUP = 250  # rows that are read at once: some 5 MB
_OUTSTANDING = 2  # shards waiting for each process

Drop: TypeAlias = dict[str, str]
"""`path`, `reason`, `detail`."""


@dataclass(frozen=True)
class Job:
    """One shard to be made: its records, their places among all, and all pictures where these are in memory."""

    settings: Settings
    plan: str
    folder: Path
    index: int
    root: Path
    records: Sequence[Record]
    places: Sequence[int]
    images: Sequence[UInt8Array] | None = field(default=None, repr=False)


# ---------------------------------------------------------------- in the worker


def _read(root: Path, record: Record) -> tuple[UInt8Array, str]:
    """A record's picture, and the SHA-256 of its file."""
    try:
        data = (root / record.path).read_bytes()
        return read_image(data), hashlib.sha256(data).hexdigest()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Dropped("picture missing") from error
    except OSError as error:
        raise Dropped("file cannot be read", error.strerror or str(error)) from error
    except ImageTooLargeError as error:
        raise Dropped("picture too large", str(error)) from error
    except ImageError as error:
        raise Dropped("picture cannot be decoded", str(error)) from error
    except ValueError as error:  # a null byte in a name
        raise Dropped("file cannot be read", str(error)) from error


def _cut(job: Job, record: Record, place: int) -> dict[str, Any]:
    """A record's row.

    Raises:
        Dropped: it gives none.
    """
    settings = job.settings
    if job.images is None:
        image, sha256 = _read(job.root, record)
    else:
        image = job.images[place]
        sha256 = hashlib.sha256(image.tobytes()).hexdigest()
    try:
        parts = cut(
            image,
            record,
            framing=settings.framing,
            crops=settings.crops,
            side=settings.side,
            min_score=settings.min_score,
        )
    except (AgewiseError, cv2.error, ValueError) as error:  # a box without area, a picture of one pixel
        raise Dropped("face cannot be cut", str(error)) from error
    return row_of(record, parts, settings.dataset, sha256, settings.side)


def make_shard(job: Job) -> Shard:
    """Cut a shard's records and write its file."""
    rows, drops = [], []
    for record, place in zip(job.records, job.places, strict=True):
        try:
            rows.append(_cut(job, record, place))
        except Dropped as drop:
            drops.append({"path": shown(record.path), "reason": drop.reason, "detail": drop.detail})
    about = {"plan": job.plan, "index": job.index, "drops": drops}
    schema = SCHEMA.with_metadata({_KEY: json.dumps(about).encode()})
    path = shard_path(job.folder, job.index)
    with atomic_write(path) as file:
        _write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return Shard(path.name, len(rows), _sha256(path))


def _write_table(table: pa.Table, file: object) -> None:
    """Pictures are packed already, so only the rest is."""
    others = [name for name in table.schema.names if name not in PICTURES]
    pq.write_table(
        table,
        file,
        row_group_size=_ROW_GROUP,
        compression={name: "none" if name in PICTURES else "zstd" for name in table.schema.names},
        use_dictionary=["dataset", "gender", "group", "official_split"],
        write_statistics=[name for name in others if name != "thumbnail"],
    )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _start_worker() -> None:
    """A worker leaves Ctrl-C to its parent, works on one thread, and does not outlive a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---------------------------------------------------------------- in the parent


def adopted(path: Path, job: Job) -> Shard | None:
    """A shard that was moved into place just before its build was killed: whole, but in no manifest yet."""
    if not path.is_file():
        return None
    try:
        metadata = pq.read_metadata(path)
        about = json.loads(metadata.metadata[_KEY])
    except (pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    if (about["plan"], about["index"]) != (job.plan, job.index):
        return None
    return Shard(path.name, metadata.num_rows, _sha256(path))


def drops_of(path: Path) -> list[Drop]:
    """What a shard left out."""
    return list(json.loads(pq.read_metadata(path).metadata[_KEY])["drops"])


def shards_of(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Shard]]:
    """Each job with its shard, in the order in which they are done; few are under way at once."""
    if processes <= 1 or len(jobs) == 1:
        yield from ((job, make_shard(job)) for job in jobs)
        return
    if not jobs:
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_start_worker)
    waiting = list(reversed(jobs))
    running: dict[Future[Shard], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _OUTSTANDING * processes:
                job = waiting.pop()
                running[pool.submit(make_shard, job)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise OSError(
            "a worker process ended by itself, perhaps for want of memory: run the same command again to go on, "
            "with fewer processes"
        ) from error
    finally:
        for worker in set(multiprocessing.active_children()) - before:
            worker.terminate()
        pool.shutdown(cancel_futures=True)
