"""Age-Gender-Pred: ResNet-18 with a hidden layer of 512 for each head, on cleaned IMDB-WIKI.

Adam 1e-3 with weight decay 1e-6; the convolutions stand still in the first epoch, the stem in the second too; the
learning rate ÷10 when validation has not improved for 8 epochs, down to 1e-7; gender's loss ×.01; 32 epochs. Best, last
checkpoints and a line of CSV an epoch, as every run here has them. The published weights start from ImageNet:
`start=CHECKPOINT` names some. The batch is ours, 128.
"""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.recipes._parts import published
from agewise_lab.training.augment import NO_AUGMENTATION
from agewise_lab.training.config import (
    FreezeConfig,
    HeadConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)


def resnet_18() -> TrainConfig:
    """Age-Gender-Pred's ResNet-18, with its freezing and its plateau; published: MAE 4.2, gender 94 %."""
    model = ModelConfig(
        backbone="resnet-18",
        size=224,
        age=HeadConfig(name="class-bce", options={"classes": 100, "hidden": 512}),
        gender=HeadConfig(name="two-way", weight=0.01, options={"hidden": 512}),
    )
    return published(
        "resnet-18",
        model,
        learning_rate=1e-3,
        epochs=32,
        batch=128,
        weight_decay=1e-6,
        optimizer=OptimizerConfig(name="adam", decay_all=True),
        schedule=ScheduleConfig(name="plateau", factor=0.1, patience=8, least=1e-4),
        freeze=(FreezeConfig(until=1, parts=("stem", "trunk")), FreezeConfig(until=2, parts=("stem",))),
        augment=replace(NO_AUGMENTATION, flip=0.5),
        split="90/10",
    )
