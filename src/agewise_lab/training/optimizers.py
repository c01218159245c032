"""Optimisers, learning rates over a run, and parts that stand still at first.

A part that is frozen keeps `requires_grad` and its place in the optimiser; its learning rate is 0 while it stands
still. PyTorch's DDP only exchanges gradients of parameters that wanted one when it was set up, so weights that are
thawed by `requires_grad` later drift apart between processes, without a word.
"""

from __future__ import annotations

import bisect
import contextlib
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from agewise_lab.training.config import OptimizerConfig, TrainConfig
from agewise_lab.training.networks import parameters_of, parts_of


def make_optimizer(nets: nn.ModuleDict, others: list[nn.Parameter], config: TrainConfig) -> Optimizer:
    """The optimiser: of each network and part a group of weights that decay and one of those that do not.

    Args:
        nets: the networks by name.
        others: parameters of the losses, and of hints.
        config: the run.
    """
    groups: list[dict[str, Any]] = []
    for net in config.trained:
        for part, modules in parts_of(nets[net.name]).items():
            for decayed in (True, False):
                weights = [w for w in parameters_of(modules) if (w.ndim > 1 or config.optimizer.decay_all) == decayed]
                if weights or part == "all":
                    decay = config.weight_decay if decayed else 0.0
                    rate = net.learning_rate * (net.trunk_rate if part in ("stem", "trunk") else 1.0)
                    groups.append({"params": weights, "weight_decay": decay, "part": part, "lr": rate})
    if others:
        groups.append({"params": others, "weight_decay": 0.0, "part": "", "lr": config.nets[-1].learning_rate})
    return _BUILDERS[config.optimizer.name](groups, config.optimizer)


_BUILDERS: dict[str, Callable[[list[dict[str, Any]], OptimizerConfig], Optimizer]] = {
    "adamw": lambda groups, _: torch.optim.AdamW(groups, lr=1e-3),
    "adam": lambda groups, _: torch.optim.Adam(groups, lr=1e-3),
    "sgd": lambda groups, how: torch.optim.SGD(groups, lr=1e-3, momentum=how.momentum, nesterov=how.nesterov),
}


def make_schedule(optimizer: Optimizer, config: TrainConfig, steps: int) -> LRScheduler:
    """The learning rate over a run of so many steps, moved on after each. "plateau" is a callback's."""
    if config.schedule.name == "one-cycle":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=config.warm_up, final_div_factor=1e3)
    return LambdaLR(optimizer, partial(share_of_peak, config=config, steps=steps))


def share_of_peak(step: int, config: TrainConfig, steps: int) -> float:
    """The learning rate at a step, as a share of its peak, for all schedules but "one-cycle"."""
    schedule, progress = config.schedule, step / steps
    if schedule.name in ("step", "quarter"):
        milestones = schedule.milestones if schedule.name == "step" else (0.25, 0.5, 0.75)
        return float(schedule.factor ** bisect.bisect_right(milestones, progress + 1e-9))
    if schedule.name == "cosine":
        if progress < config.warm_up:
            return (step + 1) / (config.warm_up * steps + 1)
        left = (1 - progress) / (1 - config.warm_up)
        return schedule.least + (1 - schedule.least) * 0.5 * (1 - math.cos(math.pi * left))
    return 1.0


def _held_parts(config: TrainConfig, epoch: int) -> set[str]:
    return {part for stage in config.freeze if epoch < stage.until for part in stage.parts}


def modules_held(nets: nn.ModuleDict, config: TrainConfig, epoch: int) -> list[nn.Module]:
    """The modules that stand still in an epoch."""
    held = _held_parts(config, epoch)
    return [m for net in nets.values() for part, modules in parts_of(net).items() if part in held for m in modules]


@contextlib.contextmanager
def held_still(groups: list[dict[str, Any]], config: TrainConfig, epoch: int, factor: float) -> Iterator[None]:
    """For one step: learning rates times `factor`, and 0 for parts that stand still. Afterwards as they were."""
    held = _held_parts(config, epoch)
    before = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] *= 0.0 if group.get("part") in held else factor
    try:
        yield
    finally:
        for group, rate in zip(groups, before, strict=True):
            group["lr"] = rate
