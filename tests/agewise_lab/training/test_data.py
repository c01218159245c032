"""Batches: the same for the same seed and epoch, every picture its share, no augmentation in validation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import Detection
from agewise_lab.store.crops import CropStore
from agewise_lab.training.augment import NO_AUGMENTATION, AugmentConfig, augment_crop
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.data import Batch, PlainBatches, TrainBatches, sampling_weights

MakeStore = Callable[..., CropStore]
MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def store(make_store: MakeStore) -> CropStore:
    """64 pictures whose `is_female` is their number, so that a batch says which ones it holds."""
    return dataclasses.replace(make_store(64), is_female=np.arange(64, dtype=np.float32))


def _epoch(store: CropStore, config: TrainConfig, epoch: int, count: int = 64) -> list[Batch]:
    batches = TrainBatches(store, np.arange(count), config, epoch)
    return [batches[step] for step in range(len(batches))]


def _drawn(store: CropStore, config: TrainConfig, epoch: int, count: int = 64) -> list[int]:
    return [int(i) for batch in _epoch(store, config, epoch, count) for i in batch["is_female"]]


def _equal(a: list[Batch], b: list[Batch]) -> bool:
    def same(x: torch.Tensor, y: torch.Tensor) -> bool:
        return torch.equal(x.nan_to_num(-1), y.nan_to_num(-1)) and torch.equal(x.isnan(), y.isnan())

    return all(same(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in x)


def test_an_epoch_is_the_same_for_the_same_seed(store: CropStore, make_config: MakeConfig) -> None:
    assert _equal(_epoch(store, make_config(), 1), _epoch(store, make_config(), 1))


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (2, 1)])
def test_another_epoch_or_seed_is_another(store: CropStore, make_config: MakeConfig, seed: int, epoch: int) -> None:
    here, there = _epoch(store, make_config(), 1), _epoch(store, make_config(seed=seed), epoch)
    assert not _equal([{"is_female": b["is_female"]} for b in here], [{"is_female": b["is_female"]} for b in there])
    assert not any(
        a["image"].shape == b["image"].shape and torch.equal(a["image"], b["image"])
        for a, b in zip(here, there, strict=True)
    )


def test_the_same_picture_is_augmented_anew_each_time(make_store: MakeStore, make_config: MakeConfig) -> None:
    base = make_store(16)
    store = dataclasses.replace(
        base, whole=np.repeat(base.whole[:1], 16, axis=0), aligned=np.repeat(base.whole[:1], 16, axis=0)
    )
    images = [batch["image"] for epoch in range(2) for batch in _epoch(store, make_config(), epoch, 16)]
    shown = torch.cat(images).flatten(1)
    assert len({image.numpy().tobytes() for image in shown}) == 32


def test_a_batch_does_not_depend_on_those_before_it(store: CropStore, make_config: MakeConfig) -> None:
    """So a run that goes on, or has several workers, sees what it would have seen."""
    batches = TrainBatches(store, np.arange(64), make_config(), 2)
    forwards = [batches[step] for step in range(len(batches))]
    backwards = [batches[step] for step in reversed(range(len(batches)))]
    assert _equal(forwards, backwards[::-1])


def test_shapes_and_types(store: CropStore, make_config: MakeConfig) -> None:
    batches = _epoch(store, make_config(), 0, count=61)
    assert len(batches) == 7  # the rest of 5 is left out
    for batch in batches:
        assert batch["image"].shape == (8, 3, 12, 12)
        assert batch["image"].dtype == torch.uint8
        assert batch["age"].dtype == batch["is_female"].dtype == torch.float32


def test_second_crops_are_of_the_same_faces(make_store: MakeStore, make_config: MakeConfig) -> None:
    colours = np.arange(64, dtype=np.uint8) * 4
    flat = np.broadcast_to(colours[:, None, None, None], (64, 24, 24, 3))
    store = dataclasses.replace(make_store(64), whole=flat, aligned=flat, age_years=(colours / 4).astype(np.float32))
    still = AugmentConfig(flip=0.5).weakened(0.0)
    for batch in _epoch(store, make_config(augment=still, second=dataclasses.replace(still, shift=0.1)), 0):
        assert batch["second"].shape == (8, 3, 12, 12)
        assert batch["second"].dtype == torch.uint8
        assert torch.equal(batch["second"].float().mean(dim=(1, 2, 3)) / 4, batch["age"])
    assert "second" not in _epoch(store, make_config(), 0)[0]
    for batch in _epoch(store, make_config(augment=still, second=dataclasses.replace(still, dark=1.0)), 0):
        assert torch.equal(batch["image"].float().mean(dim=(1, 2, 3)) / 4, batch["age"])
        assert (batch["second"].float().mean(dim=(1, 2, 3)) <= 0.81 * 4 * batch["age"]).all()


def test_first_crops_are_those_of_a_run_without_second_ones(make_store: MakeStore, make_config: MakeConfig) -> None:
    store, config = make_store(8), make_config(second=AugmentConfig())
    (with_second,), (alone,) = (_epoch(store, c, 0, 8) for c in (config, make_config()))
    assert torch.equal(with_second["image"][0], alone["image"][0])  # later ones draw after the second crops


def test_sizes_by_epoch(store: CropStore, make_config: MakeConfig) -> None:
    assert [_epoch(store, make_config(), epoch)[0]["image"].shape[2] for epoch in range(4)] == [12, 12, 16, 16]


def test_labels_stay_with_their_pictures(make_store: MakeStore, make_config: MakeConfig) -> None:
    colours = np.arange(64, dtype=np.uint8) * 4
    flat = np.broadcast_to(colours[:, None, None, None], (64, 24, 24, 3))
    store = dataclasses.replace(make_store(64), whole=flat, aligned=flat, age_years=(colours / 4).astype(np.float32))
    config = make_config(augment=AugmentConfig(flip=0.5).weakened(0.0))
    for batch in _epoch(store, config, 0):
        assert torch.equal(batch["image"].float().mean(dim=(1, 2, 3)) / 4, batch["age"])


def test_near_duplicates_are_taught_one_age(store: CropStore, make_config: MakeConfig) -> None:
    twins = store.duplicate_group.copy()
    twins[1] = 0
    store = dataclasses.replace(store, duplicate_group=twins)
    (expected,) = {float(np.median(store.age_years[:2]))}
    taught = {
        int(i): float(age)
        for batch in _epoch(store, make_config(), 0)
        for i, age in zip(batch["is_female"], batch["age"], strict=True)
    }
    assert {taught[i] for i in (0, 1) if i in taught} == {expected}
    assert all(taught[i] == store.age_years[i] for i in taught if i > 1)


def test_both_kinds_of_crops_are_shown(make_store: MakeStore, make_config: MakeConfig) -> None:
    base = make_store(64)
    store = dataclasses.replace(base, whole=np.zeros_like(base.whole), aligned=np.full_like(base.aligned, 255))
    config = make_config(augment=AugmentConfig().weakened(0.0))
    shown = torch.cat([batch["image"][:, 0, 0, 0] for batch in _epoch(store, config, 0)])
    assert 16 <= int((shown == 255).sum()) <= 48
    assert set(shown.tolist()) == {0, 255}


# ---------------------------------------------------------------- how often


def test_weights_have_mean_one_and_favour_rare_ages() -> None:
    ages = np.array([30.0] * 90 + [70.0] * 10, dtype=np.float32)
    weights = sampling_weights(ages, 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[-1] / weights[0] == pytest.approx(3)  # nine times as rare, to the half
    assert sampling_weights(ages, 0.0).tolist() == [1.0] * 100


def test_ages_that_people_like_to_state_are_not_punished() -> None:
    """Counts are smoothed over neighbours."""
    ages = np.array([34.0, 35.0, 35.0, 35.0, 35.0, 36.0] * 20 + [80.0] * 3, dtype=np.float32)
    weights = sampling_weights(ages, 1.0)
    assert weights[0] / weights[1] < 1.2
    assert weights[-1] / weights[1] > 5


@pytest.mark.parametrize("ages", [[0.0, 100.0, 116.0], [0.4, 99.6, 50.0]])
def test_weights_at_the_ends(ages: list[float]) -> None:
    weights = sampling_weights(np.array(ages, dtype=np.float32), 0.35)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


@pytest.mark.parametrize("epoch", range(4))
def test_each_picture_is_drawn_the_floor_or_ceiling_of_its_weight(
    store: CropStore, make_config: MakeConfig, epoch: int
) -> None:
    skewed = dataclasses.replace(store, age_years=np.where(np.arange(64) < 56, 30.0, 80.0).astype(np.float32))
    weights = sampling_weights(skewed.age_years, 0.9)
    assert weights.max() > 2
    drawn = np.bincount(_drawn(skewed, make_config(balance=0.9), epoch), minlength=64)
    assert drawn.sum() == 64
    assert all(count <= math.ceil(weight) for count, weight in zip(drawn, weights, strict=True))
    # One draw more or less: the number of draws is rounded to whole batches.
    missing = sum(max(0, math.floor(weight) - count) for count, weight in zip(drawn, weights, strict=True))
    assert missing <= 1


def test_on_average_each_picture_is_drawn_as_its_weight_says(store: CropStore, make_config: MakeConfig) -> None:
    skewed = dataclasses.replace(
        store,
        age_years=np.where(np.arange(64) < 56, 30.0, 80.0).astype(np.float32),
        whole=np.zeros((64, 2, 2, 3), np.uint8),
        aligned=np.zeros((64, 2, 2, 3), np.uint8),
    )
    config = make_config(balance=0.5, epochs=120, sizes=((1.0, 2),), augment=AugmentConfig().weakened(0.0))
    total = sum(np.bincount(_drawn(skewed, config, epoch), minlength=64) for epoch in range(120)) / 120
    assert total == pytest.approx(sampling_weights(skewed.age_years, 0.5), abs=0.2)


def test_without_balance_each_picture_is_drawn_once(store: CropStore, make_config: MakeConfig) -> None:
    assert sorted(_drawn(store, make_config(balance=0.0), 3)) == list(range(64))


def test_only_the_given_pictures_are_drawn(store: CropStore, make_config: MakeConfig) -> None:
    batches = TrainBatches(store, np.arange(40, 60), make_config(), 0)
    assert {int(i) for step in range(len(batches)) for i in batches[step]["is_female"]} <= set(range(40, 60))


def test_processes_share_each_batch(store: CropStore, make_config: MakeConfig) -> None:
    whole, *parts = (
        TrainBatches(store, np.arange(64), make_config(), 1, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    for step in range(len(whole)):
        shown = [part[step]["index"].tolist() for part in parts]
        assert [len(part) for part in shown] == [4, 4]
        assert sorted(shown[0] + shown[1]) == sorted(whole[step]["index"].tolist())
    assert not torch.equal(parts[0][0]["image"], parts[1][0]["image"])


@pytest.mark.parametrize("views", ["whole", "aligned"])
def test_one_kind_of_crop_alone(store: CropStore, make_config: MakeConfig, views: str) -> None:
    config = make_config(views=views, augment=NO_AUGMENTATION, calm=0.0)
    batch = TrainBatches(store, np.arange(64), config, 3)[0]
    crops = getattr(store, views)
    expected = [augment_crop(crops[i], 16, NO_AUGMENTATION, np.random.default_rng(0)) for i in batch["index"]]
    assert np.array_equal(batch["image"].numpy().transpose(0, 2, 3, 1), np.stack(expected))


# ---------------------------------------------------------------- validation


def test_validation_shows_whole_then_aligned_in_order_without_augmentation(store: CropStore) -> None:
    indices = np.array([5, 1, 9, 33, 2])
    batches = PlainBatches(store, indices, 16, 2)
    assert len(batches) == 6
    shown = [batches[step] for step in range(6)]
    assert [bool(batch["is_aligned"]) for batch in shown] == [False] * 3 + [True] * 3
    for crops, part in ((store.whole, shown[:3]), (store.aligned, shown[3:])):
        assert torch.cat([batch["is_female"] for batch in part]).tolist() == indices.tolist()
        assert torch.cat([batch["age"] for batch in part]).tolist() == store.age_years[indices].tolist()
        images = torch.cat([batch["image"] for batch in part]).numpy().transpose(0, 2, 3, 1)
        entire = Detection((0, 0, 24, 24), 1.0, is_crop=True)
        assert np.array_equal(images, np.stack([crop_face(crops[i], entire, CropSpec(), 16) for i in indices]))
