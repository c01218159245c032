"""DEX (Rothe, Timofte, Van Gool, IJCV 2018): VGG-16, softmax over 101 ages, the expectation of it.

SGD with momentum .9, learning rate 1e-4, ÷10 every 10 passes, weight decay 5e-4: as remembered of the paper, which the
research notes do not quote. It starts from ImageNet's weights, which are not here: `start=CHECKPOINT` names some; from
scratch this learning rate leads nowhere soon. The number of passes and the batch are ours.
"""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.recipes._parts import published
from agewise_lab.training.augment import NO_AUGMENTATION
from agewise_lab.training.config import HeadConfig, ModelConfig, OptimizerConfig, ScheduleConfig, TrainConfig


def dex() -> TrainConfig:
    """DEX on IMDB-WIKI: VGG-16 whose 101 classes are decoded to their mean; published: MAE 2.68 on MORPH2."""
    model = ModelConfig(backbone="vgg-16", size=224, age=HeadConfig(name="expectation"))
    return published(
        "dex",
        model,
        learning_rate=1e-4,
        epochs=30,
        batch=32,
        weight_decay=5e-4,
        optimizer=OptimizerConfig(name="sgd", momentum=0.9),
        schedule=ScheduleConfig(name="step", milestones=(1 / 3, 2 / 3), factor=0.1),
        augment=replace(NO_AUGMENTATION, flip=0.5),
        split="90/10",
    )
