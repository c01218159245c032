"""agewise-m, the larger embedded network, and the teacher of agewise-s, on UTKFace."""

from __future__ import annotations

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig

M = CompactConfig(size=96, stem=32, widths=(64, 128, 224, 320), depths=(1, 1, 2, 1), first_stride=2, dropout=0.2)


def agewise_m() -> TrainConfig:
    """The larger embedded model: four times the weights of agewise-s. See docs/research/ for what it gave."""
    return TrainConfig(
        name="agewise-m",
        nets=(NetConfig(name="agewise-m", architecture=M, learning_rate=2.5e-3),),
        epochs=90,
        sizes=((0.4, 64), (0.75, 80), (1.0, 96)),
        weight_decay=0.05,
        augment=AugmentConfig(erase=0.3),
        mixup=0.4,
    )
