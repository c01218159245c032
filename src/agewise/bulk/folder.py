"""The output folder: what was listed, by which settings, and which parts are done.

    listing.jsonl         one path a line, in order; a JSON string, so that any name can be written
    manifest.json         settings, sources, sizes; written after the listing, so that it stands for both
    part-000000.parquet   rows of the first part's pictures, and so on; what stands there is whole
    errors.jsonl          the pictures without a result, with the reason
    summary.json          counts and speed, once all is done

Each is written under a temporary name and moved. A kill at any time leaves a state that a later run goes on from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agewise._files import atomic_write, shown
from agewise.bulk.job import Job, Part
from agewise.errors import OutputError

FORMAT = 1
PART_SIZE = 1_000

_OWN_PATTERNS = ("part-*.parquet", "errors.jsonl", "summary.json", "manifest.json", "listing.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a folder's run is made of.

    Args:
        job: the settings.
        sources: as they were named, absolute.
        recursive: whether subfolders were searched.
        version: of agewise.
        part_size: pictures of a part; the last may have fewer.
        paths: of all pictures, in order.
    """

    job: Job
    sources: tuple[str, ...]
    recursive: bool
    version: str
    part_size: int
    paths: tuple[str, ...]

    @property
    def part_count(self) -> int:
        """Number of parts."""
        return -(-len(self.paths) // self.part_size)

    def part(self, index: int) -> Part:
        """One part, by its number from 0."""
        start = index * self.part_size
        return Part(index=index, paths=self.paths[start : start + self.part_size])

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to go on, by names that a message can show."""
        fields = dataclasses.asdict(self.job)
        # Where the model lies and how many faces share a call do not matter; its bytes do.
        for name in ("model", "batch", "folder"):
            del fields[name]
        return fields | {"sources": list(self.sources), "recursive": self.recursive, "agewise": self.version}


class Folder:
    """An output folder.

    Args:
        path: made, with those above it, when it is first written to.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def part_path(self, index: int) -> Path:
        """Where a part's file stands."""
        return self.path / f"part-{index:06d}.parquet"

    def is_done(self, index: int) -> bool:
        """Whether a part is finished."""
        return self.part_path(index).exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """For one run at a time; makes the folder, and clears what a killed run left half-written.

        Raises:
            OutputError: it cannot be made or written to, or another run writes to it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / ".lock", "ab")  # noqa: SIM115  closed below
        except OSError as error:
            raise OutputError(
                f"cannot write to {shown(self.path)}: {error.strerror or error}; choose a folder that may be written to"
            ) from error
        with file:
            _lock(file.fileno(), self.path)
            for leftover in self.path.glob(".agewise-*.part"):
                with contextlib.suppress(OSError):
                    leftover.unlink()
            yield

    def write(self, name: str, data: bytes) -> None:
        """Write one file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_write(self.path / name) as file:
            file.write(data)

    def write_lines(self, name: str, lines: Sequence[object]) -> None:
        """Write a file of JSON Lines, as `write`."""
        self.write(name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def clear(self) -> None:
        """Remove what a run has written here, the manifest before all else, and nothing of anyone else's.

        Raises:
            OutputError: something cannot be removed.
        """
        for pattern in reversed(_OWN_PATTERNS):
            for path in self.path.glob(pattern):
                try:
                    path.unlink()
                except OSError as error:
                    raise OutputError(f"cannot remove {shown(path)}: {error.strerror or error}") from error

    def begin(self, plan: Plan) -> None:
        """Write the listing, then the manifest.

        Raises:
            OutputError: they cannot be written, or parts stand here already that no manifest speaks of.
        """
        if next(self.path.glob("part-*.parquet"), None) is not None:
            raise OutputError(
                f"{shown(self.path)} holds part files, but no manifest says what they are: choose another folder, "
                "or remove them with --force"
            )
        self.write_lines("listing.jsonl", plan.paths)
        manifest = {
            "format": FORMAT,
            "settings": plan.settings(),
            "folder": plan.job.folder,
            "pictures": len(plan.paths),
            "part_size": plan.part_size,
            "listing_sha256": self._listing_sha256(),
        }
        self.write("manifest.json", json.dumps(manifest, indent=1).encode() + b"\n")

    def read(self) -> dict[str, Any] | None:
        """The manifest, or None where no run has begun here.

        Raises:
            OutputError: it is damaged, or of another version.
        """
        try:
            text = (self.path / "manifest.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"cannot read the manifest in {shown(self.path)}: {error.strerror or error}") from error
        try:
            manifest = json.loads(text)
            if manifest["format"] != FORMAT or not {"settings", "folder", "part_size"} <= set(manifest):
                raise ValueError
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"the manifest in {shown(self.path)} is damaged or of another version: choose another folder, "
                "or start over with --force"
            ) from error
        return dict(manifest)

    def resume(self, manifest: dict[str, Any], wanted: Plan) -> Plan:
        """The plan that was begun here, if it is the one that is wanted; the listing is the one made then.

        Raises:
            OutputError: other settings, or the listing is damaged.
        """
        was, now = manifest["settings"], wanted.settings()
        changed = [name for name in now if was.get(name) != now[name]]
        if changed:
            details = "; ".join(f"{name} was {_brief(was.get(name))}, now {_brief(now[name])}" for name in changed)
            raise OutputError(
                f"{shown(self.path)} holds results of other settings ({details}): use the same ones to go on, "
                "choose another folder, or start over with --force"
            )
        if self._listing_sha256() != manifest["listing_sha256"]:
            raise OutputError(
                f"the listing in {shown(self.path)} is damaged: choose another folder, or start over with --force"
            )
        with open(self.path / "listing.jsonl", encoding="utf-8") as file:
            paths = tuple(json.loads(line) for line in file)
        job = dataclasses.replace(wanted.job, folder=manifest["folder"])
        return dataclasses.replace(wanted, job=job, part_size=manifest["part_size"], paths=paths)

    def _listing_sha256(self) -> str:
        try:
            with open(self.path / "listing.jsonl", "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two runs at a time only do the same work twice
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (11, 13, 35):  # a file system without locks
            return
        raise OutputError(
            f"another run writes to {shown(folder)}: wait for its end, or choose another folder"
        ) from error


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"
