"""What recipes share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agewise_lab.training.augment import NO_AUGMENTATION
from agewise_lab.training.config import ModelConfig, NetConfig, TrainConfig


def changed_net(config: TrainConfig, **changes: Any) -> tuple[NetConfig, ...]:
    """The one network of a run, with other settings: `nets` of a run that goes on from it."""
    (net,) = config.nets
    return (replace(net, **changes),)


def published(name: str, model: ModelConfig, *, learning_rate: float, **settings: Any) -> TrainConfig:
    """A run of one network in float32 on the store's whole crops, as most published code trains.

    None of agewise's own additions, unless a recipe asks for them: no average of the weights, no balancing, no mixup,
    no clipping, no augmentation, no weight decay.

    Args:
        name: of the recipe and its network.
        model: the network.
        learning_rate: its peak.
        settings: of the run, `TrainConfig`'s, in place of these.
    """
    plain: dict[str, Any] = {
        "sizes": ((1.0, model.size),),
        "weight_decay": 0.0,
        "balance": 0.0,
        "augment": NO_AUGMENTATION,
        "calm": 0.0,
        "mixup": 0.0,
        "ema": 0.0,
        "precision": "32-true",
        "clip": 0.0,
        "views": "whole",
        "check_every": 1,
    }
    net = NetConfig(name=name.replace(".", "_"), architecture=model, learning_rate=learning_rate)
    return TrainConfig(name=name, nets=(net,), **(plain | settings))
