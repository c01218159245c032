"""An open database as training reads it: crops in memory-mapped arrays, labels beside them.

Decoding JPEGs again and again would cost more than a small network's step, so the crops are decoded once, when
a database is first opened, into `cache-…/whole.npy` and `aligned.npy`, uint8 RGB (n, side, side, 3). The cache's
name holds the database's digest; it may be deleted at any time.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agewise.types import Gender, UInt8Array
from agewise_lab.datasets.utkface import GROUPS
from agewise_lab.store.build import build
from agewise_lab.store.database import read_faces, read_pictures
from agewise_lab.store.faces import find_in_chip, padded
from agewise_lab.store.manifest import Manifest, locked, read_manifest
from agewise_lab.store.schema import decode

__all__ = ["CropStore", "build", "find_in_chip", "open_labels", "open_store", "padded"]

_OLD_SUMMARY = "store.json"  # of a store of version 1, whose arrays were all there was
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def _nothing() -> npt.NDArray[Any]:
    return np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class CropStore:
    """An open store; the crops are memory-mapped and read-only, or in memory.

    Args:
        whole: uint8 RGB (n, side, side, 3), the faces as their data set frames them.
        aligned: the same by agewise's own detector and landmarks; as `whole` where no face was found. In a
            database of one kind of crops both are that kind.
        age_years: float32 (n,), NaN where unknown.
        is_female: float32 (n,), 1 or 0, NaN where unknown.
        group: int64 (n,), the place in UTKFace's GROUPS, -1 for all else.
        found: bool (n,), whether agewise's detector found the face.
        score: float32 (n,), its score, -1 where it did not.
        duplicate_group: int64 (n,), the first member of each face's group of near-duplicates.
        name: str (n,), the pictures' paths in their data set.
        age_low_years, age_high_years: float32 (n,), the ends of a class of ages, NaN where there is none.
        apparent_age_years, apparent_std_years: float32 (n,), what people guessed, NaN where unknown.
        group_name, subject, official_split: str (n,), the data set's own words, "" where unknown.
        face_side_px, sharpness: float32 (n,), see `agewise_lab.store.quality`; NaN in old stores.

    What is left out is taken as unknown.
    """

    whole: UInt8Array
    aligned: UInt8Array
    age_years: npt.NDArray[np.float32]
    is_female: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float32]
    duplicate_group: npt.NDArray[np.int64]
    name: npt.NDArray[np.str_]
    age_low_years: npt.NDArray[np.float32] = field(default_factory=_nothing)
    age_high_years: npt.NDArray[np.float32] = field(default_factory=_nothing)
    apparent_age_years: npt.NDArray[np.float32] = field(default_factory=_nothing)
    apparent_std_years: npt.NDArray[np.float32] = field(default_factory=_nothing)
    group_name: npt.NDArray[np.str_] = field(default_factory=_nothing)
    subject: npt.NDArray[np.str_] = field(default_factory=_nothing)
    official_split: npt.NDArray[np.str_] = field(default_factory=_nothing)
    face_side_px: npt.NDArray[np.float32] = field(default_factory=_nothing)
    sharpness: npt.NDArray[np.float32] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        count = len(self.age_years)
        for part in dataclasses.fields(self):
            if part.default_factory is _nothing and len(getattr(self, part.name)) != count:
                words = part.name in ("group_name", "subject", "official_split")
                empty = np.full(count, "", dtype=np.str_) if words else np.full(count, np.nan, dtype=np.float32)
                object.__setattr__(self, part.name, empty)

    def __len__(self) -> int:
        return len(self.age_years)


def open_store(folder: Path, *, in_memory: bool = False, cache: Path | None = None, partial: bool = False) -> CropStore:
    """Open a database that `build` has made; decodes its crops into the cache the first time.

    Args:
        folder: the database.
        in_memory: read all crops now (2.9 GB for UTKFace) instead of mapping the files: training reads
            them in random order, which is slow where the system drops mapped pages early.
        cache: where the decoded crops are kept instead of in the database itself: for databases that may only
            be read.
        partial: also open a database whose build is not finished, with the faces that are there.

    Raises:
        FileNotFoundError: no database is there.
        ValueError: one of another version, or not finished.
        OSError: the cache cannot be written; not with `in_memory`, which then decodes each time.
    """
    if (folder / _OLD_SUMMARY).is_file():
        return _open_old(folder, in_memory)
    manifest = read_manifest(folder)
    if not manifest.complete and not partial:
        raise ValueError(
            f"{folder} is not finished: {manifest.rows} faces of {manifest.records} records are in it; "
            "run the same `agewise-lab data build` again, it goes on from there"
        )
    labels = _labels(read_faces(folder))
    try:
        place = _cached(folder, manifest, cache or folder)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        if not in_memory:
            raise OSError(
                error.errno,
                "the crops cannot be cached there: give a folder for `cache`, or open in memory",
                str(folder),
            ) from error
        crops = {name: np.empty(_shape(manifest), dtype=np.uint8) for name in _kinds(manifest)}
        _fill(folder, crops)
    else:
        mode: Literal["r"] | None = None if in_memory else "r"
        crops = {name: np.load(place / f"{name}.npy", mmap_mode=mode) for name in _kinds(manifest)}
    whole, aligned = crops.get("whole"), crops.get("aligned")
    return CropStore(whole=aligned if whole is None else whole, aligned=whole if aligned is None else aligned, **labels)


def open_labels(folder: Path) -> CropStore:
    """A database without its crops (`whole` and `aligned` have no pixels), for what needs labels only.

    Raises:
        FileNotFoundError: no database is there.
        ValueError: one of another version.
    """
    if (folder / _OLD_SUMMARY).is_file():
        return _open_old(folder, False)
    labels = _labels(read_faces(folder))
    none = np.empty((len(labels["age_years"]), 0, 0, 3), dtype=np.uint8)
    return CropStore(whole=none, aligned=none, **labels)


def _open_old(folder: Path, in_memory: bool) -> CropStore:
    """A store of version 1: the arrays themselves."""
    version = json.loads((folder / _OLD_SUMMARY).read_text())["version"]
    if version != 1:
        raise ValueError(f"{folder} is a store of version {version}, expected 1 or a database: build it again")
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        fields = {name: labels[name] for name in labels.files}
    mode: Literal["r"] | None = None if in_memory else "r"
    crops = {name: np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("whole", "aligned")}
    return CropStore(**crops, **fields)


# ---------------------------------------------------------------- labels


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float32]:
    return np.asarray(table.column(name).to_numpy(), dtype=np.float32)


def _words(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    return np.array([value or "" for value in table.column(name).to_pylist()], dtype=np.str_)


def _labels(table: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """The table's columns as `CropStore` has them."""
    genders = table.column("gender").to_pylist()
    codes = {Gender.FEMALE.value: 1.0, Gender.MALE.value: 0.0}
    places = {name: i for i, name in enumerate(GROUPS)}
    words = {"group_name": "group", "subject": "subject", "official_split": "official_split", "name": "name"}
    numbers = (
        *("age_years", "age_low_years", "age_high_years", "apparent_age_years", "apparent_std_years"),
        *("face_side_px", "sharpness"),
    )
    return {
        "is_female": np.array([codes.get(gender, np.nan) for gender in genders], dtype=np.float32),
        "group": np.array([places.get(group, -1) for group in table.column("group").to_pylist()], dtype=np.int64),
        "found": np.asarray(table.column("found").to_numpy(), dtype=bool),
        "score": np.nan_to_num(_numbers(table, "score"), nan=-1.0),
        "duplicate_group": np.asarray(table.column("duplicate_group").to_numpy(), dtype=np.int64),
        **{name: _words(table, column) for name, column in words.items()},
        **{name: _numbers(table, name) for name in numbers},
    }


# ---------------------------------------------------------------- the cache


def _kinds(manifest: Manifest) -> tuple[str, ...]:
    return {"both": ("whole", "aligned"), "aligned": ("aligned",), "as-is": ("whole",)}[manifest.settings.crops]


def _shape(manifest: Manifest) -> tuple[int, int, int, int]:
    return (manifest.rows, manifest.settings.side, manifest.settings.side, 3)


def _cached(folder: Path, manifest: Manifest, place: Path) -> Path:
    """The folder of the decoded crops, made now where it is not there."""
    made = place / f"cache-{manifest.digest}"
    if made.is_dir():
        return made
    place.mkdir(parents=True, exist_ok=True)
    with locked(place, name=".cache.lock", patient=True):
        if made.is_dir():
            return made
        for stale in place.glob(".cache-*.part"):
            shutil.rmtree(stale, ignore_errors=True)
        draft = place / f".cache-{secrets.token_hex(8)}.part"
        draft.mkdir()
        try:
            arrays = {
                name: np.lib.format.open_memmap(draft / f"{name}.npy", "w+", np.uint8, _shape(manifest))
                for name in _kinds(manifest)
            }
            _fill(folder, arrays)
            for array in arrays.values():
                array.flush()
            draft.rename(made)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        # Of a shorter database, before its build went on.
        for old in folder.glob("cache-*") if place == folder else ():
            if old != made:
                shutil.rmtree(old, ignore_errors=True)
    return made


def _fill(folder: Path, arrays: dict[str, Any]) -> None:
    """Decode all crops into arrays; where a face has no aligned crop, its whole one is both."""

    def one(item: tuple[int, dict[str, bytes | None]]) -> None:
        row, pictures = item
        for name, array in arrays.items():
            data = pictures[name] if pictures[name] is not None else pictures["whole"]
            assert data is not None
            array[row] = decode(data)

    rows = enumerate(read_pictures(folder, tuple(arrays)))
    with ThreadPoolExecutor(2) as pool:  # OpenCV decodes outside of Python's lock
        while chunk := list(itertools.islice(rows, 512)):
            list(pool.map(one, chunk))
