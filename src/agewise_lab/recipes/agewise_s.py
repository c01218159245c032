"""agewise-s, the embedded default, on UTKFace."""

from __future__ import annotations

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig

S = CompactConfig(size=96, stem=16, widths=(32, 64, 112, 160), depths=(1, 1, 2, 1), first_stride=2, dropout=0.1)


def agewise_s() -> TrainConfig:
    """The run that made the embedded model. See docs/research/ for what it gave.

    It was taught by a finished run of agewise-m: `agewise-lab train agewise-s --teacher runs/agewise-m --distill 0.6`.
    """
    return TrainConfig(
        name="agewise-s",
        nets=(NetConfig(name="agewise-s", architecture=S, learning_rate=3e-3),),
        epochs=90,
        sizes=((0.45, 64), (0.8, 80), (1.0, 96)),
        augment=AugmentConfig(erase=0.2),
        mixup=0.3,
    )
