"""The split of a store that a run's configuration names."""

from __future__ import annotations

import re

from agewise_lab.store import split as splits
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split

_SHARES = re.compile(r"(\d+)/(\d+)")
_FOLD = re.compile(r"fold (\d+)")


def split_named(name: str, store: CropStore) -> Split:
    """A split by its name.

    Args:
        name: "hash", agewise's own 86/7/7; "80/20" and the like, by the same hash, training and validation;
            "official", the data set's; "fold 0" and so on, the data set's with that fold held out.
        store: the faces.

    Raises:
        ValueError: no such name, or a data set without such a split.
    """
    if name == "hash":
        return splits.hash_split(store)
    shares, fold = _SHARES.fullmatch(name), _FOLD.fullmatch(name)
    if shares and int(shares[1]) + int(shares[2]) == 100:
        return splits.hash_split(store, validation_percent=int(shares[2]), holdout_percent=0)
    if fold or name == "official":
        units = splits.units_of(store)  # type: ignore[attr-defined]
        return splits.official_split(store, units, fold=int(fold[1]) if fold else None)  # type: ignore[attr-defined]
    raise ValueError(f"unknown split {name!r}: expected hash, official, fold N, or shares such as 80/20")
