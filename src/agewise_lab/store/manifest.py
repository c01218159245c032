"""What stands in a database's `database.json`: how it was made, and which shards are whole.

DATABASE/
  database.json              this
  shards/part-00000.parquet  the faces with their pictures, some 1,000 a file
  faces.parquet              all columns but the pictures, with `duplicate_group`
  drops.json                 every record that is not in the shards, and why
  splits/NAME.parquet        named splits
  cache-…/                   the crops as arrays, made from the shards when training first asks; may be deleted
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agewise._files import atomic_write
from agewise_lab.datasets.record import Record
from agewise_lab.store.faces import Crops, Framing

VERSION = 2
FILE = "database.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides a database's content, beside the records.

    Args:
        dataset: the data set's name, written into each row.
        framing: "chip" where each picture is a tight crop of its face, "photo" where the face is looked for.
        crops: "both", "aligned" or "as-is".
        side: of the crops, in pixels.
        min_score: the least detector score, or None to keep faces that are not found.
        shard_rows: records a shard.

    Raises:
        ValueError: a setting out of its range.
    """

    dataset: str = "utkface"
    framing: Framing = "chip"
    crops: Crops = "both"
    side: int = 160
    min_score: float | None = None
    shard_rows: int = 1000

    def __post_init__(self) -> None:
        if self.framing not in ("chip", "photo"):
            raise ValueError(f"framing must be 'chip' or 'photo', got {self.framing!r}")
        if self.crops not in ("both", "aligned", "as-is"):
            raise ValueError(f"crops must be 'both', 'aligned' or 'as-is', got {self.crops!r}")
        if not 8 <= self.side <= 1024:
            raise ValueError(f"the crops' side must be 8 to 1024 pixels, got {self.side}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise ValueError(f"the least detector score must be 0 to 1, got {self.min_score}")
        if self.shard_rows < 1:
            raise ValueError(f"a shard needs room for 1 record or more, got {self.shard_rows}")


@dataclass(frozen=True)
class Shard:
    """A whole shard: its file's name in `shards/`, its rows, and the file's SHA-256."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A database's `database.json`.

    Args:
        settings: how it is made.
        plan: SHA-256 of the settings and all records: what a resumed build must agree with.
        records: how many records there are to cut, those dropped by the reader left out.
        shards: the whole ones, in order.
        complete: all shards are there, and the files beside them.
        rows: faces in all shards.
        found: those that agewise's detector found.
        dropped: records that are not in the shards, counted by reason.
        version: of the layout.
    """

    settings: Settings
    plan: str
    records: int
    shards: tuple[Shard, ...] = ()
    complete: bool = False
    rows: int = 0
    found: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    version: int = VERSION

    @property
    def digest(self) -> str:
        """Twelve hex digits that name the content: the shards' hashes in order."""
        return hashlib.sha256("|".join(shard.sha256 for shard in self.shards).encode()).hexdigest()[:12]

    def write(self, folder: Path) -> None:
        """Replace the folder's `database.json`."""
        fields = dataclasses.asdict(self) | {"digest": self.digest}
        with atomic_write(folder / FILE) as file:
            file.write((json.dumps(fields, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a database.

    Raises:
        FileNotFoundError: the folder is no database.
        ValueError: one of another version, or a file that is not a manifest.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no crop store: make one with `agewise-lab data build`")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["version"]
        if version != VERSION:
            raise ValueError(f"{folder} is a store of version {version}, expected {VERSION}: build it again")
        del fields["digest"]
        return Manifest(
            **fields
            | {
                "settings": Settings(**fields["settings"]),
                "shards": tuple(Shard(**shard) for shard in fields["shards"]),
            }
        )
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a database's manifest ({error}): build the database again") from error


def shard_path(folder: Path, index: int) -> Path:
    """Where a shard lies."""
    return folder / "shards" / f"part-{index:05d}.parquet"


def plan_of(settings: Settings, records: Sequence[Record]) -> str:
    """SHA-256 of all that decides a database's content but the pictures' own bytes."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(settings), sort_keys=True).encode())
    names = [field.name for field in dataclasses.fields(Record)]
    for record in records:
        # What a record does not state is left out, so that a new field does not make old databases others'.
        stated = {name: getattr(record, name) for name in names}
        values = {name: value for name, value in stated.items() if value is not None and not _is_empty(value)}
        digest.update(json.dumps(values, default=_plain, sort_keys=True).encode())
    return digest.hexdigest()


def _is_empty(value: Any) -> bool:
    return isinstance(value, tuple) and not value


def _plain(value: Any) -> Any:
    """A record's array or Gender as JSON has it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


@contextlib.contextmanager
def locked(folder: Path, *, name: str = ".lock", patient: bool = False) -> Iterator[None]:
    """Keep other processes from writing to a database; the lock ends with the process, however that ends.

    Args:
        folder: what is locked.
        name: of the lock's file in it.
        patient: wait for another process instead of refusing.

    Raises:
        BlockingIOError: another process writes to it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: one writer at a time is up to the user
        yield
        return
    with open(folder / name, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"another process is writing to {folder}: wait until it is done") from error
        yield


def remove_drafts(folder: Path) -> None:
    """Remove what a killed process was writing; to be called under the lock."""
    for place in (folder, folder / "shards", folder / "splits"):
        if place.is_dir():
            for entry in os.scandir(place):
                if entry.name.startswith(".agewise-") and entry.name.endswith(".part"):
                    os.unlink(entry.path)
