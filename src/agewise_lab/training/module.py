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

from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.losses.tasks import UncertaintyWeights
from agewise_lab.training.config import ModelConfig, TrainConfig
from agewise_lab.training.learners import Answer, Mixed, age_error, learner_of
from agewise_lab.training.networks import make_network, start_from, stored_network
from agewise_lab.training.optimizers import held_still, make_optimizer, make_schedule, modules_held
from agewise_lab.training.teacher import FrozenTeacher

_KINDS = ("whole", "aligned")
_CROPS = ("image", "second")


class LossNotFiniteError(ValueError):
    """A batch whose loss is NaN or infinite, with the batch."""

    def __init__(self, step: int, batch: dict[str, Tensor]) -> None:
        super().__init__(f"the loss is not finite at step {step}: lower the learning rate")
        self.step, self.batch = step, batch


class AgeGenderModule(lightning.LightningModule):
    """Losses, optimiser and schedule of a `TrainConfig`.

    Args:
        config: the run.
        steps: of the whole run.
    """

    class_ages: Tensor

    def __init__(self, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.config = config
        self.steps = steps
        self.lr_factor = 1.0
        """What "plateau" has made of the learning rate so far."""
        self.nets = nn.ModuleDict({net.name: make_network(net.architecture) for net in config.trained})
        if config.start is not None and stored_network(config.start) is None:  # files: see `training.run.train`
            for net in config.trained:
                start_from(self.nets[net.name], net, config.start)
        self.nets.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.uncertainty = nn.ModuleDict(
            {net.name: UncertaintyWeights(_tasks(net.architecture)) for net in config.trained}
            if config.task_weights == "uncertainty"
            else {}
        )
        if not isinstance(config.nets[0].architecture, ModelConfig):
            self.register_buffer("class_ages", torch.arange(config.nets[0].architecture.ages, dtype=torch.float32))
        # In plain dicts: no part of the weights that are trained, averaged and kept in checkpoints.
        self._frozen = {net.name: FrozenTeacher(net) for net in config.nets if net.frozen is not None}
        self.hints = nn.ModuleDict(
            {
                f"{net.name}:{teacher}": nn.Linear(pooled, features)
                for net in config.trained
                for teacher in net.teachers
                if net.hint and (pooled := _pooled_of(self.nets[net.name])) and (features := self._features_of(teacher))
            }
        )
        """What compares a student's features with a teacher's, by their names."""
        self._sums: dict[str, Tensor] = {}
        self.running_mae: dict[str, tuple[Tensor | float, int]] = {}
        """Of each network with an age, the sum over the epoch's batches so far of their mean errors, and how many."""

    def _images(self, batch: dict[str, Tensor], name: str = "image") -> Tensor:
        return batch[name].to(torch.float32).div(255).contiguous(memory_format=torch.channels_last)

    def mixed(self, batch: dict[str, Tensor]) -> Mixed:
        """The batch, with the chance that the run gives to it mixed with itself (Zhang et al. 2018)."""
        image, labels = self._images(batch), {name: value for name, value in batch.items() if name not in _CROPS}
        second = self._images(batch, "second") if "second" in batch else None
        if torch.rand(()) >= self.config.mixup:
            return Mixed(image, labels, second=second)
        alpha = self.config.mixup_alpha
        share = torch.distributions.Beta(alpha, alpha).sample()
        mixed = Mixed(image, labels, share.to(image.device), torch.randperm(len(image)).to(image.device))
        second = None if second is None else mixed.mix(second)
        return Mixed(mixed.mix(image), labels, mixed.share, mixed.other, second)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        mixed = self.mixed(batch)
        asked = mixed.crops if self.config.second_taught == "own" else mixed.image
        answers: dict[str, Answer] = {}
        total = torch.zeros((), device=mixed.image.device)
        for net in self.config.trained:
            teacher = self._drawn(net.teachers)
            answer = None if teacher is None else self._answer_of(teacher, asked, answers)
            learner = learner_of(net, self.config, self._uncertainty_of(net.name))
            learned = learner.learn(self.nets[net.name], mixed, self.global_step / self.steps, answer)
            if learned.answer is not None:
                answers[net.name] = learned.answer
            hint = self._hint(f"{net.name}:{teacher}", learned.answer, answer)
            total = total + learned.loss + (0.0 if hint is None else net.hint * hint)
            figures = {"train_mae": learned.error, "train_loss": learned.loss.detach()}
            figures |= {} if hint is None else {"train_hint": hint.detach()}
            figures |= {} if learned.apart is None else {"train_apart": learned.apart}
            figures |= {f"train_{task}_loss": part for task, part in (learned.parts or {}).items()}
            for name, value in figures.items():
                if value is not None:
                    self._log(f"{net.name}/{name}", value)
            if learned.error is not None:
                total_error, count = self.running_mae.get(net.name, (0.0, 0))
                self.running_mae[net.name] = (total_error + learned.error.detach(), count + 1)
            self._count_clipped(net.name, batch)
        if not torch.isfinite(total):
            raise LossNotFiniteError(self.global_step, batch)
        return total

    def _features_of(self, teacher: str) -> int | None:
        """How many features a teacher's answers hold, for hints: those of frozen ones."""
        return self._frozen[teacher].feature_count if teacher in self._frozen else None

    def _drawn(self, teachers: tuple[str, ...]) -> str | None:
        """One of them, by chance."""
        if len(teachers) > 1:
            return teachers[int(torch.randint(len(teachers), ()))]
        return teachers[0] if teachers else None

    def _answer_of(self, teacher: str, image: Tensor, answers: dict[str, Answer]) -> Answer | None:
        """A teacher's answer. Frozen ones are asked only now, once for all students."""
        if teacher not in answers and teacher in self._frozen:
            answers[teacher] = self._frozen[teacher](image)
        return answers.get(teacher)

    def _hint(self, pair: str, own: Answer | None, teachers: Answer | None) -> Tensor | None:
        """Mean squared distance of a linear image of the own features from the teacher's, which count alike."""
        if pair not in self.hints or own is None or own.pooled is None or teachers is None or teachers.pooled is None:
            return None
        with torch.autocast(own.pooled.device.type, enabled=False):
            seen = teachers.pooled[: len(own.pooled)]
            target = (seen - seen.mean(0)) / (seen.std(0) + 1e-6)
            return nn.functional.mse_loss(self.hints[pair](own.pooled), target)

    def _uncertainty_of(self, name: str) -> UncertaintyWeights | None:
        found = self.uncertainty[name] if name in self.uncertainty else None  # noqa: SIM401 - a ModuleDict has no get
        return found if isinstance(found, UncertaintyWeights) else None

    def _log(self, name: str, value: Tensor) -> None:
        self.log(name, value, on_step=False, on_epoch=True, sync_dist=self.trainer.world_size > 1)

    def _count_clipped(self, name: str, batch: dict[str, Tensor]) -> None:
        """Labels that the age head cannot give, as a sum over the epoch."""
        head = getattr(self.nets[name], "age_head", None)
        if head is not None:
            clipped = torch.tensor(float(head.clipped(batch)))
            self.log(f"{name}/train_clipped", clipped, on_step=False, on_epoch=True, reduce_fx="sum")

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        image = self._images(batch)
        kind = "aligned" if bool(batch["is_aligned"]) else "whole"
        for net in self.config.trained:
            learner = learner_of(net, self.config, None)
            years, female = learner.estimate(self.nets[net.name], image)
            if self.config.monitored.endswith("_loss"):
                labels = {key: value for key, value in batch.items() if key not in ("image", "is_aligned")}
                loss = learner.learn(self.nets[net.name], Mixed(image, labels), 1.0, None).loss
                self._add(f"{net.name}/{kind}_loss", loss.expand(len(image)))
            if years is not None:
                error = age_error(years, batch)
                self._add(f"{net.name}/{kind}_mae", error)
                self._add(f"{net.name}/{kind}_cs5", (error <= 5).float().masked_fill(error.isnan(), torch.nan))
            if female is not None:
                unknown = batch["is_female"].isnan()
                right = ((female > 0.5) == (batch["is_female"] > 0.5)).float().masked_fill(unknown, torch.nan)
                self._add(f"{net.name}/{kind}_gender", right)

    def _add(self, name: str, values: Tensor) -> None:
        known = ~values.isnan()
        pair = torch.stack([torch.where(known, values, 0.0).sum(), known.sum()]).double()
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def on_validation_epoch_end(self) -> None:
        for name in self._figure_names():
            pair = self._sums.get(name, torch.zeros(2, dtype=torch.float64, device=self.device))
            if self.trainer.world_size > 1:
                pair = self.trainer.strategy.reduce(pair, reduce_op="sum")
            if pair[1] > 0:
                self.log(name, (pair[0] / pair[1]).float())
                if name.endswith("_gender"):
                    self.log(f"{name}_error", (1 - pair[0] / pair[1]).float())
        self._sums.clear()

    def _figure_names(self) -> list[str]:
        """All figures of the validation part, the same list in each process."""
        figures = []
        for net in self.config.trained:
            tasks = _tasks(net.architecture)
            names = (["mae", "cs5"] if "age" in tasks else []) + (["gender"] if "gender" in tasks else [])
            names += ["loss"] if self.config.monitored.endswith("_loss") else []
            figures += [f"{net.name}/{kind}_{name}" for kind in _KINDS for name in names]
        return figures

    def on_train_epoch_start(self) -> None:
        self.running_mae.clear()
        self.nets.train()
        for module in modules_held(self.nets, self.config, self.current_epoch):
            module.eval()  # batch norms of parts that stand still keep their statistics

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.nets, [*self.uncertainty.parameters(), *self.hints.parameters()], self.config)
        schedule = make_schedule(optimizer, self.config, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        with held_still(optimizer.param_groups, self.config, epoch, self.lr_factor):
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)


def _pooled_of(net: nn.Module) -> int:
    """How many features its heads see; 0 of networks by name, which learn no features of a teacher."""
    return net.age.in_features if isinstance(net, TwoHeadNet) else 0


def _tasks(architecture: Any) -> list[str]:
    if not isinstance(architecture, ModelConfig):
        return ["age", "gender"]
    heads = {"age": architecture.age, "gender": architecture.gender}
    return [task for task, head in heads.items() if head is not None]
