"""Records of a data set → a database of crops, shard by shard, in several processes.

Each shard is written by one process and moved into place whole; the manifest names it once it is there. So a
killed build leaves a valid, shorter database, and the same call goes on from there. What cannot be stored is
counted and named in `drops.json`, never fatal.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from agewise._files import atomic_write, shown
from agewise.types import UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store import manifest as manifests
from agewise_lab.store.database import write_index
from agewise_lab.store.faces import Crops, Framing, labelled_box
from agewise_lab.store.manifest import Manifest, Settings, Shard, locked, plan_of, read_manifest, shard_path
from agewise_lab.store.shards import Drop, Job, adopted, drops_of, shards_of

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (records done, records in all)."""

NO_BOX = "no face box, where others of the data set have one"


@dataclass(frozen=True)
class BuildReport:
    """What a call of `build` did.

    Args:
        manifest: of the database, as it is now.
        shards_made: shards that this call cut; those found whole are not counted.
    """

    manifest: Manifest
    shards_made: int


def build(
    records: Sequence[Record],
    root: Path,
    folder: Path,
    *,
    dataset: str = "utkface",
    framing: Framing = "chip",
    crops: Crops = "both",
    side: int = 160,
    min_score: float | None = None,
    processes: int = 2,
    shard_rows: int = 1000,
    progress: Progress | None = None,
) -> BuildReport:
    """Cut all records and store them, or go on with what an earlier, killed call with the same arguments left.

    Args:
        records: what to store, in this order. Those whose `dropped` is set are counted and named only.
        root: the folder that the records' paths start from; only read.
        folder: the database: new, empty, or one that the same call has begun.
        dataset: its name, for the rows.
        framing: "chip" where each picture is a tight crop of its face, "photo" where the face is looked for.
        crops: "both", "aligned" or "as-is" (no face is looked for).
        side: of the stored crops, in pixels.
        min_score: drop faces that the detector does not find with at least this score, 0 to 1.
        processes: 1 works in this process, more in so many new ones.
        shard_rows: records a shard, and what a process works on at once.
        progress: called after each shard with the records done and all.

    Raises:
        FileExistsError: `folder` holds something else, or a database of other records or settings.
        BlockingIOError: another process is building it.
        ValueError: no records, a bad setting, or every record dropped.
    """
    settings = Settings(
        dataset=dataset, framing=framing, crops=crops, side=side, min_score=min_score, shard_rows=shard_rows
    )
    return _build(records, root, folder, settings, None, processes, progress)


def build_from_arrays(
    images: Sequence[UInt8Array],
    records: Sequence[Record],
    folder: Path,
    *,
    dataset: str,
    side: int,
    shard_rows: int = 1000,
    progress: Progress | None = None,
) -> BuildReport:
    """Store pictures that are tight crops already, as they are: `images[i]`, uint8 RGB, is of `records[i]`.

    Raises:
        ValueError: not as many images as records; else as `build`.
    """
    if len(images) != len(records):
        raise ValueError(f"expected one picture a record, got {len(images)} pictures and {len(records)} records")
    settings = Settings(dataset=dataset, crops="as-is", side=side, shard_rows=shard_rows)
    return _build(records, Path(), folder, settings, images, 1, progress)


def _build(
    records: Sequence[Record],
    root: Path,
    folder: Path,
    settings: Settings,
    images: Sequence[UInt8Array] | None,
    processes: int,
    progress: Progress | None,
) -> BuildReport:
    if not records:
        raise ValueError("a store needs at least one record, got none")
    reasons = _reasons(records, settings.framing)
    kept = [i for i, reason in enumerate(reasons) if reason is None]
    _begin(folder, Manifest(settings, plan_of(settings, records), len(kept)))
    with locked(folder):
        manifests.remove_drafts(folder)
        state = read_manifest(folder)
        if state.complete:
            return BuildReport(state, 0)
        (folder / "shards").mkdir(exist_ok=True)
        jobs = [
            Job(
                settings,
                state.plan,
                folder,
                index,
                root,
                [records[i] for i in kept[start : start + settings.shard_rows]],
                kept[start : start + settings.shard_rows],
                images,
            )
            for index, start in enumerate(range(0, len(kept), settings.shard_rows))
        ]
        made = _make_all(folder, jobs, state, processes, progress)
        gone = [
            {"path": shown(record.path), "reason": reason, "detail": ""}
            for record, reason in zip(records, reasons, strict=True)
            if reason is not None
        ]
        return BuildReport(_finish(folder, gone), made)


def framing_of(records: Sequence[Record]) -> Framing:
    """ "chip" for pictures that are named as UTKFace's aligned crops are, else "photo"."""
    kept = [record.path for record in records if record.dropped is None]
    return "chip" if kept and all(path.endswith(".chip.jpg") for path in kept) else "photo"


def _reasons(records: Sequence[Record], framing: Framing) -> list[str | None]:
    """Why each record is not even looked at, or None.

    Where a data set says where faces are, a photo's face cannot be told if it does not: the most central one
    would often be another person's.
    """
    boxed = framing == "photo" and any(r.dropped is None and labelled_box(r) is not None for r in records)
    return [NO_BOX if boxed and r.dropped is None and labelled_box(r) is None else r.dropped for r in records]


def _begin(folder: Path, fresh: Manifest) -> None:
    """Make the folder and its manifest, or see that the one that is there is of this very build."""
    if (folder / manifests.FILE).exists():
        there = read_manifest(folder)
        if there.plan != fresh.plan:
            changed = [
                f"{name} {getattr(there.settings, name)!r}, now {getattr(fresh.settings, name)!r}"
                for name in Settings.__dataclass_fields__
                if getattr(there.settings, name) != getattr(fresh.settings, name)
            ]
            raise FileExistsError(
                f"{folder} is a database of {'; '.join(changed) or 'other records'}: remove it, or name another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(name != ".lock" for name in _visible(folder))):
        raise FileExistsError(f"{folder} exists and is no database: remove it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not (folder / manifests.FILE).exists():
            fresh.write(folder)


def _visible(folder: Path) -> Iterator[str]:
    """The names in a folder, what a killed process was writing left out."""
    return (name for name in os.listdir(folder) if not name.startswith(".agewise-"))


def _make_all(folder: Path, jobs: list[Job], state: Manifest, processes: int, progress: Progress | None) -> int:
    """Make the shards that are missing, and note each in the manifest as soon as it is there; returns how many."""
    whole = {folder / "shards" / shard.file: shard for shard in state.shards}
    done: dict[int, Shard] = {}
    missing = []
    for job in jobs:
        path = shard_path(folder, job.index)
        shard = (whole.get(path) if path.is_file() else None) or adopted(path, job)
        if shard is None:
            missing.append(job)
        else:
            done[job.index] = shard
    total = sum(len(job.records) for job in jobs)

    def tell() -> None:
        if progress is not None:
            progress(sum(len(jobs[index].records) for index in done), total)

    def note() -> None:
        nonlocal state
        shards = tuple(done[index] for index in sorted(done))
        if shards != state.shards:
            state = replace(state, shards=shards, rows=sum(shard.rows for shard in shards))
            state.write(folder)

    note()
    tell()
    for job, shard in shards_of(missing, processes):
        done[job.index] = shard
        note()
        tell()
    return len(missing)


def _finish(folder: Path, gone: list[Drop]) -> Manifest:
    """Write what is known only when all shards are there, and mark the database complete."""
    state = read_manifest(folder)
    drops = list(gone)
    for shard in state.shards:
        drops += drops_of(folder / "shards" / shard.file)
    counts = dict(Counter(drop["reason"] for drop in drops).most_common())
    with atomic_write(folder / "drops.json") as file:
        file.write((json.dumps({"counts": counts, "rows": drops}, indent=1) + "\n").encode())
    if not state.rows:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
        raise ValueError(f"all {len(drops)} records were dropped ({reasons}); the list is {folder / 'drops.json'}")
    found = write_index(folder, state)
    state = replace(state, complete=True, found=found, dropped=counts)
    state.write(folder)
    return state
