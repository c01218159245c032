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
from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop
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
    """An epoch as a list of ready batches: `image` uint8 (n, 3, s, s), `age` (n,), `is_female` (n,)."""

    def __init__(self, store: CropStore, indices: npt.NDArray[np.int64], config: TrainConfig, epoch: int) -> None:
        self._store, self._config, self._epoch = store, config, epoch
        self._ages = agreed_ages(store)
        rng = np.random.default_rng((config.seed, epoch))
        weights = sampling_weights(self._ages[indices], config.balance)
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
        rng = np.random.default_rng((self._config.seed, self._epoch, step))
        size, augment = self._config.size_at(self._epoch), self._config.augment_at(self._epoch)
        chosen = self._drawn[step]
        images = np.stack(
            [
                augment_crop(self._store.aligned[i] if rng.random() < 0.5 else self._store.whole[i], size, augment, rng)
                for i in chosen
            ]
        )
        return _to_batch(images, self._ages[chosen], self._store.is_female[chosen])


class PlainBatches(Dataset[Batch]):
    """Crops without augmentation, for validation: first all `whole` ones, then all `aligned` ones."""

    def __init__(self, store: CropStore, indices: npt.NDArray[np.int64], size: int, batch: int) -> None:
        self._store, self._size = store, size
        parts = [indices[start : start + batch] for start in range(0, len(indices), batch)]
        self._parts = [(kind, part) for kind in ("whole", "aligned") for part in parts]

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, step: int) -> Batch:
        kind, chosen = self._parts[step]
        crops = self._store.whole if kind == "whole" else self._store.aligned
        rng = np.random.default_rng(0)
        images = np.stack([augment_crop(crops[i], self._size, NO_AUGMENTATION, rng) for i in chosen])
        batch = _to_batch(images, self._store.age_years[chosen], self._store.is_female[chosen])
        batch["is_aligned"] = torch.tensor(kind == "aligned")
        return batch


def _to_batch(images: UInt8Array, ages: npt.NDArray[np.float32], is_female: npt.NDArray[np.float32]) -> Batch:
    return {
        "image": torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))),
        "age": torch.from_numpy(ages.astype(np.float32)),
        "is_female": torch.from_numpy(is_female.astype(np.float32)),
    }
