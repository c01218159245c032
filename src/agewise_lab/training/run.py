"""Run a `TrainConfig`: train, check, keep checkpoints, resume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader

from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training.callbacks import LearningRates, Plateau, Progress, SameDraws
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.curves import plot_runs, read_run
from agewise_lab.training.data import Batch, PlainBatches, TrainBatches
from agewise_lab.training.module import AgeGenderModule, LossNotFiniteError
from agewise_lab.training.networks import StoredNetwork, start_from_file, stored_network
from agewise_lab.training.origins import origins
from agewise_lab.training.record import describe, ended, keep_bad_batch, note_end, note_run
from agewise_lab.training.teacher import check_file, check_teachers


class CropData(lightning.LightningDataModule):
    """Loaders over a store. The training loader is made anew each epoch: its crops depend on the epoch."""

    def __init__(self, store: CropStore, split: Split, config: TrainConfig, workers: int) -> None:
        super().__init__()
        self._store, self._split, self._config, self._workers = store, split, config, workers

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        epoch = self.trainer.current_epoch
        batches = TrainBatches(self._store, self._split.train, self._config, epoch, rank, world)
        return DataLoader(batches, batch_size=None, shuffle=False, num_workers=self._workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        size = self._config.sizes[-1][1]
        batch = 256 if size <= 128 else 64
        return DataLoader(PlainBatches(self._store, self._split.validation, size, batch, rank, world), batch_size=None)


def _loggers(folder: Path) -> list[Logger]:
    """Loggers with a folder of their own: CSVLogger deletes the metrics.csv that it finds."""
    taken = sum(path.is_dir() for path in folder.glob("logs*"))
    name = f"logs-{taken + 1}" if taken else "logs"
    return [CSVLogger(folder, name="", version=name), TensorBoardLogger(folder, name="", version=name)]


def _callbacks(config: TrainConfig, folder: Path, *, progress: bool) -> list[lightning.Callback]:
    """In the order in which they run; the last one writes the state of all others."""
    found: list[lightning.Callback] = [EMAWeightAveraging(decay=config.ema)] if config.ema > 0 else []
    found += [SameDraws(), LearningRates()]
    if config.schedule.name == "plateau":
        found.append(Plateau(config))
    if config.patience > 0:
        found.append(
            EarlyStopping(
                config.monitored, patience=config.patience, mode=config.better, check_on_train_epoch_end=False
            )
        )
    if progress:
        found.append(Progress())
    best = ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor=config.monitored,
        mode=config.better,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    last = ModelCheckpoint(dirpath=folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)
    return [*found, best, last]


def precision_here(precision: str, accelerator: str) -> str:
    """The precision that a run is carried out in on this machine.

    A processor without bfloat16 (AVX-512 at least) emulates it, ten times slower than float32: there "bf16-mixed" is
    done in "32-true", which is no less exact.
    """
    emulated = accelerator == "cpu" and precision == "bf16-mixed"
    if emulated and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "32-true"
    return precision


def _trainer(
    config: TrainConfig, folder: Path, accelerator: str, devices: int, check_every: int, progress: bool
) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=precision_here(config.precision, accelerator),  # type: ignore[arg-type]
        max_epochs=config.epochs,
        callbacks=_callbacks(config, folder, progress=progress),
        logger=_loggers(folder),
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=check_every,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=config.clip or None,
        log_every_n_steps=50,
        use_distributed_sampler=False,
        sync_batchnorm=devices > 1 and accelerator != "cpu",
    )


def train(
    config: TrainConfig,
    store: CropStore,
    split: Split,
    folder: Path,
    *,
    threads: int = 2,
    workers: int = 1,
    check_every: int | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    progress: bool = False,
) -> AgeGenderModule:
    """Train to the end, from `last.ckpt` in `folder` where there is one. Gives the module with averaged weights.

    Writes to `folder`: `last.ckpt` after each epoch, and `best.ckpt` by the monitored figure; `run.json`
    (configuration, split, what comes from other data, versions, state of the code, and in the end the figures);
    `logs/metrics.csv` beside the events for TensorBoard, each time that a run goes on in the next of `logs-2`,
    `logs-3`, ...; `curves.png` in the end. On one machine a run that was interrupted and went on ends with the very
    weights of one that was not.

    Args:
        config: the run.
        store, split: the data.
        folder: of the run.
        threads: of PyTorch, in each process.
        workers: processes that prepare batches, for each process that trains.
        check_every: in place of the configuration's.
        accelerator, devices: as Lightning has them; more than one device trains by DDP, each with its part of every
            batch.
        progress: show a bar.

    Raises:
        ValueError: `folder` holds another run, there are fewer pictures than a batch, or the loss is not finite: its
            batch is then in `not-finite.npz`.
    """
    steps = config.epochs * (len(split.train) // config.batch)
    if steps == 0:
        raise ValueError(f"{len(split.train)} pictures to train on are fewer than a batch of {config.batch}")
    if config.batch % devices:
        raise ValueError(f"a batch of {config.batch} does not divide among {devices} devices")
    check_teachers(config, split.digest)
    last = folder / "last.ckpt"
    resumed = last.exists()
    stored = None if resumed else stored_network(config.start)
    if stored is not None:
        check_file(stored.file, split.digest)
    folder.mkdir(parents=True, exist_ok=True)
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:  # DDP starts this very program again for each other device
        precision = precision_here(config.precision, accelerator)
        if precision != config.precision:
            rank_zero_info(f"this processor has no {config.precision}: the run is done in {precision}")
        about = describe(config, split) | {"precision": precision}
        note_run(folder, about if resumed else about | {"origins": list(origins(config))}, resumed=resumed)
    torch.set_num_threads(threads)
    lightning.seed_everything(config.seed, workers=True)
    module = AgeGenderModule(config, steps)
    for net in module.nets.values():
        if isinstance(net, AgeGenderNet) and net.age_head is not None:
            net.age_head.see_ages(torch.from_numpy(_training_ages(store, split)))
    if stored is not None:
        _start_from_file(module, config, stored, store, split)
    if not (resumed and ended(folder)):
        trainer = _trainer(config, folder, accelerator, devices, check_every or config.check_every, progress)
        data = CropData(store, split, config, workers)
        try:
            trainer.fit(module, data, ckpt_path=last if resumed else None, weights_only=True)
        except LossNotFiniteError as error:
            path, names = keep_bad_batch(folder, error, store)
            raise ValueError(f"{error}. The batch, {names[0]} to {names[-1]}, is in {path}") from error
        if trainer.is_global_zero:
            _note_end(folder, config, trainer)
    # Where the run had ended before, Lightning leaves the last weights, not their average.
    module.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    return module


def _training_ages(store: CropStore, split: Split) -> npt.NDArray[np.float32]:
    """All ages of the training part that are known, in years."""
    ages = store.age_years[split.train].astype(np.float32)
    return ages[~np.isnan(ages)]


_BATCHES_OF_STATISTICS = 8


def _start_from_file(
    module: AgeGenderModule, config: TrainConfig, stored: StoredNetwork, store: CropStore, split: Split
) -> None:
    """Its networks become the one of a released file, its batch norms' statistics those of the first batches."""
    batches = TrainBatches(store, split.train, config, epoch=0)
    images = [batches[step]["image"].float() / 255 for step in range(min(_BATCHES_OF_STATISTICS, len(batches)))]
    for net in config.trained:
        start_from_file(module.nets[net.name], net, stored, images)


def _note_end(folder: Path, config: TrainConfig, trainer: lightning.Trainer) -> None:
    figures = {name: round(float(value), 6) for name, value in sorted(trainer.callback_metrics.items())}
    (best,) = (
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(callback, ModelCheckpoint) and callback.monitor
    )
    score: Any = best.best_model_score
    note_end(
        folder,
        {
            "epochs": trainer.current_epoch,
            "monitored": config.monitored,
            "best": None if score is None else round(float(score), 6),
            "figures": figures,
        },
    )
    plot_runs([read_run(folder)], folder / "curves.png")
