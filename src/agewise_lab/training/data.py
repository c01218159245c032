"""Batches of augmented crops: the same for the same seed and epoch, however often a run was resumed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from agewise.types import UInt8Array
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import agreed_ages
from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop, augment_twice
from agewise_lab.training.config import TrainConfig

Batch = dict[str, torch.Tensor]


def sampling_weights(ages_years: npt.NDArray[np.float32], balance: float) -> npt.NDArray[np.float64]:
    """How often each picture is drawn in an epoch, on average 1.

    The frequency of an age is smoothed (normal, 2 years), so that ages that people like to state (30, 35)
    are not punished beside their neighbours.
    """
    counts = np.bincount(np.clip(ages_years.round().astype(int), 0, 100), minlength=101).astype(float)
    offsets = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (offsets / 2.0) ** 2)
    padded = np.pad(counts, 6, mode="reflect")
    smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    weights = np.maximum(smooth[np.clip(ages_years.round().astype(int), 0, 100)], 1.0) ** -balance
    return np.asarray(weights / weights.mean())


class TrainBatches(Dataset[Batch]):
    """An epoch as a list of ready batches.

    `image` uint8 (n, 3, s, s); `age` (n,) in years, NaN where there is only a class of ages; `age_low` and `age_high`
    (n,), its ends, NaN where there is none; `is_female` (n,) 1, 0, NaN for unknown; `index` (n,) into the store;
    `second`, as `image`, where the run has second crops.

    Args:
        store: crops and labels.
        indices: which of them.
        config: the run.
        epoch: from 0.
        rank, world: which part of each batch, of how many.
    """

    def __init__(
        self,
        store: CropStore,
        indices: npt.NDArray[np.int64],
        config: TrainConfig,
        epoch: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._store, self._config, self._epoch = store, config, epoch
        self._rank, self._world = rank, world
        self._ages = agreed_ages(store)
        rng = np.random.default_rng((config.seed, epoch))
        weights = sampling_weights(_known_ages(store, self._ages)[indices], config.balance)
        # Systematic sampling: each picture is drawn floor or ceil of its weight times.
        order = rng.permutation(len(indices))
        edges = np.floor(np.cumsum(weights[order]) + rng.random())
        times = np.diff(edges, prepend=np.floor(edges[0] - weights[order[0]])).astype(int)
        drawn = rng.permutation(np.repeat(indices[order], np.clip(times, 0, None)))
        self._steps = len(indices) // config.batch
        drawn = np.resize(drawn, self._steps * config.batch)
        self._drawn = drawn.reshape(self._steps, config.batch)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        cv2.setNumThreads(1)
        seed = (self._config.seed, self._epoch, step)
        rng = np.random.default_rng(seed if self._rank == 0 else (*seed, self._rank))
        size, augment = self._config.size_at(self._epoch), self._config.augment_at(self._epoch)
        chosen = self._drawn[step][self._rank :: self._world]
        second = self._config.second_at(self._epoch)
        if second is None:
            images = np.stack([augment_crop(self._crop(i, rng), size, augment, rng) for i in chosen])
            return _to_batch(self._store, images, self._ages, chosen)
        pairs = [augment_twice(self._crop(i, rng), size, augment, second, rng) for i in chosen]
        images, seconds = (np.stack(side) for side in zip(*pairs, strict=True))
        return _to_batch(self._store, images, self._ages, chosen) | {"second": _channels_first(seconds)}

    def _crop(self, i: int, rng: np.random.Generator) -> UInt8Array:
        if self._config.views == "both":
            return self._store.aligned[i] if rng.random() < 0.5 else self._store.whole[i]
        return self._store.aligned[i] if self._config.views == "aligned" else self._store.whole[i]


class PlainBatches(Dataset[Batch]):
    """Crops without augmentation, for validation: first all `whole` ones, then all `aligned` ones.

    Of several processes each has every `world`-th batch.
    """

    def __init__(
        self,
        store: CropStore,
        indices: npt.NDArray[np.int64],
        size: int,
        batch: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._store, self._size = store, size
        parts = [indices[start : start + batch] for start in range(0, len(indices), batch)]
        self._parts = [(kind, part) for kind in ("whole", "aligned") for part in parts][rank::world]

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, step: int) -> Batch:
        kind, chosen = self._parts[step]
        crops = self._store.whole if kind == "whole" else self._store.aligned
        rng = np.random.default_rng(0)
        images = np.stack([augment_crop(crops[i], self._size, NO_AUGMENTATION, rng) for i in chosen])
        batch = _to_batch(self._store, images, self._store.age_years, chosen)
        batch["is_aligned"] = torch.tensor(kind == "aligned")
        return batch


def _to_batch(
    store: CropStore, images: UInt8Array, ages: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64]
) -> Batch:
    nothing = np.full(len(chosen), np.nan, dtype=np.float32)
    low, high = getattr(store, "age_low_years", None), getattr(store, "age_high_years", None)
    return {
        "image": _channels_first(images),
        "age": torch.from_numpy(ages[chosen].astype(np.float32)),
        "age_low": torch.from_numpy(nothing if low is None else low[chosen].astype(np.float32)),
        "age_high": torch.from_numpy(nothing if high is None else high[chosen].astype(np.float32)),
        "is_female": torch.from_numpy(store.is_female[chosen].astype(np.float32)),
        "index": torch.from_numpy(chosen.astype(np.int64)),
    }


def _channels_first(images: UInt8Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _known_ages(store: CropStore, ages: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Ages; the middle of a class of ages where there is one; 30 where nothing is known, which draws as most do."""
    low, high = getattr(store, "age_low_years", None), getattr(store, "age_high_years", None)
    if low is not None and high is not None:
        ages = np.where(np.isnan(ages), (low + high) / 2, ages)
    return np.nan_to_num(ages, nan=30.0)
