"""What goes on around the steps: random states, a learning rate that falls where nothing gets better, progress."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import lightning
import torch
from torch import Tensor
from tqdm import tqdm

from agewise_lab.training.config import TrainConfig
from agewise_lab.training.module import AgeGenderModule


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


class Plateau(lightning.Callback):
    """Multiplies the learning rate where the monitored figure has not become better for more than `patience` checks.

    PyTorch's ReduceLROnPlateau by its default settings. Lightning moves that one on after it has written the epoch's
    checkpoint, so that a run that goes on would have forgotten a check; this one has its state in the checkpoint.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._schedule, self._monitor = config.schedule, config.monitored
        self._sign = 1.0 if config.better == "min" else -1.0
        self._best, self._bad, self._factor = math.inf, 0, 1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "bad": self._bad, "factor": self._factor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self._bad, self._factor = (state_dict[key] for key in ("best", "bad", "factor"))

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, AgeGenderModule)
        pl_module.lr_factor = self._factor

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, AgeGenderModule)
        pl_module.lr_factor = self.after(float(trainer.callback_metrics[self._monitor]))

    def after(self, figure: float) -> float:
        """The factor of the learning rate after another check's figure."""
        figure *= self._sign  # lower is better
        if figure < self._best - 1e-4 * abs(self._best) or math.isinf(self._best):
            self._best, self._bad = figure, 0
        else:
            self._bad += 1
        if self._bad > self._schedule.patience:
            self._factor = max(self._factor * self._schedule.factor, self._schedule.least)
            self._bad = 0
        return self._factor


class LearningRates(lightning.Callback):
    """Logs the learning rate of each network at the end of an epoch, as "<network>/learning_rate"."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, AgeGenderModule)
        groups = trainer.optimizers[0].param_groups
        weights = {id(w): group["lr"] for group in groups for w in group["params"]}
        for name, net in pl_module.nets.items():
            rates = [weights[id(w)] for w in net.parameters() if id(w) in weights]
            pl_module.log(f"{name}/learning_rate", torch.tensor(max(rates) * pl_module.lr_factor))


class Progress(lightning.Callback):
    """A bar on standard error, an epoch long: the mean error of the ages as it goes, and the last check's figures."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._shown = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            text = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._bar = tqdm(total=trainer.num_training_batches, desc=text, unit="batch", file=sys.stderr)

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        if self._bar is None:
            return
        self._bar.update()
        if time.monotonic() - self._shown > 1.0:
            self._shown = time.monotonic()
            self._bar.set_postfix(self._figures(trainer, pl_module), refresh=False)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._bar is not None:
            self._bar.set_postfix(self._figures(trainer, pl_module))
            self._bar.close()
            self._bar = None

    @staticmethod
    def _figures(trainer: lightning.Trainer, module: lightning.LightningModule) -> dict[str, str]:
        """Mean errors in years: of the epoch so far, and of the last check."""
        assert isinstance(module, AgeGenderModule)
        shown = {f"{name} mae": float(total) / count for name, (total, count) in module.running_mae.items()}
        for name, value in trainer.callback_metrics.items():
            if name.endswith("/whole_mae"):
                shown[f"{name.removesuffix('/whole_mae')} checked"] = float(value)
        return {name: f"{value:.2f}" for name, value in shown.items()}
