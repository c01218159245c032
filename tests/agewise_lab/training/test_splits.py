"""Splits by the name that a configuration gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agewise_lab.store import split as splits
from agewise_lab.store.crops import CropStore
from agewise_lab.training.splits import split_named


@pytest.fixture(scope="module")
def store(make_store: Callable[..., CropStore]) -> CropStore:
    return make_store(400, side=8)


def test_agewises_own(store: CropStore) -> None:
    assert split_named("hash", store).digest == splits.hash_split(store).digest


@pytest.mark.parametrize(("name", "share"), [("80/20", 0.2), ("90/10", 0.1)])
def test_shares_by_hash(store: CropStore, name: str, share: float) -> None:
    split = split_named(name, store)
    assert len(split.validation) / 400 == pytest.approx(share, abs=0.05)
    assert len(split.holdout) == 0
    assert sorted(np.concatenate([split.train, split.validation])) == list(range(400))


@pytest.mark.parametrize("name", ["halves", "80/30", "fold", ""])
def test_unknown_names(store: CropStore, name: str) -> None:
    with pytest.raises(ValueError, match="expected hash, official, fold N, or shares such as 80/20"):
        split_named(name, store)


@pytest.mark.skipif(not hasattr(splits, "official_split"), reason="this version's stores keep no official splits")
def test_a_fold_is_held_out(store: CropStore) -> None:
    import dataclasses

    words = np.array([f"fold {i % 5}" for i in range(400)])
    split = split_named("fold 3", dataclasses.replace(store, official_split=words))  # type: ignore[call-arg]
    assert sorted(split.holdout) == list(range(3, 400, 5))
    assert len(split.validation) / len(np.concatenate([split.train, split.validation])) == pytest.approx(0.1, abs=0.02)
