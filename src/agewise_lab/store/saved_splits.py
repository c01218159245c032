"""Named splits in a database's folder: one Parquet file each, `row`, `name`, `part`, and how it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agewise._files import atomic_write
from agewise.errors import unknown_name
from agewise_lab.store.crops import CropStore, open_labels
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.split import (
    PARTS,
    Split,
    check_fractions,
    fold_splits,
    hash_split,
    official_split,
    random_split,
    split_of,
    units_of,
)

_KEY = b"agewise"
_NAME = re.compile(r"[\w][\w.-]{0,63}")


@dataclass(frozen=True)
class SavedSplit:
    """A split and how it was made.

    Args:
        name: its name in the database.
        split: the parts.
        about: `by`, `seed`, `fractions`, what was kept `together`, the `digest`, the `database`'s digest, `counts`.
    """

    name: str
    split: Split
    about: Mapping[str, Any]


def save_split(folder: Path, store: CropStore, name: str, split: Split, about: Mapping[str, Any]) -> SavedSplit:
    """Store a split under a name, in `splits/NAME.parquet`; one of the same name is replaced.

    Raises:
        ValueError: a name that is no plain file name, or a database that is not finished.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a split's name is letters, digits, '-', '_' and '.', up to 64, got {name!r}")
    manifest = read_manifest(folder)
    if not manifest.complete:
        raise ValueError(f"{folder} is not finished: run the same `agewise-lab data build` again, then split")
    counts = {part: len(getattr(split, part)) for part in PARTS}
    facts = {
        **about,
        "digest": split.digest,
        "database": manifest.digest,
        "counts": counts,
        "left_out": len(store) - sum(counts.values()),
    }
    places = split.part_of(len(store))
    rows = np.flatnonzero(places >= 0)
    table = pa.table(
        {
            "row": pa.array(rows, pa.int64()),
            "name": pa.array(store.name[rows].tolist(), pa.string()),
            "part": pa.array([PARTS[place] for place in places[rows]], pa.string()),
        }
    ).replace_schema_metadata({_KEY: json.dumps(facts).encode()})
    (folder / "splits").mkdir(exist_ok=True)
    with atomic_write(folder / "splits" / f"{name}.parquet") as file:
        pq.write_table(table, file, compression="zstd")
    return SavedSplit(name, split, facts)


def make_splits(
    folder: Path,
    *,
    by: str,
    name: str,
    fractions: Sequence[float],
    seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
    subjects: bool = False,
    duplicates: bool = True,
) -> tuple[SavedSplit, ...]:
    """Split a database and store the result: one split, or with `folds` so many, named NAME-0 and on.

    Args:
        folder: the database.
        by: "hash", "random", "stratified", "subject" or "official".
        name: for the stored split.
        fractions: of train, validation and holdout; for "hash" in whole hundredths.
        seed: of the random choices.
        folds: cross-validation; with "random", "stratified" and "subject".
        fold: the official fold to hold out.
        subjects: keep all faces of a person on one side.
        duplicates: keep near-duplicates on one side.

    Raises:
        ValueError: what does not go together, or what the database does not have.
    """
    store = open_labels(folder)
    about: dict[str, Any] = {"by": by, "together": [n for n, on in _together(duplicates, subjects) if on]}
    if fold is not None and by != "official":
        raise ValueError("a fold to hold out belongs to an official split: leave it out, or split by official")
    if by in ("hash", "official") and folds is not None:
        raise ValueError(f"a split by {by} has no folds of ours: split by random, stratified or subject")
    if by == "hash":
        if subjects or not duplicates:
            raise ValueError("a split by hash is by the name alone and keeps near-duplicates in train: use random")
        check_fractions(fractions)
        percents = [round(100 * share) for share in fractions]
        if max(abs(100 * share - whole) for share, whole in zip(fractions, percents, strict=True)) > 1e-6:
            raise ValueError(f"a split by hash is in whole hundredths, got {', '.join(map(str, fractions))}")
        split = hash_split(store, validation_percent=percents[1], holdout_percent=percents[2])
        return (save_split(folder, store, name, split, about | {"fractions": list(fractions)}),)
    units = units_of(store, duplicates=duplicates, subjects=subjects)
    about["seed"] = seed
    if by == "official":
        split = official_split(store, units, fold=fold, seed=seed)
        return (save_split(folder, store, name, split, about | {"fold": fold}),)
    if by not in ("random", "stratified", "subject"):
        raise ValueError(unknown_name("way to split", by, ("hash", "random", "stratified", "subject", "official")))
    stratified = by == "stratified"
    if folds is not None:
        splits = fold_splits(store, units, folds, seed=seed, stratified=stratified)
        return tuple(
            save_split(folder, store, f"{name}-{k}", split, about | {"folds": folds, "fold": k})
            for k, split in enumerate(splits)
        )
    split = random_split(store, units, fractions, seed=seed, stratified=stratified)
    return (save_split(folder, store, name, split, about | {"fractions": list(fractions)}),)


def _together(duplicates: bool, subjects: bool) -> tuple[tuple[str, bool], ...]:
    return (("near-duplicates", duplicates), ("subjects", subjects))


def split_names(folder: Path) -> list[str]:
    """The names of a database's splits, sorted."""
    return sorted(path.stem for path in (folder / "splits").glob("*.parquet"))


def read_split(folder: Path, name: str) -> SavedSplit:
    """A stored split.

    Raises:
        ValueError: no split of that name, or one of a database with other faces.
    """
    path = folder / "splits" / f"{name}.parquet"
    if name not in split_names(folder):
        known = split_names(folder)
        raise ValueError(
            unknown_name("split", name, known)
            if known
            else f"{folder} has no splits: make one with `agewise-lab data split`"
        )
    manifest = read_manifest(folder)
    table = pq.read_table(path)
    try:
        about = json.loads(table.schema.metadata[_KEY])
        digests = about["database"], about["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say how it was made: make the split again") from error
    if digests[0] != manifest.digest:
        raise ValueError(f"{path} is a split of other faces ({digests[0]}, not {manifest.digest}): make it again")
    places = np.full(manifest.rows, -1, dtype=np.int64)
    order = {part: place for place, part in enumerate(PARTS)}
    places[table.column("row").to_numpy()] = [order[part] for part in table.column("part").to_pylist()]
    split = split_of(places)
    if split.digest != digests[1]:
        raise ValueError(f"{path} has changed since it was made: make the split again")
    return SavedSplit(name, split, about)
