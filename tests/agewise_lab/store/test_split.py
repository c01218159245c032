"""Splits: always the same, nothing lost, near-duplicates never measured on."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from agewise_lab.store.crops import CropStore, open_labels, open_store
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.saved_splits import make_splits, read_split, split_names
from agewise_lab.store.split import (
    Split,
    agreed_ages,
    fold_splits,
    hash_split,
    official_split,
    random_split,
    units_of,
)


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


# ---------------------------------------------------------------- random, stratified, by subject


@pytest.fixture(scope="module")
def people(many: CropStore) -> CropStore:
    """`many`, with ages and genders of all kinds, and 300 people of one to twenty pictures; some are unknown."""
    rng = np.random.default_rng(4)
    subject = np.array([f"p{k}" if k < 300 else "" for k in (rng.pareto(1.0, 2000) * 60).astype(int)])
    return dataclasses.replace(
        many,
        age_years=rng.integers(0, 90, 2000).astype(np.float32),
        is_female=(rng.random(2000) < 0.3).astype(np.float32),
        subject=subject,
    )


def _crosses(split: Split, labels: np.ndarray) -> bool:
    """Whether a label, other than "", is in two parts."""
    sides = [set(labels[part].tolist()) - {""} for part in (split.train, split.validation, split.holdout)]
    return bool(sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


@pytest.mark.parametrize("stratified", [False, True])
def test_near_duplicates_never_cross(people: CropStore, stratified: bool) -> None:
    units = units_of(people)
    split = random_split(people, units, (0.6, 0.2, 0.2), seed=1, stratified=stratified)
    assert not _crosses(split, people.duplicate_group)
    assert sorted(np.concatenate([split.train, split.validation, split.holdout]).tolist()) == list(range(2000))
    for part, share in ((split.train, 0.6), (split.validation, 0.2), (split.holdout, 0.2)):
        assert abs(len(part) - share * 2000) < 30
    apart = random_split(people, units_of(people, duplicates=False), (0.6, 0.2, 0.2), seed=1)
    assert _crosses(apart, people.duplicate_group), "a split that ignores them must cross for this to show anything"


def test_a_hash_split_never_crosses(many: CropStore) -> None:
    assert not _crosses(hash_split(many, validation_percent=30, holdout_percent=30), many.duplicate_group)


def test_nobody_is_on_two_sides(people: CropStore) -> None:
    units = units_of(people, subjects=True)
    split = random_split(people, units, (0.6, 0.2, 0.2), seed=0)
    assert not _crosses(split, people.subject)
    assert not _crosses(split, people.duplicate_group)
    assert _crosses(random_split(people, units_of(people), (0.6, 0.2, 0.2), seed=0), people.subject)


def test_a_unit_joins_people_through_duplicates(make_store: Callable[..., CropStore]) -> None:
    store = dataclasses.replace(_named(make_store, [0, 1, 1, 3, 4]), subject=np.array(["a", "a", "b", "b", ""]))
    assert units_of(store, subjects=True).tolist() == [0, 0, 0, 0, 4]
    assert units_of(store, subjects=True, duplicates=False).tolist() == [0, 0, 2, 2, 4]
    assert units_of(store).tolist() == [0, 1, 1, 3, 4]


def test_subjects_that_nobody_names(many: CropStore) -> None:
    with pytest.raises(ValueError, match="names no subjects: split it by hash, random or stratified"):
        units_of(many, subjects=True)


def test_a_stratified_split_is_as_the_whole(people: CropStore) -> None:
    split = random_split(people, units_of(people), (0.5, 0.25, 0.25), seed=0, stratified=True)
    for decade in range(9):
        for female in (0, 1):
            stratum = (people.age_years // 10 == decade) & (people.is_female == female)
            inside = stratum[split.holdout].sum()
            assert abs(inside - stratum.sum() / 4) <= 3 + 0.05 * stratum.sum(), (decade, female)


def test_the_seed_decides(people: CropStore) -> None:
    units = units_of(people)
    digests = [random_split(people, units, (0.8, 0.1, 0.1), seed=seed).digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == "10cd2c44337d"


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2), (1, 1, 1)])
def test_fractions_that_are_none(people: CropStore, fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions are those of train, validation and holdout"):
        random_split(people, units_of(people), fractions, seed=0)


def test_a_part_may_be_empty(people: CropStore) -> None:
    split = random_split(people, units_of(people), (0.8, 0, 0.2), seed=0)
    assert len(split.validation) == 0
    assert abs(len(split.holdout) - 400) < 5


def test_five_folds_are_60_20_20(people: CropStore) -> None:
    splits = fold_splits(people, units_of(people), 5, seed=0)
    assert len({split.digest for split in splits}) == 5
    assert sorted(np.concatenate([split.holdout for split in splits]).tolist()) == list(range(2000))
    for k, split in enumerate(splits):
        assert not _crosses(split, people.duplicate_group)
        assert np.array_equal(split.validation, splits[(k + 1) % 5].holdout)
        for part, share in ((split.train, 1200), (split.validation, 400), (split.holdout, 400)):
            assert abs(len(part) - share) < 15
    with pytest.raises(ValueError, match="needs 3 folds or more, got 2"):
        fold_splits(people, units_of(people), 2, seed=0)


# ---------------------------------------------------------------- official


def _official(make_store: Callable[..., CropStore], words: list[str], groups: list[int]) -> CropStore:
    return dataclasses.replace(_named(make_store, groups), official_split=np.array(words))


def test_official_parts_stay_and_their_duplicates_leave_training(make_store: Callable[..., CropStore]) -> None:
    words = ["Train", "train", "valid", "test", "train", "val", "gallery", "TEST"]
    store = _official(make_store, words, [0, 1, 1, 3, 3, 3, 6, 7])
    split = official_split(store, units_of(store))
    # 1 is a duplicate of validation, 4 of the holdout part, 5 too, "gallery" is no part.
    assert (split.train.tolist(), split.validation.tolist(), split.holdout.tolist()) == ([0], [2], [3, 7])


def test_official_folds(make_store: Callable[..., CropStore]) -> None:
    words = [f"fold {i % 4}" for i in range(80)]
    groups = list(range(80))
    groups[41] = 40  # fold 1 beside fold 0
    store = _official(make_store, words, groups)
    split = official_split(store, units_of(store), fold=0)
    assert split.holdout.tolist() == list(range(0, 80, 4))
    assert 41 not in [*split.train, *split.validation]
    assert 3 <= len(split.validation) <= 9
    assert len(split.train) + len(split.validation) == 59
    assert official_split(store, units_of(store), fold=0).digest == split.digest
    with pytest.raises(ValueError, match=r"has the folds \[0, 1, 2, 3\]: name the one to hold out, got None"):
        official_split(store, units_of(store))
    with pytest.raises(ValueError, match="got 4"):
        official_split(store, units_of(store), fold=4)


def test_no_official_split(many: CropStore) -> None:
    with pytest.raises(ValueError, match="no official split: split it by hash"):
        official_split(many, units_of(many))


# ---------------------------------------------------------------- stored


@pytest.fixture
def database(tmp_path: Path, store_folder: Path) -> Path:
    """A copy of the store of pictures, to write splits into."""
    shutil.copytree(store_folder, tmp_path / "db", ignore=shutil.ignore_patterns("cache-*", "splits"))
    return tmp_path / "db"


def test_a_stored_split_comes_back(database: Path) -> None:
    store = open_labels(database)
    (saved,) = make_splits(database, by="random", name="größe 1".replace(" ", "-"), fractions=(0.5, 0.3, 0.2), seed=7)
    assert split_names(database) == ["größe-1"]
    again = read_split(database, "größe-1")
    assert again.split.digest == saved.split.digest == saved.about["digest"]
    for part in ("train", "validation", "holdout"):
        assert np.array_equal(getattr(again.split, part), getattr(saved.split, part))
    assert (again.about["by"], again.about["seed"]) == ("random", 7)
    assert again.about["together"] == ["near-duplicates"]
    assert again.about["database"] == read_manifest(database).digest
    assert sum(again.about["counts"].values()) + again.about["left_out"] == 52
    frame = pd.read_parquet(database / "splits" / "größe-1.parquet")
    assert set(frame["part"]) == {"train", "validation", "holdout"}
    assert frame["name"].tolist() == store.name[frame["row"]].tolist()


def test_the_stored_hash_split_is_the_one_that_training_uses(database: Path) -> None:
    (saved,) = make_splits(database, by="hash", name="hash", fractions=(0.86, 0.07, 0.07))
    assert saved.split.digest == hash_split(open_store(database)).digest


def test_folds_are_stored_one_by_one(database: Path) -> None:
    saved = make_splits(database, by="stratified", name="cv", fractions=(1, 0, 0), folds=5)
    assert [one.name for one in saved] == split_names(database) == [f"cv-{k}" for k in range(5)]
    assert [one.about["fold"] for one in saved] == list(range(5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "hash", "fractions": (0.855, 0.07, 0.075)}, "whole hundredths"),
        ({"by": "hash", "subjects": True}, "by the name alone"),
        ({"by": "hash", "folds": 5}, "has no folds of ours"),
        ({"by": "official"}, "no official split"),
        ({"by": "subject", "subjects": True}, "names no subjects"),
        ({"by": "random", "fold": 1}, "belongs to an official split"),
        ({"by": "age"}, "unknown way to split 'age'"),
        ({"by": "random", "name": "../up"}, "a split's name is letters"),
        ({"by": "random", "name": ""}, "a split's name is letters"),
    ],
)
def test_splits_that_cannot_be(database: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_splits(database, **{"name": "x", "fractions": (0.86, 0.07, 0.07), **options})
    assert split_names(database) == []


def test_a_split_that_is_not_there(database: Path) -> None:
    with pytest.raises(ValueError, match="has no splits: make one with `agewise-lab data split`"):
        read_split(database, "x")
    make_splits(database, by="hash", name="hash", fractions=(0.86, 0.07, 0.07))
    with pytest.raises(ValueError, match="unknown split 'hush': did you mean 'hash'"):
        read_split(database, "hush")


def test_a_split_of_other_faces_or_a_changed_one_is_refused(database: Path) -> None:
    make_splits(database, by="hash", name="hash", fractions=(0.86, 0.07, 0.07))
    path = database / "splits" / "hash.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 40), path)
    with pytest.raises(ValueError, match="has changed since it was made"):
        read_split(database, "hash")
    pq.write_table(table.replace_schema_metadata({b"agewise": b'{"database": "0", "digest": "1"}'}), path)
    with pytest.raises(ValueError, match="a split of other faces"):
        read_split(database, "hash")
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(ValueError, match="does not say how it was made"):
        read_split(database, "hash")
