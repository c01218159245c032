"""A run over very many pictures, from the sources to the summary."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import agewise
from agewise._files import shown
from agewise.bulk.folder import PART_SIZE, Folder, Plan
from agewise.bulk.job import Job
from agewise.bulk.local import Done, LocalEngine, cores
from agewise.bulk.on_ray import RayEngine
from agewise.errors import OutputError
from agewise.sinks.parquet_table import check_pyarrow
from agewise.sources import list_sources
from agewise.store import find_model

EngineName: TypeAlias = Literal["local", "ray"]


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, total: int, done: int) -> None:
        """So many pictures, of which so many were done by an earlier run."""
        ...

    def reach(self, done: int) -> None:
        """So many pictures are done, or nearly."""
        ...

    def say(self, text: str) -> None:
        """One thing that a user should know."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a folder's pictures came to, and how long the last run took.

    Args:
        pictures: all that were listed.
        faces: that were found.
        without_face: pictures that could be read, but show none.
        failed: pictures without a result; `errors.jsonl` says why.
        pictures_this_run: done by the last run; the others were done before.
        seconds_this_run: from the first worker's start to the last part.
        pictures_a_second: of the last run; 0 where it had nothing to do.
        processes: worker processes, or those asked of a Ray cluster.
        engine: who did the work.
    """

    pictures: int
    faces: int
    without_face: int
    failed: int
    pictures_this_run: int
    seconds_this_run: float
    pictures_a_second: float
    processes: int
    engine: str


def annotate(
    sources: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    job: Job | None = None,
    *,
    recursive: bool = False,
    processes: int | None = None,
    part_size: int | None = None,
    engine: EngineName = "local",
    force: bool = False,
    watcher: Watcher | None = None,
) -> Summary | None:
    """Estimate the faces of all pictures into a folder of Parquet parts; see `agewise.bulk.folder` for its files.

    A run that was stopped or killed goes on where it was, given the same sources and settings: parts that are done
    are never touched again, and the pictures are those that were listed at first.

    Args:
        sources: files, folders and patterns.
        output: a folder, made if need be.
        job: what is to be done; its `model_sha256` and `folder` are filled in here.
        recursive: also list the subfolders of folders.
        processes: workers at a time; by default the machine's cores.
        part_size: pictures of a part; by default 1,000, or fewer so that each worker gets several.
        engine: "local" for processes of this machine, "ray" for a Ray cluster.
        force: throw away what an earlier run left in the folder.
        watcher: is told how it goes.

    Returns:
        The summary, which is also written; None where there are no pictures at all, and nothing was written.

    Raises:
        OutputError: the folder cannot be written to, or holds another run's results.
        MissingExtraError: pyarrow, or Ray, is not installed.
        UnknownModelError, UnknownDetectorError, ModelError: as `Analyzer`.
        ValueError: a number out of range, or an unknown engine.
        WorkerError: workers cannot work.
    """
    check_pyarrow()
    processes = cores() if processes is None else processes
    for name, value in (("processes", processes), ("part_size", part_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if engine not in ("local", "ray"):
        raise ValueError(f"unknown engine {engine!r}. Known: local, ray")
    watcher = watcher or _Silent()
    job = dataclasses.replace(job or Job(), folder=os.getcwd())
    job = dataclasses.replace(job, model=_lasting(job.model), model_sha256=find_model(job.model).sha256)
    job.make_analyzer()  # what is wrong with the model or the detector shows before anything is written
    folder = Folder(output)
    wanted = Plan(
        job=job,
        sources=tuple(os.path.abspath(source) for source in sources),
        recursive=recursive,
        version=agewise.__version__,
        part_size=part_size or 0,
        paths=(),
    )
    if not force and folder.path.is_dir() and (manifest := folder.read()) is not None:
        if part_size not in (None, manifest["part_size"]):
            raise OutputError(
                f"{shown(output)} holds results in parts of {manifest['part_size']}, not {part_size}: leave the part "
                "size out to go on, choose another folder, or start over with --force"
            )
        plan = folder.resume(manifest, wanted)
    else:
        manifest = None
        plan = _listed(sources, wanted, folder, processes, watcher)
        if not plan.paths:
            return None
    with folder.locked():
        if manifest is None:
            if force:
                folder.clear()
            folder.begin(plan)
        return _Run(folder, plan, processes, engine, watcher).go()


def _lasting(model: str) -> str:
    """A model's name, or its path from the root, so that it holds wherever a worker runs."""
    return os.path.abspath(model) if os.path.sep in model or model.endswith(".onnx") else model


def _listed(
    sources: Sequence[str | os.PathLike[str]], wanted: Plan, folder: Folder, processes: int, watcher: Watcher
) -> Plan:
    listed = list_sources(sources, recursive=wanted.recursive, skip_folder=str(folder.path))
    for problem in listed.problems:
        watcher.say(str(problem))
    paths = tuple(source.path for source in listed.sources)
    size = wanted.part_size or max(1, min(PART_SIZE, -(-len(paths) // (4 * processes))))
    return dataclasses.replace(wanted, paths=paths, part_size=size)


@dataclass
class _Run:
    folder: Folder
    plan: Plan
    processes: int
    engine: EngineName
    watcher: Watcher

    def go(self) -> Summary:
        plan, began = self.plan, time.perf_counter()
        todo = [index for index in range(plan.part_count) if not self.folder.is_done(index)]
        count = sum(len(plan.part(index).paths) for index in todo)
        finished = len(plan.paths) - count
        self.watcher.begin(len(plan.paths), finished)
        under_way: dict[int, int] = {}

        def on_picture(index: int, position: int) -> None:
            under_way[index] = position
            self.watcher.reach(finished + sum(under_way.values()))

        make = {"local": LocalEngine, "ray": RayEngine}[self.engine]
        done: Iterator[Done] = make(plan.job, self.processes, on_picture, self.watcher.say).run(map(plan.part, todo))
        with contextlib.closing(done):  # type: ignore[type-var]
            for part, data in done:
                self.folder.write(self.folder.part_path(part.index).name, data)
                under_way.pop(part.index, None)
                finished += len(part.paths)
                self.watcher.reach(finished + sum(under_way.values()))
        seconds = time.perf_counter() - began
        summary = self._summary(count, seconds)
        self.folder.write("summary.json", json.dumps(dataclasses.asdict(summary), indent=1).encode() + b"\n")
        return summary

    def _summary(self, count: int, seconds: float) -> Summary:
        """Counted from the files themselves, so that what is said is what is there; writes `errors.jsonl`."""
        from pyarrow import parquet

        faces = without = 0
        errors: list[dict[str, str]] = []
        for index in range(self.plan.part_count):
            path = self.folder.part_path(index)
            rows = parquet.read_table(path, columns=["source", "face_index", "error"]).to_pylist()
            first = [row for row in rows if not row["face_index"]]
            expected = [shown(name) for name in self.plan.part(index).paths]
            if [row["source"] for row in first] != expected:
                raise OutputError(
                    f"{shown(path)} does not hold the pictures of the listing: remove this file, and run the same "
                    "command again"
                )
            faces += sum(row["face_index"] is not None for row in rows)
            bad = [{"source": row["source"], "error": row["error"]} for row in first if row["error"] is not None]
            without += sum(row["face_index"] is None for row in first) - len(bad)
            errors += bad
        self.folder.write_lines("errors.jsonl", errors)
        return Summary(
            pictures=len(self.plan.paths),
            faces=faces,
            without_face=without,
            failed=len(errors),
            pictures_this_run=count,
            seconds_this_run=round(seconds, 3),
            pictures_a_second=round(count / seconds, 3) if count else 0.0,
            processes=self.processes,
            engine=self.engine,
        )


class _Silent:
    def begin(self, total: int, done: int) -> None:
        """Nothing."""

    def reach(self, done: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
