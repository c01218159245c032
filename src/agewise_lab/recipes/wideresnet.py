"""yu4u's WideResNet-16-8 on IMDB-WIKI: both tasks as classes, two dense layers without bias.

SGD .1 with Nesterov's momentum .9, batch 32, 30 epochs, the learning rate ×.2 after each quarter, a tenth for
validation. Keras' L2 of 5e-4 is a weight decay of 1e-3: its penalty has no half. The best checkpoint is that of the
least validation loss, as theirs is (3.969 without augmentation, 3.731 with; theirs has the L2 penalty in it).
"""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.recipes._parts import published
from agewise_lab.training.augment import NO_AUGMENTATION
from agewise_lab.training.config import HeadConfig, ModelConfig, OptimizerConfig, ScheduleConfig, TrainConfig


def wideresnet_16_8() -> TrainConfig:
    """yu4u's WideResNet-16-8 without augmentation, on IMDB-WIKI."""
    model = ModelConfig(
        backbone="wideresnet-16-8",
        size=64,
        age=HeadConfig(name="expectation", options={"bias": False}),
        gender=HeadConfig(name="two-way", options={"bias": False}),
    )
    return published(
        "wideresnet-16-8",
        model,
        learning_rate=0.1,
        epochs=30,
        batch=32,
        weight_decay=1e-3,
        optimizer=OptimizerConfig(name="sgd", momentum=0.9, nesterov=True),
        schedule=ScheduleConfig(name="quarter", factor=0.2),
        split="90/10",
        monitor="wideresnet-16-8/whole_loss",
    )


def wideresnet_16_8_aug() -> TrainConfig:
    """yu4u's WideResNet-16-8 with --aug: shift, flip, random erasing, and mixup with alpha .2 in every batch."""
    augment = replace(
        NO_AUGMENTATION,
        flip=0.5,
        shift=0.1,
        spread="uniform",
        erase=0.5,
        erase_area=(0.02, 0.4),
        erase_aspect=3.3,
    )
    config = wideresnet_16_8()
    net = replace(config.nets[0], name="wideresnet-16-8-aug")
    return replace(
        config,
        name="wideresnet-16-8-aug",
        nets=(net,),
        augment=augment,
        mixup=1.0,
        mixup_alpha=0.2,
        monitor="wideresnet-16-8-aug/whole_loss",
    )
