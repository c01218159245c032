"""The Lightning module: one or several networks trained side by side on the same batches.

A student learns from the labels and from its teacher's current answers on the same augmented crops
(online distillation: Zhang et al., «Deep Mutual Learning», CVPR 2018, in one direction). One run, one
pass over the data, gives the small network and the large one. A teacher may also come, finished, from
another run: see `agewise_lab.training.teacher`.
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from agewise_lab.architectures.compact import CompactNet
from agewise_lab.losses.label_distribution import (
    expected_age,
    gender_weight,
    label_distribution,
    soft_cross_entropy,
)
from agewise_lab.training.config import NetConfig, TrainConfig
from agewise_lab.training.teacher import FrozenTeacher

Logits = tuple[Tensor, Tensor]


class AgeGenderModule(lightning.LightningModule):
    """Losses, optimiser and schedule of a `TrainConfig`."""

    class_ages: Tensor

    def __init__(self, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.config = config
        self.steps = steps
        self.nets = nn.ModuleDict({net.name: CompactNet(net.architecture) for net in config.trained})
        self.nets.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("class_ages", torch.arange(config.nets[0].architecture.ages, dtype=torch.float32))
        # In a plain dict: no part of the weights that are trained, averaged and kept in checkpoints.
        self._frozen = {net.name: FrozenTeacher(net) for net in config.nets if net.frozen is not None}
        self._errors: dict[str, list[Tensor]] = {}

    def _images(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["image"].to(torch.float32).div(255).contiguous(memory_format=torch.channels_last)

    def _mixed(self, image: Tensor, age_BA: Tensor, age_B: Tensor, female_B: Tensor) -> tuple[Tensor, ...]:
        if torch.rand(()) >= self.config.mixup:
            return image, age_BA, age_B, female_B
        share = torch.distributions.Beta(0.3, 0.3).sample()
        other = torch.randperm(len(image))
        return tuple(share * x + (1 - share) * x[other] for x in (image, age_BA, age_B, female_B))

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        age_BA = label_distribution(batch["age"], self.class_ages)
        weight_B = gender_weight(batch["age"])
        image, age_BA, age_B, female_B = self._mixed(self._images(batch), age_BA, batch["age"], batch["is_female"])
        gender_BG = torch.stack([female_B, 1 - female_B], dim=1)
        answers: dict[str, Logits] = {name: teacher(image) for name, teacher in self._frozen.items()}
        total = torch.zeros(())
        for net in self.config.trained:
            age, gender = (x.float() for x in self.nets[net.name](image))
            answers[net.name] = age, gender
            teacher = answers.get(net.teacher) if net.teacher else None
            loss = self._loss(net, (age, gender), age_BA, age_B, gender_BG, weight_B, teacher)
            total = total + loss
            with torch.no_grad():
                error = (expected_age(age, self.class_ages) - age_B).abs().mean()
            self.log(f"{net.name}/train_mae", error, on_step=False, on_epoch=True, prog_bar=True)
            self.log(f"{net.name}/train_loss", loss.detach(), on_step=False, on_epoch=True)
        if not torch.isfinite(total):
            raise ValueError(f"the loss is not finite at step {self.global_step}: lower the learning rate")
        return total

    def _loss(
        self,
        net: NetConfig,
        logits: Logits,
        age_BA: Tensor,
        age_B: Tensor,
        gender_BG: Tensor,
        weight_B: Tensor,
        teacher: Logits | None,
    ) -> Tensor:
        age, gender = logits
        divergence = soft_cross_entropy(age, age_BA).mean()
        gender_loss = (weight_B * soft_cross_entropy(gender, gender_BG)).mean()
        far = (expected_age(age, self.class_ages) - age_B.clamp(max=float(self.class_ages[-1]))).abs().mean()
        if teacher is not None:
            share = net.distill * min(1.0, self.global_step / (0.1 * self.steps))
            of_age, of_gender = (torch.softmax(x.detach(), dim=1) for x in teacher)
            divergence = (1 - share) * divergence + share * 2 * soft_cross_entropy(age, of_age).mean()
            gender_loss = (1 - share) * gender_loss + share * soft_cross_entropy(gender, of_gender).mean()
        return divergence + self.config.expectation_weight * far + self.config.gender_weight * gender_loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        image = self._images(batch)
        kind = "aligned" if bool(batch["is_aligned"]) else "whole"
        for net in self.config.trained:
            age, gender = (x.float() for x in self.nets[net.name](image))
            error = (expected_age(age, self.class_ages) - batch["age"]).abs()
            right = ((gender[:, 0] > gender[:, 1]) == (batch["is_female"] > 0.5)).float()
            self._errors.setdefault(f"{net.name}/{kind}_mae", []).append(error)
            self._errors.setdefault(f"{net.name}/{kind}_cs5", []).append((error <= 5).float())
            self._errors.setdefault(f"{net.name}/{kind}_gender", []).append(right)

    def on_validation_epoch_end(self) -> None:
        for name, parts in self._errors.items():
            self.log(name, torch.cat(parts).mean())
        self._errors.clear()

    def configure_optimizers(self) -> Any:
        groups, peaks = [], []
        for net in self.config.trained:
            for decayed in (True, False):
                weights = [w for w in self.nets[net.name].parameters() if (w.ndim > 1) == decayed]
                groups.append({"params": weights, "weight_decay": self.config.weight_decay if decayed else 0.0})
                peaks.append(net.learning_rate)
        optimizer = torch.optim.AdamW(groups, lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, peaks, total_steps=self.steps, pct_start=self.config.warm_up, final_div_factor=1e3
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
