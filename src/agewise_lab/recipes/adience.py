"""LMTCNN (MIPR 2018) and Levi–Hassner on Adience's five folds: eight classes of ages, and gender.

SGD with momentum .9, .01 × .1 every 10,000 of 50,000 steps, batch 128, weight decay 5e-4; crops of 227 out of 256
pixels, flip, brightness ±63. One fold is held out; a tenth of the others is for validation. 50,000 steps of 128 are
about 500 times the 12,000 or so pictures that are left to train on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from agewise_lab.recipes._parts import published
from agewise_lab.training.augment import NO_AUGMENTATION
from agewise_lab.training.config import HeadConfig, ModelConfig, OptimizerConfig, ScheduleConfig, TrainConfig

FOLDS = range(5)


def adience_run(name: str, model: ModelConfig, fold: int) -> TrainConfig:
    """The study's way to train, with one fold held out."""
    return published(
        name,
        model,
        learning_rate=0.01,
        epochs=500,
        batch=128,
        weight_decay=5e-4,
        optimizer=OptimizerConfig(name="sgd", momentum=0.9),
        schedule=ScheduleConfig(name="step", milestones=(0.2, 0.4, 0.6, 0.8), factor=0.1),
        augment=replace(NO_AUGMENTATION, flip=0.5, crop=1 - 227 / 256, brightness=63 / 255),
        split=f"fold {fold}",
        check_every=5,
    )


def lmtcnn(width: str, fold: int) -> TrainConfig:
    """LMTCNN on Adience, both tasks at once, one fold held out."""
    model = ModelConfig(
        backbone=f"lmtcnn-{width}", size=227, age=HeadConfig(name="bins"), gender=HeadConfig(name="two-way")
    )
    return adience_run(f"lmtcnn-{width}-fold-{fold}", model, fold)


def levi_hassner(task: str, fold: int) -> TrainConfig:
    """Levi and Hassner's network on Adience, one task, one fold held out."""
    head = {"age": HeadConfig(name="bins"), "gender": HeadConfig(name="two-way")}[task]
    model = ModelConfig(backbone="levi-hassner", size=227, **{task: head})
    return adience_run(f"levi-hassner-{task}-fold-{fold}", model, fold)


ADIENCE: dict[str, Callable[[], TrainConfig]] = {
    **{f"lmtcnn-{width}-fold-{k}": partial(lmtcnn, width, k) for width in ("1-1", "2-1") for k in FOLDS},
    **{f"levi-hassner-{task}-fold-{k}": partial(levi_hassner, task, k) for task in ("age", "gender") for k in FOLDS},
}
