"""agewise-ssr, the smallest of agewise's own: SSR-Net for both tasks on UTKFace."""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.recipes._parts import changed_net
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import (
    HeadConfig,
    ModelConfig,
    NetConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)


def agewise_ssr() -> TrainConfig:
    """SSR-Net with one trunk and a stagewise head for each task, on UTKFace.

    The network and the L1 loss are the paper's; the schedule, the average of the weights and the augmentation are
    agewise's. Labels as distributions do not fit a network that puts out no distribution.
    """
    model = ModelConfig(
        backbone="ssrnet",
        size=64,
        age=HeadConfig(name="soft-stagewise"),
        gender=HeadConfig(name="two-way", weight=5.0),
    )
    return TrainConfig(
        name="agewise-ssr",
        nets=(NetConfig(name="agewise-ssr", architecture=model, learning_rate=2e-3),),
        epochs=90,
        batch=64,
        sizes=((1.0, 64),),
        weight_decay=1e-4,
        optimizer=OptimizerConfig(name="adamw"),
        schedule=ScheduleConfig(name="cosine", least=0.002),
        warm_up=0.03,
        balance=0.2,
        augment=AugmentConfig(grey=0.06, low_resolution=0.12, noise=0.08, jpeg=0.15, erase=0.05, blur=0.08),
        calm=0.25,
        mixup=0.0,
        ema=0.999,
    )


def agewise_ssr_taught() -> TrainConfig:
    """The same with a trunk for each task, as published, and a teacher.

    Meant for `--teacher agewise-s.onnx` of version 4.1, `--distill 0.7 --one-answer`: docs/research/0011.
    """
    first = agewise_ssr()
    (net,) = first.nets
    assert isinstance(net.architecture, ModelConfig)
    return replace(
        first,
        name="agewise-ssr-taught",
        nets=changed_net(first, architecture=replace(net.architecture, apart=True)),
        epochs=60,
        seed=101,
    )


def agewise_ssr_on() -> TrainConfig:
    """The first for longer, on clearer crops, without dropout: the network fits too little, not too much.

    Meant for `start=FILE`, agewise-ssr of version 1 or the first's release: units of the head that its training put to
    sleep are woken at the start. docs/research/0012.
    """
    first = agewise_ssr()
    (net,) = first.nets
    assert isinstance(net.architecture, ModelConfig)
    undropped = replace(net.architecture, age=HeadConfig(name="soft-stagewise", options={"dropout": 0.0}))
    return replace(
        first,
        name="agewise-ssr-on",
        nets=changed_net(first, architecture=undropped, learning_rate=1e-3),
        epochs=110,
        balance=0.3,
        calm=0.5,
        seed=111,
    )
