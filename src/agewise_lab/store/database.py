"""Reading a database: its labels as one table, its pictures as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agewise._files import atomic_write
from agewise.types import UInt8Array
from agewise_lab.store.duplicates import SIDE, duplicate_groups
from agewise_lab.store.manifest import Manifest, read_manifest
from agewise_lab.store.schema import LABELS, SCHEMA

FACES = "faces.parquet"


def _columns(folder: Path, manifest: Manifest, columns: Sequence[str]) -> pa.Table:
    """Some columns of all whole shards, in order."""
    empty = pa.schema([SCHEMA.field(name) for name in columns]).empty_table()
    tables = [
        pq.read_table(folder / "shards" / shard.file, columns=list(columns)).replace_schema_metadata()
        for shard in manifest.shards
    ]
    return pa.concat_tables([empty, *tables])


def read_thumbnails(folder: Path) -> UInt8Array:
    """The thumbnails of all faces, uint8 (n, 32, 32)."""
    manifest = read_manifest(folder)
    out = np.empty((manifest.rows, SIDE, SIDE), dtype=np.uint8)
    start = 0
    for shard in manifest.shards:
        column = pq.read_table(folder / "shards" / shard.file, columns=["thumbnail"]).column("thumbnail")
        for value in column:
            out[start] = np.frombuffer(value.as_py(), dtype=np.uint8).reshape(SIDE, SIDE)
            start += 1
    return out


def _labels(folder: Path, manifest: Manifest) -> pa.Table:
    """All columns but the pictures, and each face's group of near-duplicates."""
    groups = duplicate_groups(read_thumbnails(folder))
    return _columns(folder, manifest, LABELS).append_column("duplicate_group", pa.array(groups))


def write_index(folder: Path, manifest: Manifest) -> int:
    """Write `faces.parquet`; returns how many faces the detector has found."""
    table = _labels(folder, manifest)
    with atomic_write(folder / FACES) as file:
        pq.write_table(table, file, compression="zstd")
    return int(pc.sum(table.column("found")).as_py() or 0)


def read_faces(folder: Path) -> pa.Table:
    """All columns but the pictures, a row a face: of a database whose build goes on, those that are whole.

    Raises:
        FileNotFoundError: the folder is no database.
        ValueError: a database of another version.
    """
    manifest = read_manifest(folder)
    return pq.read_table(folder / FACES) if manifest.complete else _labels(folder, manifest)


def read_pictures(folder: Path, columns: Sequence[str] = ("whole", "aligned")) -> Iterator[dict[str, bytes | None]]:
    """The encoded crops of each face, in order, a few at a time in memory."""
    for shard in read_manifest(folder).shards:
        with pq.ParquetFile(folder / "shards" / shard.file) as file:
            for batch in file.iter_batches(batch_size=128, columns=list(columns)):
                yield from batch.to_pylist()


def some_pictures(folder: Path, rows: npt.NDArray[np.int64], column: str) -> list[bytes | None]:
    """One column's encoded crops of some faces, in the order asked; reads the row groups that hold them."""
    manifest = read_manifest(folder)
    found: dict[int, bytes | None] = {}
    wanted = np.unique(np.asarray(rows, dtype=np.int64))
    start = 0
    for shard in manifest.shards:
        end = start + shard.rows
        if len(here := wanted[(wanted >= start) & (wanted < end)]):
            with pq.ParquetFile(folder / "shards" / shard.file) as file:
                first = start
                for group in range(file.num_row_groups):
                    last = first + file.metadata.row_group(group).num_rows
                    if len(inside := here[(here >= first) & (here < last)]):
                        values = file.read_row_group(group, columns=[column]).column(column)
                        found |= {int(row): values[int(row) - first].as_py() for row in inside}
                    first = last
        start = end
    return [found[int(row)] for row in rows]
