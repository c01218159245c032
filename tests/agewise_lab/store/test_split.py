"""Splits: always the same, nothing lost, near-duplicates never measured on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise_lab.store.crops import CropStore, open_store
from agewise_lab.store.split import Split, agreed_ages, hash_split


def _named(make_store: Callable[..., CropStore], groups: list[int]) -> CropStore:
    store = make_store(len(groups), side=8)
    return dataclasses.replace(store, duplicate_group=np.array(groups))


@pytest.fixture(scope="module")
def many(make_store: Callable[..., CropStore]) -> CropStore:
    """2,000 names; every fifth picture has a near-duplicate."""
    groups = [i - 1 if i % 5 == 1 else i for i in range(2000)]
    store = make_store(1)
    fields = {field.name: np.repeat(getattr(store, field.name), 2000, axis=0) for field in dataclasses.fields(store)}
    fields |= {"duplicate_group": np.array(groups), "name": np.array([f"{i}.jpg" for i in range(2000)])}
    return CropStore(**fields)


def test_the_parts_are_disjoint_and_complete(many: CropStore) -> None:
    split = hash_split(many)
    together = np.concatenate([split.train, split.validation, split.holdout])
    assert sorted(together.tolist()) == list(range(2000))


def test_near_duplicates_always_train(many: CropStore) -> None:
    split = hash_split(many)
    twins = [i for i in range(2000) if i % 5 in (0, 1)]
    assert set(twins) <= set(split.train.tolist())


def test_the_parts_have_their_shares(many: CropStore) -> None:
    split = hash_split(many)
    alone = 1200
    for part in (split.validation, split.holdout):
        assert abs(len(part) - 0.07 * alone) < 4 * (0.07 * 0.93 * alone) ** 0.5
    half = hash_split(many, validation_percent=50, holdout_percent=50)
    assert len(half.train) == 800


def test_a_pictures_part_depends_on_its_name_alone(many: CropStore) -> None:
    order = np.random.default_rng(0).permutation(2000)
    fields = {field.name: getattr(many, field.name)[order] for field in dataclasses.fields(many)}
    shuffled = CropStore(**fields)
    for part in ("train", "validation", "holdout"):
        before, after = getattr(hash_split(many), part), getattr(hash_split(shuffled), part)
        assert set(many.name[before]) == set(shuffled.name[after])


def test_the_digest_is_pinned(many: CropStore) -> None:
    # A change here makes every figure that was ever published on this split a figure of another one.
    assert hash_split(many).digest == "ed8e1537d276"
    assert hash_split(many).digest != hash_split(many, validation_percent=8).digest


def test_the_digest_tells_the_parts_apart() -> None:
    a, b = np.array([0, 1]), np.array([2])
    none = np.array([], dtype=np.int64)
    digests = {Split(*parts).digest for parts in ((a, b, none), (b, a, none), (a, none, b))}
    assert len(digests) == 3


def test_the_store_of_pictures_is_split_as_its_names_say(pictures: SimpleNamespace, store_folder: Path) -> None:
    store = open_store(store_folder)
    split = hash_split(store)
    for part in ("train", "validation", "holdout"):
        assert set(store.name[getattr(split, part)]) == set(getattr(pictures, part)), part


@pytest.mark.parametrize(
    ("ages", "groups", "agreed"),
    [
        ([10, 20, 30], [0, 1, 2], [10, 20, 30]),
        ([10, 20, 30], [0, 0, 2], [15, 15, 30]),
        ([10, 99, 30, 12], [0, 0, 2, 0], [12, 12, 30, 12]),
        ([1, 2, 3, 5], [0, 1, 0, 1], [2, 3.5, 2, 3.5]),
    ],
)
def test_the_same_photo_has_one_age(
    make_store: Callable[..., CropStore], ages: list[float], groups: list[int], agreed: list[float]
) -> None:
    store = dataclasses.replace(_named(make_store, groups), age_years=np.array(ages, dtype=np.float32))
    assert agreed_ages(store).tolist() == agreed
    assert store.age_years.tolist() == ages
