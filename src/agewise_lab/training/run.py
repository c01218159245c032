"""Run a `TrainConfig`: train, check, keep checkpoints, resume."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader

from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.data import Batch, PlainBatches, TrainBatches
from agewise_lab.training.module import AgeGenderModule
from agewise_lab.training.plain import to_plain, with_defaults
from agewise_lab.training.teacher import check_teachers


class CropData(lightning.LightningDataModule):
    """Loaders over a store. The training loader is made anew each epoch: its crops depend on the epoch."""

    def __init__(self, store: CropStore, split: Split, config: TrainConfig, workers: int) -> None:
        super().__init__()
        self._store, self._split, self._config, self._workers = store, split, config, workers

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        batches = TrainBatches(self._store, self._split.train, self._config, self.trainer.current_epoch)
        return DataLoader(batches, batch_size=None, shuffle=False, num_workers=self._workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        size = self._config.sizes[-1][1]
        return DataLoader(PlainBatches(self._store, self._split.validation, size, 256), batch_size=None)


class SameDraws(lightning.Callback):
    """Keeps PyTorch's random state in the checkpoint: dropout and mixup go on as if nothing had interrupted them."""

    # An iterator of a DataLoader draws its seed; Lightning makes two for each epoch but the first after a checkpoint.
    _DRAWS_OF_LOADERS = 2

    def __init__(self) -> None:
        self._state: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"torch": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = state_dict["torch"]

    def on_train_batch_start(self, *_: Any) -> None:
        if self._state is not None:
            torch.set_rng_state(self._state)
            for _draw in range(self._DRAWS_OF_LOADERS):
                torch.empty((), dtype=torch.int64).random_()
            self._state = None


def _describe(config: TrainConfig, split: Split) -> dict[str, Any]:
    about = {
        "config": to_plain(config),
        "split": split.digest,
        "count": [len(split.train), len(split.validation), len(split.holdout)],
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
        },
    }
    described: dict[str, Any] = json.loads(json.dumps(about))  # as it reads from a file: lists for tuples
    return described


def _note_run(folder: Path, about: dict[str, Any], *, resumed: bool) -> None:
    """Write `run.json`, or hold a run that is there against it."""
    path = folder / "run.json"
    if not resumed:
        path.write_text(json.dumps(about, indent=2))
        return
    before = json.loads(path.read_text()) if path.exists() else {}
    if "config" in before:  # settings that came later had the values that are their defaults now
        before["config"] = with_defaults(before["config"])
    for key in ("config", "split"):
        if key in before and before[key] != about[key]:
            raise ValueError(f"{folder} holds a run with another {key}: go on with that one, or name another folder")


def _logger(folder: Path) -> CSVLogger:
    """A logger with a folder of its own: CSVLogger deletes the metrics.csv that it finds."""
    taken = sum(path.is_dir() for path in folder.glob("logs*"))
    return CSVLogger(folder, name="", version=f"logs-{taken + 1}" if taken else "logs")


def train(
    config: TrainConfig,
    store: CropStore,
    split: Split,
    folder: Path,
    *,
    threads: int = 2,
    workers: int = 1,
    check_every: int = 2,
) -> AgeGenderModule:
    """Train to the end, from `last.ckpt` in `folder` where there is one. Gives the module with averaged weights.

    Writes `last.ckpt` after each epoch, `run.json` (configuration, split, versions) and `logs/metrics.csv` to
    `folder`; each time that a run goes on, its metrics go to the next of `logs-2`, `logs-3`, ... On one machine
    a run that was interrupted and went on ends with the very weights of one that was not.

    Raises:
        ValueError: `folder` holds another run, there are fewer pictures than a batch, or the loss is not finite.
    """
    steps = config.epochs * (len(split.train) // config.batch)
    if steps == 0:
        raise ValueError(f"{len(split.train)} pictures to train on are fewer than a batch of {config.batch}")
    check_teachers(config, split.digest)
    last = folder / "last.ckpt"
    resumed = last.exists()
    folder.mkdir(parents=True, exist_ok=True)
    _note_run(folder, _describe(config, split), resumed=resumed)
    torch.set_num_threads(threads)
    lightning.seed_everything(config.seed, workers=True)
    module = AgeGenderModule(config, steps)
    keep = ModelCheckpoint(dirpath=folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_epochs=config.epochs,
        callbacks=[EMAWeightAveraging(decay=config.ema), SameDraws(), keep],
        logger=_logger(folder),
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=check_every,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=5.0,
        log_every_n_steps=50,
    )
    data = CropData(store, split, config, workers)
    trainer.fit(module, data, ckpt_path=last if resumed else None, weights_only=True)
    # Where the run had ended before, Lightning leaves the last weights, not their average.
    module.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    return module
